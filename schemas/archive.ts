// The manifest of one segment of an archived message log (docs/evidence.md, Archive): which entries it holds, the signed
// checkpoint they stand under, and the hash of every file. Canonical JSON in its one spelling; the note of the entry
// `archived`, and `manifest.json` of the segment. Each names the hash of the one before, so that they are a chain from the
// log's first entry on. Written by the log's own server; whoever holds the archive controls what is read back, and a reader
// believes the checkpoint's signature and the log.
import { MAX_ARCHIVE_FILES, MAX_ARCHIVE_MANIFEST_BYTES, MAX_ARCHIVE_OBJECT_BYTES } from './limits.ts';
import { readSpelled, spelled } from './one-spelling.ts';
import { AccordError } from './problems.ts';
import { Sha256 } from './registrations.ts';
import { type Static, Type } from './schema-builder.ts';
import { compile } from './validate.ts';

const closed = { additionalProperties: false };
const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

const ArchivedFile = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$' }),
    /** As it lies at the destination, enciphered. */
    bytes: Type.Integer({ minimum: 1, maximum: MAX_ARCHIVE_OBJECT_BYTES }),
    sha256: Sha256,
  },
  closed,
);

export const ArchiveManifest = Type.Object(
  {
    v: Type.Literal(1),
    kind: Type.Literal('archive-segment'),
    origin: Type.String({ minLength: 1, maxLength: 255 }),
    /** The log's first verifier key, C2SP text form. */
    verifierKey: Type.String({ minLength: 1, maxLength: 512 }),
    /** The entries [from, to). */
    from: count,
    to: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    /** Times of the first and the last of them. */
    firstMs: count,
    lastMs: count,
    /** Root of the log at `to`, and its signed checkpoint (C2SP signed note). */
    root: Sha256,
    checkpoint: Type.String({ minLength: 1, maxLength: 4 * 1024 }),
    /** How many stored checkpoints the log has before those of this segment, and with them. */
    checkpoints: Type.Object({ from: count, to: count }, closed),
    /** RFC 7638 thumbprint of the archive key's public half. */
    key: Sha256,
    files: Type.Array(ArchivedFile, { minItems: 1, maxItems: MAX_ARCHIVE_FILES }),
    /** SHA-256 of the manifest before; null of the first. */
    previous: Type.Union([Sha256, Type.Null()]),
  },
  closed,
);
export type ArchiveManifest = Static<typeof ArchiveManifest>;

const check = compile(ArchiveManifest, 'ARCHIVE_MALFORMED');

/** The one spelling. @throws ARCHIVE_MALFORMED when a member is out of bounds, or the text too long */
export function manifestText(manifest: ArchiveManifest): string {
  return spelled(check(manifest), MAX_ARCHIVE_MANIFEST_BYTES, 'ARCHIVE_MALFORMED');
}

/** Reads the one spelling. @throws ARCHIVE_MALFORMED, JSON_* */
export function parseManifest(bytes: Uint8Array): ArchiveManifest {
  const manifest = readSpelled(bytes, check, { maxBytes: MAX_ARCHIVE_MANIFEST_BYTES }, 'ARCHIVE_MALFORMED');
  const { from, to, firstMs, lastMs, checkpoints, files } = manifest;
  const names = new Set(files.map(({ name }) => name));
  if (from >= to || firstMs > lastMs || checkpoints.from >= checkpoints.to || names.size !== files.length) {
    throw new AccordError('ARCHIVE_MALFORMED', 'a manifest of nothing, or with two files of one name');
  }
  return manifest;
}
