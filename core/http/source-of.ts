// Who a connection is counted as, wherever budgets are kept for sources: an IPv4 address by itself; of an IPv6 address its /64,
// because whoever has one address there has all of them (RFC 4291 2.5.4, RFC 7707); an IPv4 address on an IPv6 socket as the
// IPv4 address that it is. Addresses are those of connections, as the kernel says them, never what a header claims.
import { isIP } from 'node:net';

const MAPPED = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i;

/** @param address as `remoteAddress` has it, with a zone or without; what is no address is a source of its own */
export function sourceOf(address: string): string {
  const mapped = MAPPED.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const [plain = ''] = address.split('%');
  if (isIP(plain) !== 6) return plain;
  const groups = groupsOf(plain);
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (isMapped) return groups.slice(6).flatMap(bytesOf).join('.');
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`;
}

/** The eight groups of an IPv6 address without a zone. */
export function groupsOf(address: string): number[] {
  // RFC 5952, without a dotted end.
  const spelled = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [head = [], tail = []] = spelled.split('::').map((part) => part.split(':').filter((group) => group !== ''));
  const missing = 8 - head.length - tail.length;
  return [...head, ...Array<string>(missing).fill('0'), ...tail].map((group) => Number.parseInt(group, 16));
}

function bytesOf(group: number): number[] {
  return [group >> 8, group & 0xff];
}
