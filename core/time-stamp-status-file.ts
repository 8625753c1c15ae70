// What was learnt of time-stamp authorities' certificates, so that it outlasts a restart: the newest list or OCSP answer of each
// address, and the path of each authority's last good token. One JSON file in the data folder; its administrator controls
// it. Nothing is believed because it lies here: a list or an answer counts by its signature and its times, as when it came.
import { readFileSync } from 'node:fs';
import { fromBase64url } from '#schemas/base64url.ts';
import { parseJson } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';
import { replaceFileMeanwhile } from './replace-file.ts';

/** In a data folder. */
export const TIME_STAMP_STATUS_FILE = 'time-stamp-status.json';

export interface KeptStatus {
  /** By `crl URL` or `ocsp URL`. */
  sources: { key: string; thisUpdateMs: number; bytes: Buffer }[];
  /** By the authority's URL: DER from the signing certificate to the trusted one. */
  paths: { url: string; path: readonly Uint8Array[] }[];
}

const closed = { additionalProperties: false };
const url = Type.String({ minLength: 1, maxLength: 2_100 });
const der = Type.String({ pattern: '^[A-Za-z0-9_-]+$', maxLength: 1_500_000 });
const StatusFile = Type.Object(
  {
    v: Type.Literal(1),
    sources: Type.Array(Type.Object({ key: url, thisUpdateMs: Type.Integer(), bytes: der }, closed), { maxItems: 256 }),
    paths: Type.Array(Type.Object({ url, path: Type.Array(der, { maxItems: 16 }) }, closed), { maxItems: 64 }),
  },
  closed,
);
const check: (value: unknown) => Static<typeof StatusFile> = compile(StatusFile, 'CERTIFICATE_STATUS_UNREADABLE');
const MAX_FILE_BYTES = 64 * 1024 * 1024;

/** @throws CERTIFICATE_STATUS_UNREADABLE: forgetting what is revoked is not this program's decision */
export function readKeptStatus(file: string): KeptStatus {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { sources: [], paths: [] };
    throw error;
  }
  try {
    const kept = check(parseJson(bytes, { maxBytes: MAX_FILE_BYTES, maxDepth: 6, maxValues: 5_000 }));
    return {
      sources: kept.sources.map((one) => ({ ...one, bytes: fromBase64url(one.bytes) })),
      paths: kept.paths.map((one) => ({ ...one, path: one.path.map(fromBase64url) })),
    };
  } catch (cause) {
    throw new AccordError('CERTIFICATE_STATUS_UNREADABLE', file, { cause });
  }
}

/** Durable when it resolves. @throws what the file system said */
export async function writeKeptStatus(file: string, { sources, paths }: KeptStatus): Promise<void> {
  const text = (one: Uint8Array) => Buffer.from(one).toString('base64url');
  const kept: Static<typeof StatusFile> = {
    v: 1,
    sources: sources.map((one) => ({ ...one, bytes: text(one.bytes) })),
    paths: paths.map((one) => ({ ...one, path: one.path.map(text) })),
  };
  await replaceFileMeanwhile(file, Buffer.from(`${JSON.stringify(kept)}\n`), 0o600);
}
