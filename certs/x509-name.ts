// Names in certificates: distinguished names (RFC 5280 4.1.2.4) in a canonical form that can be compared, and general
// names (4.2.1.6). Whoever asked for a certificate chose its names; the CA only checked them.
import { DerReader, type DerValue, derError, openDer, readOid, TAG } from './der.ts';
import { MAX_GENERAL_NAMES, MAX_NAME_ATTRIBUTES } from './path-limits.ts';

export interface DistinguishedName {
  /** The DER encoding. */
  der: Buffer;
  /** One canonical string per relative distinguished name, root first; equal strings match (RFC 5280 7.1). */
  rdns: string[];
  /** All of them as one string: two names match exactly when their keys are equal. */
  key: string;
  /** Values of commonName and emailAddress, to which name constraints may apply. */
  commonNames: string[];
  emailAddresses: string[];
  /** For people and logs, like `O=Registry, CN=Issuing CA`, control characters replaced. Never compare it. */
  text: string;
}

export type GeneralName =
  | { kind: 'dns' | 'email' | 'uri'; value: string }
  | { kind: 'ip'; value: Buffer }
  | { kind: 'directory'; value: DistinguishedName }
  | { kind: 'other'; value: number };

const OID_COMMON_NAME = '2.5.4.3';
const OID_EMAIL = '1.2.840.113549.1.9.1';
const SHORT: Record<string, string> = {
  [OID_COMMON_NAME]: 'CN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  [OID_EMAIL]: 'emailAddress',
};

const PRINTABLE = /^[A-Za-z0-9 '()+,\-./:=?]*$/;
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

// The text of a string type that has one reading; undefined for the historic types (Teletex, BMP, Universal …), which
// are compared as they stand.
function stringText(value: DerValue): string | undefined {
  if (value.tag === TAG.UTF8_STRING) {
    try {
      return UTF8.decode(value.body);
    } catch {
      throw derError('a name that is not UTF-8');
    }
  }
  if (value.tag !== TAG.PRINTABLE_STRING && value.tag !== TAG.IA5_STRING) return undefined;
  if (value.body.some((octet) => octet >= 0x80)) throw derError('a name outside ASCII');
  const text = value.body.toString('latin1');
  if (value.tag === TAG.PRINTABLE_STRING && !PRINTABLE.test(text)) throw derError('a name outside PrintableString');
  return text;
}

// RFC 5280 7.1 in the measure that openssl applies too: ASCII case and runs of white space do not distinguish names.
function foldText(text: string): string {
  return text
    .replace(/[\t\n\v\f\r ]+/g, ' ')
    .replace(/^ | $/g, '')
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** Reads an RDNSequence. @throws DER_INVALID */
export function readDistinguishedName(value: DerValue): DistinguishedName {
  if (value.tag !== TAG.SEQUENCE) throw derError('a name that is not a sequence');
  const name: DistinguishedName = { der: value.raw, rdns: [], key: '', commonNames: [], emailAddresses: [], text: '' };
  const shown: string[] = [];
  let attributes = 0;
  for (const sequence = new DerReader(value.body); !sequence.done; ) {
    const set = sequence.open(TAG.SET, 'relative distinguished name');
    const parts: string[] = [];
    let previous: Buffer | undefined;
    if (set.done) throw derError('an empty relative distinguished name');
    while (!set.done) {
      attributes += 1;
      if (attributes > MAX_NAME_ATTRIBUTES) throw derError('a name with too many attributes');
      const attribute = set.take(TAG.SEQUENCE, 'name attribute');
      // X.690 11.6: the members of a SET OF stand in ascending order.
      if (previous !== undefined && Buffer.compare(previous, attribute.raw) >= 0) throw derError('a set out of order');
      previous = attribute.raw;
      const { part, text } = readAttribute(attribute, name);
      parts.push(part);
      shown.push(text);
    }
    name.rdns.push(JSON.stringify(parts.sort()));
  }
  name.key = name.rdns.join('/');
  name.text = shown.join(', ');
  return name;
}

function readAttribute(attribute: DerValue, name: DistinguishedName): { part: string; text: string } {
  const inner = new DerReader(attribute.body);
  const type = readOid(inner.take(TAG.OID, 'attribute type'));
  const value = inner.next();
  inner.end('name attribute');
  const text = stringText(value);
  if (type === OID_COMMON_NAME && text !== undefined) name.commonNames.push(text);
  if (type === OID_EMAIL && text !== undefined) name.emailAddresses.push(text);
  const raw = `#${value.raw.toString('hex')}`;
  return {
    part: text === undefined ? `${type}${raw}` : `${type}=${foldText(text)}`,
    text: `${SHORT[type] ?? type}=${(text ?? raw).replace(/\p{C}/gu, '?')}`,
  };
}

/** Reads GeneralNames, the contents of a SEQUENCE. @throws DER_INVALID also when there is none or too many */
export function readGeneralNames(names: DerReader): GeneralName[] {
  const found: GeneralName[] = [];
  if (names.done) throw derError('an empty list of names');
  while (!names.done) {
    if (found.length >= MAX_GENERAL_NAMES) throw derError('too many names');
    found.push(readGeneralName(names.next()));
  }
  return found;
}

/** Reads one GeneralName. IP addresses are left as octets: name constraints hold address and mask there. */
export function readGeneralName(value: DerValue): GeneralName {
  switch (value.tag) {
    case 0x81:
      return { kind: 'email', value: ia5(value.body) };
    case 0x82:
      return { kind: 'dns', value: ia5(value.body) };
    case 0x86:
      return { kind: 'uri', value: ia5(value.body) };
    case 0x87:
      return { kind: 'ip', value: value.body };
    case 0xa4: {
      const inner = new DerReader(value.body);
      const name = readDistinguishedName(inner.take(TAG.SEQUENCE, 'directory name'));
      inner.end('directory name');
      return { kind: 'directory', value: name };
    }
    case 0xa0:
    case 0xa3:
    case 0xa5:
      return { kind: 'other', value: value.tag & 0x1f };
    case 0x88:
      readOid({ ...value, tag: TAG.OID });
      return { kind: 'other', value: 8 };
    default:
      throw derError(`a general name with tag 0x${value.tag.toString(16)}`);
  }
}

function ia5(body: Buffer): string {
  // Control characters, NUL above all, make one reader see another name than the next.
  if (body.some((octet) => octet < 0x20 || octet > 0x7e)) throw derError('a name outside printable ASCII');
  return body.toString('latin1');
}

/** Reads a SEQUENCE OF GeneralName that is a whole encoding, as in an extension. */
export function readGeneralNamesDer(bytes: Uint8Array): GeneralName[] {
  return readGeneralNames(openDer(bytes, TAG.SEQUENCE, 'general names'));
}
