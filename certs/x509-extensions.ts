// The extensions that path validation understands (RFC 5280 4.2), one row per object identifier. An extension that has
// no row is remembered only by its identifier and critical flag; what that means is the validator's decision. The CA
// that signed the certificate controls all of this, a peer may hand in any CA's certificates.
import {
  DerReader,
  type DerValue,
  derError,
  openDer,
  readBoolean,
  readInteger,
  readNamedBits,
  readOid,
  readSmallInteger,
  TAG,
} from './der.ts';
import { MAX_EXTENSIONS, MAX_GENERAL_NAMES, MAX_KEY_PURPOSES } from './path-limits.ts';
import { type GeneralName, readGeneralName, readGeneralNames, readGeneralNamesDer } from './x509-name.ts';

/** Named bits of keyUsage (RFC 5280 4.2.1.3). */
export const KEY_USAGE = {
  digitalSignature: 1 << 0,
  nonRepudiation: 1 << 1,
  keyEncipherment: 1 << 2,
  keyAgreement: 1 << 4,
  keyCertSign: 1 << 5,
  cRLSign: 1 << 6,
} as const;

export interface NameConstraints {
  permitted: GeneralName[];
  excluded: GeneralName[];
}

export interface Extensions {
  /** Every extension by identifier, with its critical flag. */
  critical: Map<string, boolean>;
  basicConstraints?: { ca: boolean; pathLength?: number };
  /** Bits of KEY_USAGE. */
  keyUsage?: number;
  /** Key purposes as dotted identifiers. */
  extendedKeyUsage?: string[];
  subjectAltNames?: GeneralName[];
  nameConstraints?: NameConstraints;
  subjectKeyId?: Buffer;
  authorityKeyId?: { keyId?: Buffer; issuer?: GeneralName[]; serialHex?: string };
}

export const EXTENSION = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  cRLNumber: '2.5.29.20',
  reasonCode: '2.5.29.21',
  invalidityDate: '2.5.29.24',
  issuingDistributionPoint: '2.5.29.28',
  nameConstraints: '2.5.29.30',
  certificatePolicies: '2.5.29.32',
  policyMappings: '2.5.29.33',
  authorityKeyId: '2.5.29.35',
  policyConstraints: '2.5.29.36',
  extendedKeyUsage: '2.5.29.37',
  inhibitAnyPolicy: '2.5.29.54',
  netscapeCertType: '2.16.840.1.113730.1.1',
} as const;

const READERS: Record<string, (value: Buffer, into: Extensions) => void> = {
  [EXTENSION.subjectKeyId]: (value, into) => {
    into.subjectKeyId = readKeyId(value);
  },
  [EXTENSION.keyUsage]: (value, into) => {
    into.keyUsage = readKeyUsage(value);
  },
  [EXTENSION.subjectAltName]: (value, into) => {
    into.subjectAltNames = readGeneralNamesDer(value).map(checkAddress);
  },
  [EXTENSION.basicConstraints]: (value, into) => {
    into.basicConstraints = readBasicConstraints(value);
  },
  [EXTENSION.nameConstraints]: (value, into) => {
    into.nameConstraints = readNameConstraints(value);
  },
  [EXTENSION.authorityKeyId]: (value, into) => {
    into.authorityKeyId = readAuthorityKeyId(value);
  },
  [EXTENSION.extendedKeyUsage]: (value, into) => {
    into.extendedKeyUsage = readKeyPurposes(value);
  },
};

/** Extensions whose meaning the readers above know, so that a critical flag on them can be honoured. */
export const UNDERSTOOD: ReadonlySet<string> = new Set(Object.keys(READERS));

/** Reads `Extensions`, a SEQUENCE of at least one; an identifier may occur once (4.2). @throws DER_INVALID */
export function readExtensions(list: DerReader): Extensions {
  const into: Extensions = { critical: new Map() };
  for (const { oid, critical, value } of extensionList(list)) {
    into.critical.set(oid, critical);
    READERS[oid]?.(value, into);
  }
  return into;
}

export interface RawExtension {
  oid: string;
  critical: boolean;
  /** What the OCTET STRING holds. */
  value: Buffer;
}

/** The members of `Extensions`, unread; CRLs and their entries use it too. @throws DER_INVALID */
export function extensionList(list: DerReader): RawExtension[] {
  const found = new Map<string, RawExtension>();
  if (list.done) throw derError('an empty list of extensions');
  while (!list.done) {
    const extension = list.open(TAG.SEQUENCE, 'extension');
    const oid = readOid(extension.take(TAG.OID, 'extension identifier'));
    const flag = extension.maybe(TAG.BOOLEAN);
    // X.690 11.5: FALSE is the default and is not written.
    if (flag !== undefined && !readBoolean(flag)) throw derError('a default that is written');
    const value = extension.take(TAG.OCTET_STRING, 'extension value').body;
    extension.end('extension');
    if (found.has(oid)) throw derError(`extension ${oid} twice`);
    if (found.size >= MAX_EXTENSIONS) throw derError('too many extensions');
    found.set(oid, { oid, critical: flag !== undefined, value });
  }
  return [...found.values()];
}

function one(value: Buffer, tag: number, what: string): DerValue {
  const outer = new DerReader(value);
  const inner = outer.take(tag, what);
  outer.end(what);
  return inner;
}

function readKeyId(value: Buffer): Buffer {
  const { body } = one(value, TAG.OCTET_STRING, 'subject key identifier');
  if (body.length === 0 || body.length > 64) throw derError('a key identifier of this length');
  return body;
}

function readKeyUsage(value: Buffer): number {
  const bits = readNamedBits(one(value, TAG.BIT_STRING, 'key usage'));
  if (bits === 0) throw derError('a key usage without bits');
  return bits;
}

function readBasicConstraints(value: Buffer): { ca: boolean; pathLength?: number } {
  const inner = openDer(value, TAG.SEQUENCE, 'basic constraints');
  const flag = inner.maybe(TAG.BOOLEAN);
  if (flag !== undefined && !readBoolean(flag)) throw derError('a default that is written');
  const length = inner.maybe(TAG.INTEGER);
  inner.end('basic constraints');
  const ca = flag !== undefined;
  if (length === undefined) return { ca };
  if (!ca) throw derError('a path length on a certificate that is not a CA');
  return { ca, pathLength: readSmallInteger(length) };
}

function readKeyPurposes(value: Buffer): string[] {
  const inner = openDer(value, TAG.SEQUENCE, 'extended key usage');
  const purposes = new Set<string>();
  if (inner.done) throw derError('an empty extended key usage');
  while (!inner.done) {
    if (purposes.size >= MAX_KEY_PURPOSES) throw derError('too many key purposes');
    purposes.add(readOid(inner.take(TAG.OID, 'key purpose')));
  }
  return [...purposes];
}

function readAuthorityKeyId(value: Buffer): NonNullable<Extensions['authorityKeyId']> {
  const inner = openDer(value, TAG.SEQUENCE, 'authority key identifier');
  const found: NonNullable<Extensions['authorityKeyId']> = {};
  const keyId = inner.maybe(0x80);
  const issuer = inner.peek() === 0xa1 ? inner.open(0xa1, 'authority issuer') : undefined;
  const serial = inner.maybe(0x82);
  inner.end('authority key identifier');
  if ((issuer === undefined) !== (serial === undefined)) throw derError('an authority without its serial number');
  if (keyId !== undefined) found.keyId = keyId.body;
  if (issuer !== undefined) found.issuer = readGeneralNames(issuer);
  if (serial !== undefined) found.serialHex = readInteger(serial).toString('hex');
  return found;
}

// RFC 5280 4.2.1.10: minimum is always 0 (so never written) and maximum absent.
function readNameConstraints(value: Buffer): NameConstraints {
  const inner = openDer(value, TAG.SEQUENCE, 'name constraints');
  const subtrees = (tag: number): GeneralName[] => {
    if (inner.peek() !== tag) return [];
    const list = inner.open(tag, 'subtrees');
    const bases: GeneralName[] = [];
    if (list.done) throw derError('an empty list of subtrees');
    while (!list.done) {
      if (bases.length >= MAX_GENERAL_NAMES) throw derError('too many subtrees');
      const subtree = list.open(TAG.SEQUENCE, 'subtree');
      bases.push(checkMask(readGeneralName(subtree.next())));
      subtree.end('subtree');
    }
    return bases;
  };
  const constraints = { permitted: subtrees(0xa0), excluded: subtrees(0xa1) };
  inner.end('name constraints');
  if (constraints.permitted.length + constraints.excluded.length === 0) throw derError('no name constraint');
  return constraints;
}

function checkAddress(name: GeneralName): GeneralName {
  if (name.kind === 'ip' && name.value.length !== 4 && name.value.length !== 16) throw derError('an address length');
  return name;
}

// Address and mask; a mask with holes has no prefix length and is no subtree of anything a person means.
function checkMask(name: GeneralName): GeneralName {
  if (name.kind !== 'ip') return name;
  if (name.value.length !== 8 && name.value.length !== 32) throw derError('an address and mask length');
  const bits = [...name.value.subarray(name.value.length / 2)].map((o) => o.toString(2).padStart(8, '0')).join('');
  if (!/^1*0*$/.test(bits)) throw derError('an address mask with holes');
  return name;
}
