// Who vouches for the exporter's checkpoint: the aggregate log that holds it, witnesses that cosigned, and time-stamp
// authorities (core/witness/verify-anchoring.ts judges; here its findings become checks of the pack). The pack's maker
// controls notes and tokens; keys, quorum and authorities are the configuration's.

import { policyOf } from '#core/configuration/witness-parts.ts';
import { logVerifier } from '#core/witness/log-keys.ts';
import { type AnchoringCode, type AnchoringVerdict, verifyAnchoring } from '#core/witness/verify-anchoring.ts';
import { CLOCK_WINDOW_MS } from '#schemas/limits.ts';
import { checked, type PackConfiguration, plainTokenVerifier } from './check-configuration.ts';
import { anchoringOf } from './check-log.ts';
import type { PackFiles } from './check-message.ts';
import type { CheckName, CheckRun } from './check-run.ts';
import { type PackCode, PackFinding, PackGap } from './finding.ts';
import type { LogFolder } from './layout.ts';

interface AnchoringPlace {
  folder: LogFolder;
  configuration: PackConfiguration;
  server: string;
  origin: string;
  /** When the youngest of the entries was written, as the log says. */
  lastMs: number;
  nowMs: number;
}

const WRONG: Partial<Record<AnchoringCode, PackCode>> = {
  AGGREGATE_ORIGIN_WRONG: 'AGGREGATE_WRONG',
  AGGREGATE_SIGNATURE_WRONG: 'AGGREGATE_WRONG',
  INCLUSION_WRONG: 'AGGREGATE_WRONG',
  COSIGNATURE_WRONG: 'COSIGNATURE_WRONG',
  COSIGNATURE_UNKNOWN: 'COSIGNATURE_WRONG',
  TOKEN_WRONG: 'TIME_STAMP_WRONG',
};
const MISSING: Partial<Record<AnchoringCode, PackCode>> = {
  AGGREGATE_MISSING: 'AGGREGATE_MISSING',
  COSIGNATURE_MISSING: 'QUORUM_MISSING',
  QUORUM_MISSING: 'QUORUM_MISSING',
  TOKEN_MISSING: 'TIME_STAMP_MISSING',
  TOKEN_REVOKED: 'TIME_STAMP_MISSING',
};

const NAMES = {
  log: { aggregate: 'aggregate log', witnesses: 'witnesses', timeStamp: 'time-stamp' },
  'destruction/log': {
    aggregate: 'destruction: aggregate log',
    witnesses: 'destruction: witnesses',
    timeStamp: 'destruction: time-stamp',
  },
} as const satisfies Record<LogFolder, Record<string, CheckName>>;

export function checkAnchoring(run: CheckRun, files: PackFiles, place: AnchoringPlace): void {
  const { configuration, lastMs, folder } = place;
  const names = NAMES[folder];
  let verdict: AnchoringVerdict | null = null;
  const judged = () => (verdict ??= judge(files, place));
  run.check(names.aggregate, () => {
    if (configuration.witnesses?.aggregate == null && files.has(`${folder}/aggregate`)) {
      throw new PackFinding('AGGREGATE_WRONG', 'the configuration names no aggregate log');
    }
    if (configuration.witnesses?.aggregate == null || !files.has(`${folder}/aggregate`)) {
      throw new PackGap('AGGREGATE_MISSING', '');
    }
    tell(judged(), ['AGGREGATE_WRONG', 'AGGREGATE_MISSING', 'CHECKPOINT_WRONG']);
  });
  run.check(names.witnesses, () => {
    tell(judged(), ['COSIGNATURE_WRONG', 'QUORUM_MISSING']);
    const { good, needed } = judged().quorum;
    // Nobody beside the department: then nobody but the department says what its log was.
    if (needed === 0) throw new PackGap('QUORUM_MISSING', 'the configuration demands no witness');
    // Without an aggregate log there is nothing that departments could have cosigned.
    if (good < needed) throw new PackGap('QUORUM_MISSING', `${good} of ${needed}`);
    return `${good} of at least ${needed}`;
  });
  run.check(names.timeStamp, () => {
    tell(judged(), ['TIME_STAMP_WRONG', 'TIME_STAMP_MISSING']);
    const at = judged().existedAtMs;
    if (at === null) throw new PackGap('TIME_STAMP_MISSING', '');
    if (lastMs > at + CLOCK_WINDOW_MS) throw new PackFinding('TIME_WRONG', new Date(lastMs).toISOString());
    return `not later than ${new Date(at).toISOString()}`;
  });
}

function judge(files: PackFiles, { folder, configuration, server, origin, nowMs }: AnchoringPlace): AnchoringVerdict {
  const log = configuration.server(server)?.log;
  const verifier = log && logVerifier(log, origin);
  if (verifier === undefined) throw new PackFinding('CHECKPOINT_WRONG', origin);
  const policy = checked('CONFIGURATION_WRONG', 'witnesses', () =>
    configuration.witnesses === null ? null : policyOf(configuration.witnesses),
  );
  return verifyAnchoring(anchoringOf(files, folder), {
    origin,
    logKeyAt: () => verifier,
    policy,
    verifyToken: plainTokenVerifier(configuration, nowMs),
  });
}

/** @throws PackFinding, PackGap for the first finding that is one of these codes */
function tell({ findings }: AnchoringVerdict, codes: readonly PackCode[]): void {
  for (const { code, detail } of findings) {
    const wrong = WRONG[code] ?? (MISSING[code] === undefined ? 'CHECKPOINT_WRONG' : undefined);
    if (wrong !== undefined && codes.includes(wrong)) throw new PackFinding(wrong, `${code} ${detail}`);
  }
  for (const { code, detail } of findings) {
    const missing = MISSING[code];
    if (missing !== undefined && codes.includes(missing)) throw new PackGap(missing, `${code} ${detail}`);
  }
}
