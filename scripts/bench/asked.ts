// One request of the load as it goes to a variant, and how its answer is judged. To the security server it is a lookup or,
// for a file, a call in X-Road's protocol; the other variants are given path and body as the backend shall see them.
import {
  answerOf,
  CLIENT,
  FIELDS,
  fileOf,
  GROUNDS,
  isFile,
  pathOf,
  releasedOf,
  requestOf,
  residents,
  SERVICES,
  type ServiceName,
  SIZES,
  type Size,
} from './assistance.ts';

export interface Asked {
  path: string;
  headers: Record<string, string>;
  body: Buffer;
  /** Least and greatest length that the answer's body may have. */
  length: { least: number; most: number };
  /** A file's bytes, compared while they come. */
  bytes: Buffer | null;
  /** What is wrong with a whole answer; null when nothing is. Not for files. */
  fault(body: Buffer): string | null;
}

/** Evidence, and what is said of each field. */
const MOST_AROUND_BODY = 4096;

/** Every request of one size that one variant is sent. @param service null where no security server is asked */
export function asksOf(size: Size, service: 'safe' | 'write' | null): Asked[] {
  if (isFile(size)) return [fileAsk(size, service === null ? null : 'files')];
  return residents.map((resident) =>
    service === null ? plainAsk(size, resident) : lookupAsk(size, resident, service),
  );
}

function plainAsk(size: Size, resident: string): Asked {
  const expected = answerOf(size, resident);
  return {
    path: pathOf(size, resident),
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify(requestOf(size, resident))),
    length: { least: expected.length, most: expected.length },
    bytes: null,
    fault: (body) => (body.equals(expected) ? null : 'another answer than the backend gave'),
  };
}

function lookupAsk(size: Size, resident: string, service: ServiceName): Asked {
  const expected = JSON.stringify(releasedOf(size, resident));
  const least = Buffer.byteLength(expected);
  return {
    path: '/lookups',
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify(lookupOf(size, resident, service, FIELDS))),
    length: { least, most: least + MOST_AROUND_BODY },
    bytes: null,
    fault(body) {
      const { outcome, status, body: released } = JSON.parse(body.toString()) as Record<string, unknown>;
      if (outcome !== 'ok' || status !== 200) return `outcome ${outcome}, status ${status}`;
      return JSON.stringify(released) === expected ? null : 'not what the filter should have left';
    },
  };
}

export function lookupOf(size: Size, resident: string, service: ServiceName, fields: readonly string[]): object {
  const target = { service: SERVICES[service], method: 'POST', path: pathOf(size, resident) };
  return { client: CLIENT, ...target, fields, ...GROUNDS, body: requestOf(size, resident) };
}

function fileAsk(size: Size, service: ServiceName | null): Asked {
  const bytes = fileOf(size);
  const headers: Record<string, string> = { 'content-type': 'application/octet-stream' };
  if (service !== null) headers['x-road-client'] = CLIENT;
  return {
    path: (service === null ? '' : `/r1/${SERVICES[service]}`) + pathOf(size, ''),
    headers,
    body: bytes,
    length: { least: SIZES[size], most: SIZES[size] },
    bytes,
    fault: () => null,
  };
}
