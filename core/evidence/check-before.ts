// The lower bound in time: an earlier entry of the same log holds a time-stamp token, and what stands behind it was written
// later than that token. A pack without it says nothing of the kind, and is no worse for it. The pack's maker controls entry
// and note; the authorities are the configuration's.
import { sha256 } from '#certs/commitment.ts';
import { leafHash, sha256Of, verifyInclusion } from '#certs/merkle.ts';
import { type Checkpoint, parseNote } from '#core/log/signed-note.ts';
import { parseAnchoring } from '#schemas/anchoring.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { CLOCK_WINDOW_MS } from '#schemas/limits.ts';
import { type LogEntry, parseLogEntry } from '#schemas/log-entry.ts';
import { isAccordError } from '#schemas/problems.ts';
import { checked } from './check-configuration.ts';
import { needed, type PackFiles } from './check-message.ts';
import { PackFinding } from './finding.ts';
import { parseHashes } from './layout.ts';

type VerifyToken = (token: Buffer, imprint: Buffer) => { genTimeMs: number };

/** @returns what is shown, for people. @throws PackFinding ENTRY_WRONG, INCLUSION_WRONG, TIME_STAMP_WRONG, TIME_WRONG, PACK_* */
export function checkBefore(
  files: PackFiles,
  request: LogEntry,
  { size, root }: Checkpoint,
  verifyToken: VerifyToken | null,
): string {
  if (!files.has('before/entry')) return 'no earlier time-stamp in the pack';
  const [note, line] = [needed(files, 'before/note'), needed(files, 'before/entry')];
  const entry = checked('ENTRY_WRONG', 'before', () => parseLogEntry(line.toString('utf8')));
  const isRight = entry.kind === 'anchored' && entry.seq < request.seq && entry.statement === sha256(note);
  if (!isRight || !Buffer.from(line.toString('utf8')).equals(line)) throw new PackFinding('ENTRY_WRONG', 'before');
  const path = parseHashes(needed(files, 'before/inclusion'), 'before/inclusion');
  if (!verifyInclusion(leafHash(line), entry.seq, size, path, root)) throw new PackFinding('INCLUSION_WRONG', 'before');
  if (verifyToken === null) return 'the configuration names no time-stamp authority';
  const atMs = latest(note, verifyToken);
  if (atMs === null) return 'the authority of the earlier time-stamp was revoked';
  if (request.t + CLOCK_WINDOW_MS < atMs) throw new PackFinding('TIME_WRONG', new Date(atMs).toISOString());
  return `not before ${new Date(atMs).toISOString()}`;
}

/** The newest of the tokens, all of which are good; those of an authority that was revoked bound nothing. */
function latest(note: Buffer, verifyToken: VerifyToken): number | null {
  return checked('TIME_STAMP_WRONG', 'before', () => {
    const { checkpoint, aggregate, tokens } = parseAnchoring(note);
    if (tokens.length === 0) throw new PackFinding('TIME_STAMP_WRONG', 'before: no token');
    const times = tokens.flatMap(({ over, token }) => {
      const text = parseNote(over === 'checkpoint' ? checkpoint : (aggregate?.checkpoint ?? '')).text;
      try {
        return verifyToken(fromBase64url(token), sha256Of(text)).genTimeMs;
      } catch (error) {
        if (isAccordError(error, 'TIME_STAMP_REVOKED')) return [];
        throw error;
      }
    });
    return times.length === 0 ? null : Math.max(...times);
  });
}
