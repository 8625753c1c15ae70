// The load of campaign `soak`, a process of its own: for each order so many requests a second of every kind that a server
// meets in a day, small and large, answered and refused, awaited and given up. Prints one line for each order: how many of
// each kind, and which did not end as they should.
import { Agent, request } from 'node:http';
import { createInterface } from 'node:readline';
import { randomFrom, type Source } from '#scripts/demo/random.ts';
import { CLIENT, SERVICE } from './pair.ts';

export interface SoakOrder {
  port: number;
  perSecond: number;
  seconds: number;
  seed: number;
}

export interface SoakSeen {
  kinds: Record<string, number>;
  faults: number;
  found: string[];
}

interface Asked {
  path: string;
  headers: Record<string, string>;
  body: Buffer;
  /** Status and length of the answer; null for one that is not waited for. */
  expects: { status: number; length: number | null } | null;
  /** The caller hangs up so long after it asked. */
  abortMs?: number;
}

const KIB = 1024;
const TICK_MS = 20;
const TIMEOUT_MS = 60_000;
const MOST_AT_ONCE = 128;
const bytes = Buffer.alloc(2 * KIB * KIB, 'asked ');
const agent = new Agent({ keepAlive: true, maxSockets: MOST_AT_ONCE });

function lookup(chance: Source, more: object = {}): Asked {
  const body = { remarks: 'x'.repeat(chance.integer(1, 10) * KIB) };
  const asked = { client: CLIENT, service: SERVICE, method: 'POST', path: '/records', body, ...more };
  return {
    path: '/lookups',
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify(asked)),
    expects: { status: 200, length: null },
  };
}

/** In X-Road's protocol: as many bytes down as up. */
function call(size: number): Asked {
  return {
    path: `/r1/${SERVICE}/bytes/${size}`,
    headers: { 'x-road-client': CLIENT, 'content-type': 'application/octet-stream' },
    body: bytes.subarray(0, size),
    expects: { status: 200, length: size },
  };
}

/** Kinds, and how many of a hundred requests are of each. */
const KINDS: readonly [string, number, (chance: Source) => Asked][] = [
  ['lookup', 55, (chance) => lookup(chance)],
  ['small call', 25, (chance) => call(chance.integer(2, 100) * KIB)],
  ['large call', 2, (chance) => call(chance.integer(100, 2 * KIB) * KIB)],
  ['refused', 5, (chance) => ({ ...lookup(chance, { basis: 'law' }), expects: { status: 403, length: null } })],
  ['unknown path', 3, (chance) => ({ ...lookup(chance), path: '/nowhere', expects: { status: 404, length: null } })],
  [
    'malformed',
    3,
    () => ({ ...call(0), path: '/lookups', body: Buffer.from('{'), expects: { status: 415, length: null } }),
  ],
  ['aborted', 5, (chance) => ({ ...lookup(chance), expects: null, abortMs: chance.integer(0, 20) })],
  ['aborted call', 2, (chance) => ({ ...call(1_500 * KIB), expects: null, abortMs: chance.integer(0, 60) })],
];

function pick(chance: Source): [string, Asked] {
  let left = chance.integer(0, 99);
  for (const [kind, share, make] of KINDS) {
    left -= share;
    if (left < 0) return [kind, make(chance)];
  }
  throw new TypeError('kinds of a hundred');
}

/** Null, or what was wrong. */
function send(port: number, asked: Asked): Promise<string | null> {
  const { path, headers, body, expects, abortMs } = asked;
  return new Promise((resolve) => {
    const options = { port, host: '127.0.0.1', method: 'POST', path, headers, agent, timeout: TIMEOUT_MS };
    const sent = request({ ...options, headers: { ...headers, 'content-length': body.length } }, (answer) => {
      let length = 0;
      let said = '';
      answer.on('data', (chunk: Buffer) => {
        if (length < 200) said += chunk.toString('latin1', 0, 200);
        length += chunk.length;
      });
      answer.on('end', () => {
        const isExpected =
          expects === null || (answer.statusCode === expects.status && length === (expects.length ?? length));
        resolve(isExpected ? null : `${answer.statusCode}, ${length} bytes: ${said.slice(0, 300)}`);
      });
      answer.on('error', (error) => resolve(expects === null ? null : error.message));
    });
    sent.on('error', (error: NodeJS.ErrnoException) => {
      if (expects === null) resolve(null);
      // RFC 9112 9.3.1: the server closed an idle connection just then.
      else if (sent.reusedSocket && error.code === 'ECONNRESET') resolve(send(port, asked));
      else resolve(error.message);
    });
    sent.on('timeout', () => sent.destroy(new Error('no answer in a minute')));
    if (expects === null) sent.on('close', () => resolve(null));
    sent.end(body);
    if (abortMs !== undefined) setTimeout(() => sent.destroy(), abortMs);
  });
}

async function carryOut({ port, perSecond, seconds, seed }: SoakOrder): Promise<SoakSeen> {
  const chance = randomFrom(seed);
  const seen: SoakSeen = { kinds: {}, faults: 0, found: [] };
  const underWay = new Set<Promise<void>>();
  const beganMs = performance.now();
  for (let count = 0, nowMs = 0; nowMs < seconds * 1000; nowMs = performance.now() - beganMs) {
    for (; count < (nowMs / 1000) * perSecond && underWay.size < MOST_AT_ONCE; count += 1) {
      const [kind, asked] = pick(chance);
      const going = send(port, asked).then((fault) => {
        underWay.delete(going);
        seen.kinds[kind] = (seen.kinds[kind] ?? 0) + 1;
        if (fault === null) return;
        seen.faults += 1;
        if (seen.found.length < 5) seen.found.push(`${kind}: ${fault}`);
      });
      underWay.add(going);
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
  await Promise.all(underWay);
  return seen;
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await carryOut(JSON.parse(line) as SoakOrder)));
}
process.exit(0);
