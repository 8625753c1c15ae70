// The names a holder's certificate carries: the identifier of a security server or subsystem as a URI
// (`accord:server:INSTANCE/CLASS/MEMBER/SERVER`), and for TLS servers DNS names and IP addresses. The same identifier is
// the subject, split over attributes, because one commonName of 64 characters (RFC 5280 appendix A.1, ub-common-name)
// cannot hold it. Requests come from strangers: every name here is read strictly.
import { isIPv4, isIPv6 } from 'node:net';
import { serverId, subsystemId } from '#schemas/identifiers.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import type { GeneralName } from './x509-name.ts';

export type HolderKind = 'server' | 'subsystem';

export interface HolderNames {
  kind: HolderKind;
  /** INSTANCE/CLASS/MEMBER/SERVER or INSTANCE/CLASS/MEMBER/SUBSYSTEM. */
  id: string;
  /** Lower case, no wildcards, without a final dot. */
  dnsNames: readonly string[];
  /** In the one form that `formatAddress` gives. */
  ipAddresses: readonly string[];
}

const MAX_ADDRESSES = 16;

const DNS_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const URI = /^accord:(server|subsystem):(.+)$/;

export function holderUri({ kind, id }: { kind: HolderKind; id: string }): string {
  return `accord:${kind}:${id}`;
}

/** The subject of a holder's certificate, attribute by attribute, root first. */
export function holderSubject(id: string): ['O' | 'OU' | 'CN', string][] {
  const [instance = '', memberClass = '', member = '', code = ''] = id.split('/');
  return [
    ['O', instance],
    ['OU', memberClass],
    ['OU', member],
    ['CN', code],
  ];
}

/** Reads the subject alternative names of a request or of a certificate. @throws CSR_REFUSED */
export function readHolderNames(names: readonly GeneralName[]): HolderNames {
  let holder: { kind: HolderKind; id: string } | undefined;
  const dnsNames: string[] = [];
  const ipAddresses: string[] = [];
  for (const name of names) {
    if (name.kind === 'dns') dnsNames.push(checkDnsName(name.value));
    else if (name.kind === 'ip') ipAddresses.push(formatAddress(name.value));
    else if (name.kind === 'uri' && holder === undefined) holder = readUri(name.value);
    else throw new AccordError('CSR_REFUSED', `a second identifier, or a name of kind ${name.kind}`);
  }
  if (holder === undefined) throw new AccordError('CSR_REFUSED', 'no name accord:server:... or accord:subsystem:...');
  return checkHolderNames({ ...holder, dnsNames, ipAddresses });
}

/** Checks names that an administrator or a server's own settings gave. @throws CSR_REFUSED */
export function checkHolderNames(names: HolderNames): HolderNames {
  const { kind, id, dnsNames, ipAddresses } = names;
  if (dnsNames.length + ipAddresses.length > MAX_ADDRESSES) throw new AccordError('CSR_REFUSED', 'too many addresses');
  for (const name of dnsNames) checkDnsName(name);
  for (const address of ipAddresses) {
    if (formatAddress(addressOctets(address)) !== address) {
      throw new AccordError('CSR_REFUSED', 'an IP address in another than its canonical form');
    }
  }
  const all = [...dnsNames, ...ipAddresses];
  if (new Set(all).size !== all.length) throw new AccordError('CSR_REFUSED', 'an address twice');
  return { ...readUri(holderUri({ kind, id })), dnsNames: [...dnsNames], ipAddresses: [...ipAddresses] };
}

function readUri(uri: string): { kind: HolderKind; id: string } {
  const found = URI.exec(uri);
  try {
    if (found?.[1] === 'server') return { kind: 'server', id: serverId(found[2] ?? '') };
    if (found?.[1] === 'subsystem') return { kind: 'subsystem', id: subsystemId(found[2] ?? '') };
  } catch (error) {
    if (!isAccordError(error, 'IDENTIFIER_INVALID')) throw error;
    throw new AccordError('CSR_REFUSED', `the identifier in the URI name: ${error.detail}`);
  }
  throw new AccordError('CSR_REFUSED', 'a URI name that is not accord:server:... or accord:subsystem:...');
}

// RFC 5280 4.2.1.6 with RFC 1123 host names: a name that ends in digits would be taken for an address.
function checkDnsName(name: string): string {
  const labels = name.split('.', 128);
  const last = labels.at(-1) ?? '';
  if (name.length > 253 || !labels.every((label) => DNS_LABEL.test(label)) || /^[0-9]+$/.test(last)) {
    throw new AccordError('CSR_REFUSED', 'a DNS name that is not a lower-case host name');
  }
  return name;
}

/** The octets of an IPv4 or IPv6 address. @throws CSR_REFUSED */
export function addressOctets(text: string): Buffer {
  if (isIPv4(text)) return Buffer.from(text.split('.').map(Number));
  if (!isIPv6(text) || text.includes('%') || text.includes('.')) {
    throw new AccordError('CSR_REFUSED', 'not an IP address');
  }
  const groupsOf = (part: string | undefined) => (part ? part.split(':') : []);
  const [head, tail] = text.split('::');
  const left = groupsOf(head);
  const right = groupsOf(tail);
  const middle = new Array<string>(8 - left.length - right.length).fill('0');
  return Buffer.from([...left, ...middle, ...right].map((group) => group.padStart(4, '0')).join(''), 'hex');
}

/** The one text form of an address (RFC 5952); `octets` are 4 or 16. @throws CSR_REFUSED */
export function formatAddress(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join('.');
  if (octets.length !== 16) throw new AccordError('CSR_REFUSED', 'an address of this length');
  const groups = Buffer.from(octets).toString('hex').match(/.{4}/g) ?? [];
  // The URL parser writes an IPv6 host in its shortest form.
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
