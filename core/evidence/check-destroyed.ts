// What a department's log says of a destruction (docs/evidence.md, Retention and erasure): a certificate alone is a paper that
// its server can sign whenever it likes. So the two entries `destruction-intended` and `destruction-done` are in the pack, in
// the tree of a checkpoint that others vouch for: what was destroyed, on whose word, was written down before the keys
// went. The pack's maker controls entries and notes; the certificate was verified before (check-destruction.ts).
import { sha256 } from '#certs/commitment.ts';
import { leafHash } from '#certs/merkle.ts';
import { originNumber } from '#core/log/origin.ts';
import type { Checkpoint } from '#core/log/signed-note.ts';
import { isCertificateOf } from '#core/retention/certificate.ts';
import { base64url } from '#schemas/base64url.ts';
import { CLOCK_WINDOW_MS } from '#schemas/limits.ts';
import { type LogEntry, parseLogEntry } from '#schemas/log-entry.ts';
import { areTwoPersons, type DestructionCertificate, readDone, readIntent } from '#schemas/retention.ts';
import { checkAnchoring } from './check-anchoring.ts';
import { checked, type PackConfiguration } from './check-configuration.ts';
import { checkCheckpoint, checkInclusion, readCheckpoint } from './check-log.ts';
import { needed, type PackFiles } from './check-message.ts';
import type { CheckRun } from './check-run.ts';
import { PackFinding, PackGap } from './finding.ts';
import type { LogFolder, MessageName } from './layout.ts';

/** A message whose context or body is gone, and the certificate that stands for them. */
export interface DestroyedMessage {
  name: MessageName;
  entry: LogEntry;
  certificate: DestructionCertificate;
}

interface Place {
  /** Of the log that holds the exchange. */
  origin: string;
  server: string;
  /** Under which the later checkpoint is judged. */
  configuration: PackConfiguration;
  nowMs: number;
}

interface Logged extends DestroyedMessage {
  intended: LogEntry;
  done: LogEntry;
}

const CHECKS_HERE = [
  ...([
    'destruction: certificate',
    'destruction: two persons',
    'destruction: order',
    'destruction: in the log',
  ] as const),
  ...(['destruction: checkpoint', 'destruction: aggregate log'] as const),
  ...(['destruction: witnesses', 'destruction: time-stamp'] as const),
] as const;
const VOUCHED = CHECKS_HERE.slice(4);

export function checkDestroyed(run: CheckRun, files: PackFiles, gone: readonly DestroyedMessage[], place: Place): void {
  if (gone.length === 0) {
    for (const name of CHECKS_HERE) run.check(name, () => 'nothing was destroyed');
    return;
  }
  const logged = run.check('destruction: certificate', () => {
    const found = gone.map((one) => loggedOf(files, one));
    const lacks = gone.find((_, at) => found[at] === null);
    if (lacks !== undefined) throw new PackGap('DESTRUCTION_NOT_LOGGED', lacks.name);
    return found.filter((one) => one !== null);
  });
  run.check('destruction: two persons', () => {
    const alone = gone.find(({ certificate: { requested, approved } }) => !areTwoPersons(requested, approved));
    if (alone !== undefined) throw new PackFinding('DESTRUCTION_BY_ONE', alone.name);
  });
  if (logged === null) return;
  run.check('destruction: order', () => {
    for (const one of logged) checkOrder(one, place.origin);
  });
  const folder: LogFolder = files.has('destruction/log/checkpoint') ? 'destruction/log' : 'log';
  const checkpoint = run.check('destruction: in the log', () => checkLogged(files, logged, folder));
  if (checkpoint === null) return;
  if (folder === 'log') {
    for (const name of VOUCHED) run.check(name, () => 'the checkpoint of the exchange');
    return;
  }
  const { server, configuration, nowMs } = place;
  run.check('destruction: checkpoint', () => checkCheckpoint(files, server, configuration, folder));
  const lastMs = Math.max(...logged.map(({ done }) => done.t));
  checkAnchoring(run, files, { folder, configuration, server, origin: checkpoint.origin, lastMs, nowMs });
}

/**
 * The entries that say the same as the certificate; null when they are not there.
 * @throws PackFinding DESTRUCTION_ENTRY_WRONG, PACK_FILE_MISSING
 */
function loggedOf(files: PackFiles, gone: DestroyedMessage): Logged | null {
  const { name, certificate } = gone;
  const folder = `destruction/${name}`;
  if (!files.has(`${folder}/intended/entry`) || !files.has(`${folder}/done/entry`)) return null;
  const wrong = (detail: string) => new PackFinding('DESTRUCTION_ENTRY_WRONG', `${name}: ${detail}`);
  const entryOf = (kind: 'intended' | 'done') => {
    const [line, note] = [needed(files, `${folder}/${kind}/entry`), needed(files, `${folder}/${kind}/note`)];
    const entry = checked('DESTRUCTION_ENTRY_WRONG', name, () => parseLogEntry(line.toString('utf8')));
    const isIts = entry.kind === `destruction-${kind}` && entry.id === certificate.destruction;
    if (!isIts || entry.statement !== sha256(note) || !Buffer.from(line.toString('utf8')).equals(line)) {
      throw wrong(`the entry ${kind}`);
    }
    return { entry, note, leaf: base64url(leafHash(line)) };
  };
  const [intended, done] = [entryOf('intended'), entryOf('done')];
  const said = checked('DESTRUCTION_ENTRY_WRONG', name, () => readDone(done.note));
  const jws = needed(files, `${folder}/certificate.jws`).toString('latin1');
  if (said.destruction !== certificate.destruction || said.certificate !== jws) throw wrong('another certificate');
  const { seq, leaf } = certificate.intent;
  if (intended.entry.seq !== seq || intended.leaf !== leaf) throw wrong('the certificate cites another intent');
  const intent = checked('DESTRUCTION_ENTRY_WRONG', name, () => readIntent(intended.note));
  if (!isCertificateOf(certificate, intent)) throw wrong('something else was done than intended');
  return { ...gone, intended: intended.entry, done: done.entry };
}

/** The record, then the word of two persons, then the intent, then the end of the keys, then what is written of it. */
function checkOrder({ name, entry, certificate, intended, done }: Logged, origin: string): void {
  const [own, of] = [originNumber(origin), originNumber(certificate.origin)];
  const isRecordBefore =
    own.base === of.base &&
    (own.number < of.number || (own.number === of.number && entry.seq < intended.seq)) &&
    entry.t <= intended.t + CLOCK_WINDOW_MS;
  const isInOrder =
    isRecordBefore &&
    certificate.approved.atMs <= intended.t + CLOCK_WINDOW_MS &&
    intended.seq < done.seq &&
    intended.t <= done.t &&
    intended.t <= certificate.destroyedAtMs + CLOCK_WINDOW_MS &&
    certificate.destroyedAtMs <= done.t;
  if (!isInOrder) throw new PackFinding('DESTRUCTION_ORDER_WRONG', name);
}

/** @throws PackFinding DESTRUCTION_ENTRY_WRONG, INCLUSION_WRONG, CHECKPOINT_WRONG, PACK_*; PackGap CHECKPOINT_MISSING */
function checkLogged(files: PackFiles, logged: readonly Logged[], folder: LogFolder): Checkpoint {
  const checkpoint = readCheckpoint(files, folder);
  let lacks: MessageName | undefined;
  for (const { name, certificate, intended, done } of logged) {
    if (!files.has(`destruction/${name}/done/inclusion`)) {
      lacks ??= name;
      continue;
    }
    if (certificate.origin !== checkpoint.origin) {
      throw new PackFinding('DESTRUCTION_ENTRY_WRONG', `${name}: it was intended in ${certificate.origin}`);
    }
    checkInclusion(files, `destruction/${name}/intended`, intended, checkpoint);
    checkInclusion(files, `destruction/${name}/done`, done, checkpoint);
  }
  if (lacks !== undefined) throw new PackGap('CHECKPOINT_MISSING', `the destruction of the ${lacks}`);
  return checkpoint;
}
