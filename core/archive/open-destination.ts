// A destination as an operator writes it: the path of a folder, or `s3://BUCKET/PREFIX` with the store's address beside it.
import type { Clock } from '#core/clock.ts';
import type { BoundedClient } from '#core/http/client.ts';
import { parseJson } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';
import type { ArchiveDestination } from './destination.ts';
import { folderDestination } from './folder-destination.ts';
import { s3Destination } from './s3-destination.ts';

const Credentials = Type.Object(
  {
    accessKeyId: Type.String({ minLength: 1, maxLength: 128, pattern: '^[!-~]+$' }),
    secretAccessKey: Type.String({ minLength: 1, maxLength: 256, pattern: '^[!-~]+$' }),
  },
  { additionalProperties: false },
);
export type S3Credentials = Static<typeof Credentials>;

const checkCredentials = compile(Credentials, 'SETTINGS_INVALID');
const S3 = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([A-Za-z0-9._/-]{0,200}))?$/;

export interface DestinationWords {
  destination: string;
  s3Endpoint: string | null;
  s3Region: string;
  /** 0: objects are not locked. */
  lockDays: number;
  lockMode: 'GOVERNANCE' | 'COMPLIANCE';
}

export function isS3(destination: string): boolean {
  return destination.startsWith('s3://');
}

/** The text of a file with `accessKeyId` and `secretAccessKey`. @throws SETTINGS_INVALID, JSON_* */
export function readCredentials(text: Uint8Array): S3Credentials {
  return checkCredentials(parseJson(text, { maxBytes: 4096, maxDepth: 1 }));
}

/** @param credentials null for a folder @throws SETTINGS_INVALID */
export function openDestination(
  words: DestinationWords,
  credentials: S3Credentials | null,
  ports: { clock: Clock; http: BoundedClient; signal?: AbortSignal },
): ArchiveDestination {
  const { destination, s3Endpoint, s3Region, lockDays, lockMode } = words;
  if (!isS3(destination)) {
    if (lockDays > 0) throw new AccordError('SETTINGS_INVALID', 'a folder locks nothing: archive.lockDays has to be 0');
    return folderDestination(destination);
  }
  const [, bucket, prefix = ''] = S3.exec(destination) ?? [];
  if (bucket === undefined) throw new AccordError('SETTINGS_INVALID', `${destination} is not s3://BUCKET/PREFIX`);
  if (s3Endpoint === null || credentials === null) {
    throw new AccordError('SETTINGS_INVALID', 'a bucket needs the address of its store and credentials');
  }
  return s3Destination({
    ...{ endpoint: s3Endpoint, region: s3Region, bucket, ...credentials, ...ports },
    prefix: prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`,
    lock: lockDays === 0 ? null : { mode: lockMode, days: lockDays },
  });
}
