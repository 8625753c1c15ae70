// The files of an evidence pack and their forms (docs/evidence.md): exact bytes wherever something was signed or hashed,
// and else lines of text that a shell can read. Whoever made the pack controls all of it; nothing here verifies anything,
// it only says what can be read in one way.
import { HASH_BYTES } from '#certs/merkle.ts';
import { SUBSYSTEM_ID_PATTERN } from '#schemas/identifiers.ts';
import { MESSAGE_ID_PATTERN } from '#schemas/statement.ts';
import { PackFinding } from './finding.ts';

/** Two bodies and contexts of the largest kind, two sets of configuration parts, and what proves them. */
export const MAX_PACK_BYTES = 256 * 1024 * 1024;
export const MAX_PACK_FILES = 512;

export type Side = 'consumer' | 'provider';
export type MessageName = 'request' | 'answer';
export const MESSAGES: readonly MessageName[] = ['request', 'answer'];
/** Where a checkpoint lies with what vouches for it: the exchange's, and a later one with the entries of a destruction. */
export type LogFolder = 'log' | 'destruction/log';

/** What lies outside the manifest: the manifest itself, and the exporter's signature over it. */
export const MANIFEST = 'manifest';
export const SEAL = 'seal.jws';
export const SEAL_CERTIFICATE = 'seal.der';

const FILE_NAME = new RegExp(
  '^(?:pack|manifest|seal\\.jws|seal\\.der' +
    '|(?:request|answer)/(?:statement|signature|place|certificate\\.der|context|context\\.salt|body|body\\.salt' +
    '|entry|inclusion|certificate-status\\.der)' +
    '|before/(?:entry|inclusion|note)' +
    '|(?:destruction/)?log/(?:checkpoint|aggregate|aggregate\\.place|token\\.(?:aggregate|checkpoint)\\.[1-8]\\.der)' +
    '|destruction/(?:request|answer)/(?:certificate\\.jws|certificate\\.der|(?:intended|done)/(?:entry|inclusion|note))' +
    '|configuration/root\\.[1-9][0-9]{0,8}\\.jws' +
    '|configuration/[1-9][0-9]{0,14}/(?:content\\.jws|parts/(?:members\\.[0-9a-f]{2}|trust|witnesses|time-stamps)))$',
);

/** Whether a pack may hold a file of this name. */
export function isPackFile(name: string): boolean {
  return FILE_NAME.test(name);
}

/** The file `pack`: whose it is, and under which versions of the configuration its pieces were judged. */
export interface PackHead {
  exchange: string;
  /** The security server whose log the entries are from. */
  server: string;
  side: Side;
  request: number;
  answer: number;
  /** Of the entry that anchored the log; 0 without one. */
  anchoring: number;
  /** Of the entry that anchored it later, when a destruction was written in it; 0, and no line, without one. */
  destruction: number;
}

const HEAD = new RegExp(
  '^accord-evidence/1\n' +
    `exchange (${MESSAGE_ID_PATTERN.slice(1, -1)})\n` +
    `server (${SUBSYSTEM_ID_PATTERN.slice(1, -1)})\n` +
    'side (consumer|provider)\n' +
    'configuration of the request ([1-9][0-9]{0,14})\n' +
    'configuration of the answer ([1-9][0-9]{0,14})\n' +
    'configuration of the anchoring (0|[1-9][0-9]{0,14})\n' +
    '(?:configuration of the destruction ([1-9][0-9]{0,14})\n)?$',
);

export function encodeHead({ exchange, server, side, request, answer, anchoring, destruction }: PackHead): Buffer {
  const versions = [
    `configuration of the request ${request}`,
    `configuration of the answer ${answer}`,
    `configuration of the anchoring ${anchoring}`,
    ...(destruction > 0 ? [`configuration of the destruction ${destruction}`] : []),
  ];
  const lines = ['accord-evidence/1', `exchange ${exchange}`, `server ${server}`, `side ${side}`, ...versions];
  return Buffer.from(`${lines.join('\n')}\n`);
}

/** @throws PackFinding PACK_MALFORMED */
export function parseHead(bytes: Buffer): PackHead {
  const m = HEAD.exec(bytes.toString('latin1'));
  if (m === null) throw new PackFinding('PACK_MALFORMED', 'pack');
  const [, exchange = '', server = '', side = '', request, answer, anchoring, destruction = 0] = m;
  const versions = {
    ...{ request: Number(request), answer: Number(answer) },
    ...{ anchoring: Number(anchoring), destruction: Number(destruction) },
  };
  return { exchange, server, side: side as Side, ...versions };
}

/** Where a statement stands in its batch, or a checkpoint in the aggregate log: numbers in a line, then sibling hashes. */
export function encodePlace(numbers: readonly number[], path: readonly Buffer[]): Buffer {
  return Buffer.concat([Buffer.from(`${numbers.join(' ')}\n`), encodeHashes(path)]);
}

/** Sibling hashes from the leaf upwards, one a line, base64. */
export function encodeHashes(hashes: readonly Buffer[]): Buffer {
  return Buffer.from(hashes.map((hash) => `${hash.toString('base64')}\n`).join(''));
}

/** @throws PackFinding PACK_MALFORMED */
export function parsePlace(bytes: Buffer, count: number, name: string): { numbers: number[]; path: Buffer[] } {
  const end = bytes.indexOf('\n') + 1;
  const line = bytes.toString('latin1', 0, end);
  const isPlain = end > 0 && /^(?:0|[1-9][0-9]{0,14})(?: (?:0|[1-9][0-9]{0,14}))*\n$/.test(line);
  const numbers = isPlain ? line.trim().split(' ').map(Number) : [];
  if (numbers.length !== count) throw new PackFinding('PACK_MALFORMED', name);
  return { numbers, path: parseHashes(bytes.subarray(end), name) };
}

const MAX_HASHES = 64;

/** @throws PackFinding PACK_MALFORMED */
export function parseHashes(bytes: Buffer, name: string): Buffer[] {
  const lines = bytes.toString('latin1').split('\n');
  const isWhole = lines.pop() === '' && lines.length <= MAX_HASHES;
  const hashes = lines.map((line) => Buffer.from(line, 'base64'));
  const arePlain = hashes.every((hash, i) => hash.length === HASH_BYTES && hash.toString('base64') === lines[i]);
  if (!isWhole || !arePlain) throw new PackFinding('PACK_MALFORMED', name);
  return hashes;
}
