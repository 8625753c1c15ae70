// The log in an evidence pack: both entries stand in the tree of one signed checkpoint, and others vouch for that checkpoint
// (core/witness/verify-anchoring.ts). The pack's maker controls all of it; keys and policy are the configuration's.
import { leafHash, verifyInclusion } from '#certs/merkle.ts';
import { type Checkpoint, openCheckpoint, parseCheckpointText, parseNote } from '#core/log/signed-note.ts';
import { logVerifier } from '#core/witness/log-keys.ts';
import type { Anchoring } from '#schemas/anchoring.ts';
import { base64url } from '#schemas/base64url.ts';
import type { LogEntry } from '#schemas/log-entry.ts';
import { checked, type PackConfiguration } from './check-configuration.ts';
import { needed, type PackFiles } from './check-message.ts';
import { PackFinding, PackGap } from './finding.ts';
import { type LogFolder, parseHashes, parsePlace } from './layout.ts';

/** What the checkpoint says, before its signature is verified. @throws PackFinding, PackGap */
export function readCheckpoint(files: PackFiles, folder: LogFolder = 'log'): Checkpoint {
  const note = files.get(`${folder}/checkpoint`);
  if (note === undefined) throw new PackGap('CHECKPOINT_MISSING', '');
  return checked('CHECKPOINT_WRONG', 'checkpoint', () => parseCheckpointText(parseNote(note).text));
}

/** @param name the folder with `entry` and `inclusion`. @throws PackFinding INCLUSION_WRONG, PACK_* */
export function checkInclusion(files: PackFiles, name: string, entry: LogEntry, checkpoint: Checkpoint): void {
  const leaf = leafHash(needed(files, `${name}/entry`));
  const path = parseHashes(needed(files, `${name}/inclusion`), `${name}/inclusion`);
  if (!verifyInclusion(leaf, entry.seq, checkpoint.size, path, checkpoint.root)) {
    throw new PackFinding('INCLUSION_WRONG', `${name}: entry ${entry.seq} of ${checkpoint.size}`);
  }
}

/** The checkpoint is signed with the registered key of the exporter's log. @throws PackFinding CHECKPOINT_WRONG */
export function checkCheckpoint(
  files: PackFiles,
  server: string,
  configuration: PackConfiguration,
  folder: LogFolder = 'log',
): Checkpoint {
  const { origin } = readCheckpoint(files, folder);
  const log = configuration.server(server)?.log;
  const verifier = log && logVerifier(log, origin);
  if (verifier === undefined) throw new PackFinding('CHECKPOINT_WRONG', `${origin} is no log of ${server}`);
  return checked('CHECKPOINT_WRONG', origin, () => openCheckpoint(needed(files, `${folder}/checkpoint`), verifier));
}

const TOKEN = /^((?:destruction\/)?log)\/token\.(aggregate|checkpoint)\.[1-8]\.der$/;

/** The anchoring that the files spell; null when there is a checkpoint of the log alone. @throws PackFinding PACK_MALFORMED */
export function anchoringOf(files: PackFiles, folder: LogFolder): Anchoring {
  const note = files.get(`${folder}/aggregate`);
  const place = files.get(`${folder}/aggregate.place`);
  if ((note === undefined) !== (place === undefined)) throw new PackFinding('PACK_MALFORMED', `${folder}/aggregate`);
  const read = place && parsePlace(place, 1, `${folder}/aggregate.place`);
  const tokens = [...files.keys()].sort().flatMap((name) => {
    const [, of, over] = TOKEN.exec(name) ?? [];
    return of === folder ? [{ over: over as 'aggregate' | 'checkpoint', token: base64url(needed(files, name)) }] : [];
  });
  const aggregate =
    note === undefined || read === undefined
      ? null
      : { checkpoint: note.toString('utf8'), index: read.numbers[0] ?? 0, path: read.path.map(base64url) };
  return { v: 1, checkpoint: needed(files, `${folder}/checkpoint`).toString('utf8'), aggregate, tokens };
}
