// Campaign `tamper` on an archive: edits of its files as they lie at the destination, and by whoever holds the archive key,
// who reads and writes what is in them and makes manifests fit again; also with the server's checkpoint key. Judged by a
// reader who knows the newest manifest from the log, by one who has the archive alone, and by what a restore puts in place.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { decipherFile, encipherFile } from '#certs/archive-cipher.ts';
import { sha256 } from '#certs/commitment.ts';
import { Frontier, leafHash } from '#certs/merkle.ts';
import { readChain } from '#core/archive/chain.ts';
import { MANIFEST, placeOfFile, segmentName } from '#core/archive/destination.ts';
import { restoreArchive } from '#core/archive/restore.ts';
import { type ArchivedRow, decodeRows, encodeRow } from '#core/archive/rows.ts';
import { checkpointText } from '#core/log/signed-note.ts';
import { type ArchiveManifest, manifestText } from '#schemas/archive.ts';
import { canonicalJson } from '#schemas/canonical-json.ts';
import { encodeLogEntry, parseLogEntry } from '#schemas/log-entry.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { Source } from '#scripts/demo/random.ts';
import { type ArchiveTarget, inMemory, type Objects, readArchive } from './tamper-archive-target.ts';
import { damageBytes } from './tamper-bytes.ts';
import { sizeOfNote } from './tamper-forgery.ts';
import type { Case } from './tamper-log.ts';

/** Whether a reader knows the hash of the newest manifest; else he has the archive alone. */
type Knows = 'log' | 'archive';

export async function tamperArchive(target: ArchiveTarget, chance: Source): Promise<Case> {
  const which = chance.weighted([0.45, 0.35, 0.1, 0.1]);
  if (which === 0) return editObjects(target, chance);
  if (which === 1) return editInside(target, chance);
  if (which === 2) return signedAgain(target, chance);
  return restored(target, chance);
}

/** Bytes at the destination. */
async function editObjects(target: ArchiveTarget, chance: Source): Promise<Case> {
  const objects = new Map(target.objects);
  const knows: Knows = chance.chance(0.5) ? 'log' : 'archive';
  const edit = `${damageObjects(objects, chance)} of the archive, for a reader of the ${knows}`;
  const { code, content } = await target.read(target, objects, knows === 'log' ? target.newest : null);
  if (code !== null) return { edit, fault: null, by: code };
  if (content === target.content) return { edit, fault: null, by: 'means nothing' };
  // Whose newest segment went away has an older archive, whole: how far the log went is the log's word, and the witness's.
  const isShorter = knows === 'archive' && sizeOf(objects, target) < target.subject.outside.size();
  return { edit, fault: isShorter ? null : 'not found', by: isShorter ? 'found from outside' : 'none' };
}

function sizeOf(objects: Objects, { manifests }: ArchiveTarget): number {
  const kept = manifests.filter(({ origin, from, to }) => objects.has(`${segmentName(origin, from, to)}/${MANIFEST}`));
  return Math.max(0, ...kept.map(({ to }) => to));
}

function damageObjects(objects: Objects, chance: Source): string {
  const names = [...objects.keys()];
  const name = chance.pick(names);
  const other = chance.pick(names);
  const bytes = objects.get(name) ?? Buffer.alloc(0);
  const short = name.slice(name.indexOf('/') + 1);
  switch (chance.weighted([0.7, 0.1, 0.1, 0.1])) {
    case 0: {
      const { bytes: damaged, what } = damageBytes(bytes, chance, 512);
      objects.set(name, damaged);
      return `${what} of ${short}`;
    }
    case 1:
      objects.delete(name);
      return `${short} dropped`;
    case 2:
      objects.set(name, objects.get(other) ?? bytes);
      return `another file for ${short}`;
    default: {
      const folder = name.slice(0, name.lastIndexOf('/') + 1);
      for (const one of names) if (one.startsWith(folder)) objects.delete(one);
      return `the segment of ${short} dropped`;
    }
  }
}

interface Inside {
  segment: number;
  file: string;
  plain: Buffer;
  /** Where an audit has to say that it begins: an entry, or null where none can be named. */
  from: number;
  isPinned: boolean;
}

/** The holder of the archive key: files are opened, changed, enciphered again; the chain of manifests is made to fit. */
async function editInside(target: ArchiveTarget, chance: Source): Promise<Case> {
  const changed = changeInside(target, chance);
  const objects = putInside(target, [changed]);
  const edit = `${changed.file} of segment ${changed.segment}, by the holder of the archive key`;
  const alone = await target.read(target, objects, null);
  const known = await target.read(target, objects, target.newest);
  const isNothing = [...objects].every(([name, bytes]) => target.objects.get(name)?.equals(bytes));
  if (isNothing && known.code === null) return { edit, fault: null, by: 'means nothing' };
  if (known.code === null) return { edit, fault: 'another newest manifest passes', by: 'none' };
  if (alone.code === null) {
    const isSame = alone.content === target.content;
    return { edit, fault: isSame ? null : 'not found in the archive alone', by: isSame ? 'means nothing' : 'none' };
  }
  const isThere = alone.seq === null ? true : changed.isPinned ? alone.seq === changed.from : alone.seq >= changed.from;
  return { edit, fault: isThere ? null : `${alone.code} at ${alone.seq}, not at ${changed.from}`, by: alone.code };
}

function plainOf({ objects, manifests, key }: ArchiveTarget, segment: number, file: string): Buffer {
  const { origin, from, to } = manifests[segment] as ArchiveManifest;
  return decipherFile(
    key,
    placeOfFile(origin, from, to, file),
    objects.get(`${segmentName(origin, from, to)}/${file}`) ?? Buffer.alloc(0),
  );
}

function changeInside(target: ArchiveTarget, chance: Source): Inside {
  const segment = chance.integer(0, target.manifests.length - 1);
  const manifest = target.manifests[segment] as ArchiveManifest;
  const file = chance.chance(0.6) ? 'rows-0000' : chance.pick(manifest.files.map(({ name }) => name));
  const plain = plainOf(target, segment, file);
  if (!file.startsWith('rows-') || chance.chance(0.3)) {
    return { segment, file, plain: damageBytes(plain, chance, 256).bytes, from: manifest.from, isPinned: false };
  }
  const rows = decodeRows(plain);
  const at = chance.integer(0, rows.length - 1);
  const { isPinned, first } = changeRows(rows, at, chance);
  return {
    segment,
    file,
    plain: Buffer.concat(rows.flatMap((row) => encodeRow(row))),
    from: manifest.from + first,
    isPinned,
  };
}

/** Rows of one file, in other words, order or number. @returns the first that is not what it was */
function changeRows(rows: ArchivedRow[], at: number, chance: Source): { first: number; isPinned: boolean } {
  const row = rows[at] as ArchivedRow;
  const next = rows[at + 1];
  switch (chance.integer(0, 4)) {
    case 0:
      rows[at] = { ...row, line: flipped(row.line, chance) };
      return { first: at, isPinned: false };
    case 1:
      if (row.statement !== null) rows[at] = { ...row, statement: flipped(row.statement, chance) };
      return { first: at, isPinned: true };
    case 2:
      if (next === undefined) return { first: at, isPinned: false };
      [rows[at], rows[at + 1]] = [next, row];
      return { first: at, isPinned: true };
    case 3:
      rows.splice(at, 1);
      return { first: 0, isPinned: false };
    default:
      rows.splice(at, 0, row);
      return { first: 0, isPinned: false };
  }
}

function flipped(bytes: Buffer, chance: Source): Buffer {
  const copy = Buffer.from(bytes);
  const at = chance.integer(0, copy.length - 1);
  copy[at] = (copy[at] ?? 0) ^ (1 << chance.integer(0, 6));
  return copy;
}

/** Files are put back, and every manifest behind names what it has to. */
function putInside(
  target: ArchiveTarget,
  changes: readonly Inside[],
  change?: (manifest: ArchiveManifest, at: number) => void,
): Objects {
  const { key, manifests } = target;
  const objects = new Map(target.objects);
  let previous: string | null = null;
  for (const [at, original] of manifests.entries()) {
    const manifest = structuredClone(original);
    const folder = segmentName(manifest.origin, manifest.from, manifest.to);
    for (const { segment, file, plain } of changes) {
      const entry = manifest.files.find(({ name }) => name === file);
      if (segment !== at || entry === undefined) continue;
      const bytes = encipherFile(key, placeOfFile(manifest.origin, manifest.from, manifest.to, file), plain);
      objects.set(`${folder}/${file}`, bytes);
      Object.assign(entry, { bytes: bytes.length, sha256: sha256(bytes) });
    }
    manifest.previous = previous;
    change?.(manifest, at);
    const text = Buffer.from(manifestText(manifest));
    objects.set(`${folder}/${MANIFEST}`, text);
    previous = sha256(text);
  }
  return objects;
}

/** Another history, signed with the server's own key all through: only what others hold knows better. */
async function signedAgain(target: ArchiveTarget, chance: Source): Promise<Case> {
  const edit = "an entry of the archive in other words, signed again with the server's key";
  const { manifests, subject } = target;
  const segment = chance.integer(0, manifests.length - 1);
  const { changes, roots, seq } = forgeHistory(target, segment, chance);
  const objects = putInside(target, changes, (manifest) => {
    const [root, note] = roots.get(manifest.to) ?? [];
    if (root !== undefined) Object.assign(manifest, { root, checkpoint: note });
  });
  const known = await target.read(target, objects, target.newest);
  if (known.code === null) return { edit, fault: 'another newest manifest passes', by: 'none' };
  const alone = await target.read(target, objects, null);
  if (alone.code !== null) {
    const isThere = alone.seq === null || alone.seq >= seq;
    return { edit, fault: isThere ? null : `${alone.code} at ${alone.seq}, changed from ${seq}`, by: alone.code };
  }
  const seen = new Map(subject.outside.seen.map((note) => [sizeOfNote(note), note.split('\n')[2]]));
  const wrong = [...alone.roots].filter(([size, root]) => seen.has(size) && seen.get(size) !== root.toString('base64'));
  const isFound = wrong.length > 0 && wrong.every(([size]) => size > seq);
  return { edit, fault: isFound ? null : 'the witness has seen nothing else', by: 'found from outside' };
}

function forgeHistory(target: ArchiveTarget, segment: number, chance: Source) {
  const { manifests, subject } = target;
  const frontier = new Frontier();
  const rootOf = new Map<number, Buffer>();
  const changes: Inside[] = [];
  let seq = -1;
  for (const [at, manifest] of manifests.entries()) {
    const rows = decodeRows(plainOf(target, at, 'rows-0000'));
    if (at === segment) {
      const index = chance.integer(0, rows.length - 1);
      const row = rows[index] as ArchivedRow;
      const entry = parseLogEntry(row.line.toString('utf8'));
      rows[index] = { ...row, line: Buffer.from(encodeLogEntry({ ...entry, configuration: entry.configuration + 1 })) };
      seq = manifest.from + index;
    }
    for (const { line } of rows) {
      frontier.push(leafHash(line));
      rootOf.set(frontier.size, frontier.root());
    }
    changes.push({
      segment: at,
      file: 'rows-0000',
      plain: Buffer.concat(rows.flatMap((row) => encodeRow(row))),
      from: seq,
      isPinned: false,
    });
  }
  const roots = new Map<number, [root: string, note: string]>();
  const signed = (size: number, note: string) => {
    const root = rootOf.get(size) ?? Buffer.alloc(32);
    if (size <= seq) return note;
    const again = subject.sign(checkpointText({ origin: subject.options.origin, size, root }));
    roots.set(size, [root.toString('base64url'), again]);
    return again;
  };
  for (const [at] of manifests.entries()) {
    const lines = plainOf(target, at, 'checkpoints').toString('utf8').trimEnd().split('\n');
    const plain = lines.map((line) => {
      const one = JSON.parse(line) as { size: number; atMs: number; note: string };
      return `${canonicalJson({ ...one, note: signed(one.size, one.note) })}\n`;
    });
    changes.push({ segment: at, file: 'checkpoints', plain: Buffer.from(plain.join('')), from: seq, isPinned: false });
  }
  return { changes, roots, seq };
}

/** A restore puts a log in place only when its audit finds nothing. */
async function restored(target: ArchiveTarget, chance: Source): Promise<Case> {
  const isInside = chance.chance(0.5);
  const objects = isInside ? putInside(target, [changeInside(target, chance)]) : new Map(target.objects);
  const edit = `${isInside ? 'a file by the holder of the archive key' : damageObjects(objects, chance)}, then a restore`;
  const folder = join(target.place, 'restored');
  rmSync(folder, { recursive: true, force: true });
  const { origin } = target.subject.options;
  try {
    const destination = inMemory(objects);
    const chain = await readChain(destination, { origin, newest: target.newest });
    const { ok, code } = await restoreArchive({
      destination,
      key: target.key,
      chain,
      folder,
      verifierKey: target.verifierKey,
    });
    if (!ok) return { edit, fault: null, by: code ?? 'none' };
    const { content } = await readArchive(target, objects, target.newest);
    return { edit, fault: content === target.content ? null : 'restored as if it were whole', by: 'means nothing' };
  } catch (error) {
    if (!isAccordError(error)) throw error;
    return { edit, fault: null, by: error.code };
  }
}
