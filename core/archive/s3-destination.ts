// An archive in a bucket of an S3-compatible store: PUT, GET, HEAD and ListObjectsV2, path-style, signed with AWS Signature
// Version 4 over the body too. Every object says its SHA-256 and MD5, so that the store refuses what arrived broken, and is
// locked until a time (object lock) where that is asked for; whether it really is locked is read back. Nothing is deleted and
// no upload has parts: what a segment holds is cut into small enough files. The store controls every answer.
import { createHash } from 'node:crypto';
import { AwsV4Signer } from 'aws4fetch';
import type { Clock } from '#core/clock.ts';
import type { BoundedClient, BoundedResponse } from '#core/http/client.ts';
import { MAX_ARCHIVE_LIST_BYTES, MAX_ARCHIVE_LIST_PAGE_BYTES, MAX_ARCHIVE_LIST_PAGES } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { type ArchiveDestination, keepName } from './destination.ts';

export interface S3Options {
  /** `https://host:port`, nothing behind it. */
  endpoint: string;
  region: string;
  bucket: string;
  /** Before every name; ends with `/`, or is empty. */
  prefix: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** Null: objects are not locked. */
  lock: { mode: 'GOVERNANCE' | 'COMPLIANCE'; days: number } | null;
  clock: Clock;
  http: BoundedClient;
  /** The caller gave up. */
  signal?: AbortSignal;
  timeoutMs?: number;
  /** Of one list, where not as in schemas/limits.ts. */
  listLimits?: { pages: number; bytes: number };
}

const TIMEOUT_MS = 120_000;
const TRIES = 2;
const MS_PER_DAY = 86_400_000;
const MAX_ANSWER_BYTES = 64 * 1024;
const LIST_LIMITS = { pages: MAX_ARCHIVE_LIST_PAGES, bytes: MAX_ARCHIVE_LIST_BYTES };
/** A store keeps seconds only, and its clock may differ. */
const LOCK_SLACK_MS = 600_000;

export function s3Destination(options: S3Options): ArchiveDestination {
  const { endpoint, bucket, prefix, lock } = options;
  const send = sender(options);
  const pathOf = (name: string) => `/${bucket}/${prefix}${name}`;

  async function head(name: string): Promise<Map<string, string> | null> {
    const answer = await send('HEAD', pathOf(name), { headers: { 'x-amz-checksum-mode': 'ENABLED' } });
    if (answer.status === 404) return null;
    if (answer.status !== 200) throw refused(name, answer);
    return new Map(answer.headers.map(([header, value]) => [header.toLowerCase(), value]));
  }

  function requireLocked(name: string, found: Map<string, string> | null, leastMs: number): void {
    if (lock === null) return;
    const mode = found?.get('x-amz-object-lock-mode');
    const until = Date.parse(found?.get('x-amz-object-lock-retain-until-date') ?? '');
    const isLocked = (mode === lock.mode || mode === 'COMPLIANCE') && until >= leastMs - LOCK_SLACK_MS;
    if (!isLocked) throw new AccordError('ARCHIVE_LOCK_REFUSED', `${name} is not locked`);
  }

  return {
    name: `${endpoint}/${bucket}/${prefix}`,
    isLocked: lock !== null,
    async put(name, bytes) {
      const checksum = createHash('sha256').update(bytes).digest('base64');
      const there = await head(name);
      // Made again over itself: a store that lets nothing be overwritten that is locked keeps the one it has.
      if (there?.get('x-amz-checksum-sha256') === checksum) {
        requireLocked(name, there, options.clock.nowMs());
        return;
      }
      const untilMs = options.clock.nowMs() + (lock?.days ?? 0) * MS_PER_DAY;
      const locked = lock && {
        'x-amz-object-lock-mode': lock.mode,
        'x-amz-object-lock-retain-until-date': new Date(untilMs).toISOString(),
      };
      const answer = await send('PUT', pathOf(name), {
        headers: {
          'x-amz-checksum-sha256': checksum,
          'content-md5': createHash('md5').update(bytes).digest('base64'),
          ...locked,
        },
        body: bytes,
      });
      if (answer.status !== 200) throw refused(name, answer, lock !== null);
      if (lock !== null) requireLocked(name, await head(name), untilMs);
    },
    async get(name, maxBytes) {
      const answer = await send('GET', pathOf(name), { maxResponseBytes: maxBytes });
      if (answer.status === 404) return null;
      if (answer.status !== 200) throw refused(name, answer);
      return answer.body;
    },
    list: (beginning, ending = '') => listAll(send, options, beginning, ending),
    close: async () => {},
  };
}

interface Sent {
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: Buffer;
  maxResponseBytes?: number;
}
type Send = (method: string, path: string, sent: Sent) => Promise<BoundedResponse>;

function sender({ endpoint, region, accessKeyId, secretAccessKey, clock, http, signal, timeoutMs }: S3Options): Send {
  const cache = new Map<string, ArrayBuffer>();
  const once: Send = async (method, path, { query = {}, headers = {}, body, maxResponseBytes }) => {
    const url = new URL(path, endpoint);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const bodyHash = createHash('sha256')
      .update(body ?? '')
      .digest('hex');
    const signer = new AwsV4Signer({
      ...{ method, url: url.href, service: 's3', region, accessKeyId, secretAccessKey, cache },
      headers: { ...headers, 'x-amz-content-sha256': bodyHash },
      datetime: new Date(clock.nowMs()).toISOString().replace(/[:-]|\.\d{3}/g, ''),
    });
    const signed = await signer.sign();
    return http.request({
      ...{ method, origin: signed.url.origin, path: signed.url.pathname + signed.url.search },
      headers: [...signed.headers.entries()],
      timeoutMs: timeoutMs ?? TIMEOUT_MS,
      maxResponseBytes: maxResponseBytes ?? MAX_ANSWER_BYTES,
      ...(body && { body }),
      ...(signal && { signal }),
    });
  };
  return async (method, path, sent) => {
    for (let tried = 1; ; tried++) {
      try {
        const answer = await once(method, path, sent);
        if (answer.status < 500 || tried === TRIES) return answer;
      } catch (cause) {
        if (!isAccordError(cause)) throw cause;
        if (cause.code === 'RESPONSE_TOO_LARGE')
          throw new AccordError('ARCHIVE_DAMAGED', `${path} is too large`, { cause });
        if (tried === TRIES) throw new AccordError('ARCHIVE_UNREACHABLE', `${path}: ${cause.code}`, { cause });
      }
    }
  };
}

async function listAll(
  send: Send,
  { bucket, prefix, listLimits = LIST_LIMITS }: S3Options,
  beginning: string,
  ending: string,
): Promise<string[]> {
  const names: string[] = [];
  let token: string | null = null;
  let bytes = 0;
  for (let page = 0; page < listLimits.pages && bytes <= listLimits.bytes; page++) {
    const query = { 'list-type': '2', 'encoding-type': 'url', prefix: `${prefix}${beginning}` };
    const answer = await send('GET', `/${bucket}`, {
      query: token === null ? query : { ...query, 'continuation-token': token },
      maxResponseBytes: MAX_ARCHIVE_LIST_PAGE_BYTES,
    });
    if (answer.status !== 200) throw refused(bucket, answer);
    bytes += answer.body.length;
    const xml = answer.body.toString('utf8');
    for (const [, key = ''] of xml.matchAll(/<Key>([^<]*)<\/Key>/g)) {
      const name = nameOf(key).slice(prefix.length);
      if (name.endsWith(ending)) keepName(names, name);
    }
    token = /<IsTruncated>true<\/IsTruncated>/.test(xml) ? textOf(xml, 'NextContinuationToken') : null;
    if (token === null) return names.sort();
  }
  throw new AccordError('ARCHIVE_MALFORMED', 'a list without an end');
}

function nameOf(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch (cause) {
    throw new AccordError('ARCHIVE_UNREACHABLE', 'a list of names that cannot be read', { cause });
  }
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function textOf(xml: string, element: string): string | null {
  const [, text] = new RegExp(`<${element}>([^<]{0,4096})</${element}>`).exec(xml) ?? [];
  return text?.replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => ENTITIES[name] ?? '') ?? null;
}

/** What a store says where it has no object lock, or does not know it. */
const LOCK_CODES = ['InvalidRequest', 'InvalidArgument', 'ObjectLockConfigurationNotFoundError', 'NotImplemented'];

function refused(name: string, { status, body }: BoundedResponse, isLocking = false): AccordError {
  const said = textOf(body.toString('utf8'), 'Code') ?? '';
  const code = isLocking && LOCK_CODES.includes(said) ? 'ARCHIVE_LOCK_REFUSED' : 'ARCHIVE_UNREACHABLE';
  return new AccordError(code, `${name}: HTTP status ${status} ${said.slice(0, 100)}`.trim());
}
