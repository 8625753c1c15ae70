// The archive as the settings of a server say, with what lies beside them in its data folder: the archive key
// (`keys/archive`), and `archive-s3.json` with the credentials of a bucket. Whoever can write there is the server.
import { readFileSync, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { archiveKeyOf } from '#certs/archive-cipher.ts';
import { openKey } from '#certs/key-file.ts';
import {
  type DestinationWords,
  isS3,
  openDestination,
  readCredentials,
  type S3Credentials,
} from '#core/archive/open-destination.ts';
import { readKeyFile } from '#core/key-store.ts';
import { AccordError } from '#schemas/problems.ts';
import { Type } from '#schemas/schema-builder.ts';
import type { ArchiveOptions } from './server-archive.ts';

export const ArchiveSettings = Type.Object(
  {
    /** A folder (a path that is not absolute begins in the data folder), or `s3://BUCKET/PREFIX`; null: no archive. */
    destination: Type.Union([Type.String({ minLength: 1, maxLength: 1_000 }), Type.Null()]),
    s3Endpoint: Type.Union([Type.String({ pattern: '^https?://[^/?#\\s]{1,255}$' }), Type.Null()]),
    s3Region: Type.String({ pattern: '^[a-z0-9-]{1,64}$' }),
    afterDays: Type.Integer({ minimum: 1, maximum: 36_525 }),
    keepEntries: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
    lockDays: Type.Integer({ minimum: 0, maximum: 36_525 }),
    lockMode: Type.Union([Type.Literal('GOVERNANCE'), Type.Literal('COMPLIANCE')]),
  },
  { additionalProperties: false },
);

export const DEFAULT_ARCHIVE = {
  destination: null,
  s3Endpoint: null,
  s3Region: 'us-east-1',
  afterDays: 90,
  keepEntries: 0,
  lockDays: 0,
  lockMode: 'GOVERNANCE' as const,
};

export const ARCHIVE_FILES = { key: 'archive', credentials: 'archive-s3.json' } as const;

type Words = Omit<DestinationWords, 'destination'> & { destination: string | null };

/** Where a data folder's archive lies; null where it has none. @throws SETTINGS_INVALID, KEY_FILE_MODE */
export function destinationIn(
  folder: string,
  words: Words,
): { words: DestinationWords; credentials: S3Credentials | null } | null {
  const { destination } = words;
  if (destination === null) return null;
  if (isS3(destination)) {
    return { words: { ...words, destination }, credentials: credentialsIn(join(folder, ARCHIVE_FILES.credentials)) };
  }
  const place = isAbsolute(destination) ? destination : join(folder, destination);
  return { words: { ...words, destination: place }, credentials: null };
}

/** @throws SETTINGS_INVALID, KEY_FILE_MODE when others may read it */
export function credentialsIn(file: string): S3Credentials {
  const text = (() => {
    try {
      if ((statSync(file).mode & 0o077) !== 0) throw new AccordError('KEY_FILE_MODE', file);
      return readFileSync(file);
    } catch (cause) {
      if (cause instanceof AccordError) throw cause;
      throw new AccordError('SETTINGS_INVALID', `${file} cannot be read`, { cause });
    }
  })();
  return readCredentials(text);
}

/** @throws SETTINGS_INVALID, KEY_FILE_*, KEY_UNSUITABLE */
export async function openArchiveSettings(
  folder: string,
  settings: Words & { afterDays: number; keepEntries: number },
  passphrase: string,
): Promise<ArchiveOptions | null> {
  const found = destinationIn(folder, settings);
  if (found === null) return null;
  const { privateKey, use } = await openKey(await readKeyFile(join(folder, 'keys'), ARCHIVE_FILES.key), passphrase);
  if (use !== 'archive') throw new AccordError('KEY_UNSUITABLE', `keys/${ARCHIVE_FILES.key} is for ${use}`);
  const { afterDays, keepEntries } = settings;
  return {
    key: archiveKeyOf(privateKey),
    ...{ afterDays, keepEntries },
    open: (ports) => openDestination(found.words, found.credentials, ports),
  };
}
