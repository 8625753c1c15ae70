// Lists of source addresses: single addresses and ranges in CIDR notation (RFC 4632, RFC 4291 2.3), IPv4 and IPv6. The
// server's administrator writes the list; what is looked up in it is the address of a connection as the kernel says it,
// never what a header claims.
import { isIP } from 'node:net';
import { groupsOf } from '#core/http/source-of.ts';
import { AccordError } from '#schemas/problems.ts';

/** Where information systems come from unless an administrator says otherwise. */
export const LOOPBACK_ADDRESSES: readonly string[] = ['127.0.0.0/8', '::1/128'];

const V4_BITS = 32;
const V6_BITS = 128;
/** What stands before the last 32 bits of `::ffff:0:0/96`: an IPv4 address on an IPv6 socket. */
const MAPPED = 0xffffn;

interface Range {
  bits: number;
  prefix: number;
  value: bigint;
}

/** Whether an address is in the list. */
export type AddressList = (address: string) => boolean;

/** @throws SCHEMA_MISMATCH for an entry that is neither an address nor a range, or whose host bits are not zero */
export function openAddressList(entries: readonly string[]): AddressList {
  const ranges = entries.map(readRange);
  return (address) => {
    const found = readAddress(address);
    return found !== null && ranges.some((range) => contains(range, found));
  };
}

/** The spelling in which an entry is kept, with its prefix length. @throws SCHEMA_MISMATCH */
export function addressRange(entry: string): string {
  const { bits, prefix } = readRange(entry);
  const [address = ''] = entry.split('/');
  return `${bits === V4_BITS ? address : normalV6(address)}/${prefix}`;
}

function readRange(entry: string): Range {
  const refuse = (why: string) => new AccordError('SCHEMA_MISMATCH', `/addresses: ${entry.slice(0, 64)} ${why}`);
  const [address = '', length, ...more] = entry.split('/');
  const read = more.length === 0 && !address.includes('%') ? readAddress(address) : null;
  if (read === null) throw refuse('is no address and no range');
  if (isIP(address) === 6 && read.bits === V4_BITS) throw refuse('is an IPv4 address: write it as one');
  if (length !== undefined && !/^(?:0|[1-9][0-9]{0,2})$/.test(length)) throw refuse('has no prefix length');
  const prefix = length === undefined ? read.bits : Number(length);
  if (prefix > read.bits) throw refuse('has a prefix that is too long');
  const host = BigInt(read.bits - prefix);
  if ((read.value >> host) << host !== read.value) throw refuse('has bits behind its prefix');
  return { bits: read.bits, prefix, value: read.value };
}

function contains({ bits, prefix, value }: Range, address: { bits: number; value: bigint }): boolean {
  const host = BigInt(bits - prefix);
  return address.bits === bits && address.value >> host === value >> host;
}

/** Null when it is no address. An IPv4 address on an IPv6 socket is that IPv4 address; a zone does not count. */
function readAddress(text: string): { bits: number; value: bigint } | null {
  const [address = ''] = text.split('%');
  const family = isIP(address);
  if (family === 0) return null;
  if (family === 4) return { bits: V4_BITS, value: joined(address.split('.').map(Number), 8n) };
  const value = joined(groupsOf(address), 16n);
  if (value >> 32n === MAPPED) return { bits: V4_BITS, value: value & 0xffff_ffffn };
  return { bits: V6_BITS, value };
}

function joined(parts: readonly number[], bits: bigint): bigint {
  return parts.reduce((value, part) => (value << bits) | BigInt(part), 0n);
}

/** RFC 5952, without a dotted end. */
function normalV6(address: string): string {
  return new URL(`http://[${address}]/`).hostname.slice(1, -1);
}
