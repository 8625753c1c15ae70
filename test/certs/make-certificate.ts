// Certificates for tests, written octet by octet, so that a test can also make what no library would: wrong versions,
// doubled extensions, foreign algorithms, lax encodings. Everything has a fit default; a case changes one thing.
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

export function der(tag: number, ...parts: (Uint8Array | number[])[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length = Buffer.from(body.length.toString(16).padStart(body.length > 0xff ? 4 : 2, '0'), 'hex');
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, body]);
}

export function oid(dotted: string): Buffer {
  const [a = 0, b = 0, ...rest] = dotted.split('.').map(Number);
  const octets = [a * 40 + b, ...rest].flatMap((arc) => {
    const out = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) out.unshift((left % 128) | 0x80);
    return out;
  });
  return der(0x06, octets);
}

export const sequence = (...parts: Buffer[]) => der(0x30, ...parts);
export const integer = (value: number) => {
  const hex = value.toString(16);
  const octets = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  return der(0x02, (octets[0] ?? 0) >= 0x80 ? [0, ...octets] : octets);
};

/** `CN=a/O=b` → a Name in UTF8String (or another string type). */
export function name(text: string, stringTag = 0x0c): Buffer {
  const types: Record<string, string> = { CN: '2.5.4.3', O: '2.5.4.10', C: '2.5.4.6', E: '1.2.840.113549.1.9.1' };
  const rdns = text === '' ? [] : text.split('/');
  return sequence(
    ...rdns.map((rdn) => {
      const cut = rdn.indexOf('=');
      const tag = rdn.startsWith('E=') ? 0x16 : stringTag;
      return der(0x31, sequence(oid(types[rdn.slice(0, cut)]!), der(tag, Buffer.from(rdn.slice(cut + 1)))));
    }),
  );
}

export interface KeyPair {
  publicKey: KeyObject;
  privateKey: KeyObject;
  spki: Buffer;
  id: Buffer;
}

export function pair(
  kind: 'P-256' | 'P-384' | 'P-521' | 'ed25519' | 'rsa' | 'rsa1024' | 'secp256k1' = 'P-256',
): KeyPair {
  const { publicKey, privateKey } =
    kind === 'ed25519'
      ? generateKeyPairSync('ed25519')
      : kind === 'rsa' || kind === 'rsa1024'
        ? generateKeyPairSync('rsa', { modulusLength: kind === 'rsa' ? 2048 : 1024 })
        : generateKeyPairSync('ec', { namedCurve: kind });
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  return { publicKey, privateKey, spki, id: createHash('sha1').update(spki).digest() };
}

export const ALGORITHMS = {
  es256: { hash: 'sha256', id: sequence(oid('1.2.840.10045.4.3.2')) },
  es384: { hash: 'sha384', id: sequence(oid('1.2.840.10045.4.3.3')) },
  es1: { hash: 'sha1', id: sequence(oid('1.2.840.10045.4.1')) },
  ed25519: { hash: null, id: sequence(oid('1.3.101.112')) },
  rs256: { hash: 'sha256', id: sequence(oid('1.2.840.113549.1.1.11'), der(0x05)) },
  rs256NoNull: { hash: 'sha256', id: sequence(oid('1.2.840.113549.1.1.11')) },
} as const;

export interface Extension {
  oid: string;
  critical?: boolean;
  value: Buffer;
}

export const ext = {
  basic: (ca: boolean, pathLength?: number, critical = true): Extension => ({
    oid: '2.5.29.19',
    critical,
    value: sequence(...(ca ? [der(0x01, [0xff])] : []), ...(pathLength === undefined ? [] : [integer(pathLength)])),
  }),
  /** `bits` numbered as in RFC 5280: 0 digitalSignature … 5 keyCertSign, 6 cRLSign. */
  usage: (...bits: number[]): Extension => {
    const octet = bits.reduce((sum, bit) => sum | (0x80 >> bit), 0);
    return { oid: '2.5.29.15', critical: true, value: der(0x03, [7 - Math.max(...bits), octet]) };
  },
  purposes: (...oids: string[]): Extension => ({ oid: '2.5.29.37', value: sequence(...oids.map(oid)) }),
  subjectKey: (id: Buffer): Extension => ({ oid: '2.5.29.14', value: der(0x04, id) }),
  authorityKey: (id: Buffer): Extension => ({ oid: '2.5.29.35', value: sequence(der(0x80, id)) }),
  altNames: (...names: Buffer[]): Extension => ({ oid: '2.5.29.17', value: sequence(...names) }),
  constraints: (permitted: Buffer[], excluded: Buffer[] = []): Extension => ({
    oid: '2.5.29.30',
    critical: true,
    value: sequence(
      ...(permitted.length ? [der(0xa0, ...permitted.map((base) => sequence(base)))] : []),
      ...(excluded.length ? [der(0xa1, ...excluded.map((base) => sequence(base)))] : []),
    ),
  }),
};

export const general = {
  email: (text: string) => der(0x81, Buffer.from(text)),
  dns: (text: string) => der(0x82, Buffer.from(text)),
  uri: (text: string) => der(0x86, Buffer.from(text)),
  ip: (...octets: number[]) => der(0x87, octets),
  directory: (text: string) => der(0xa4, name(text)),
};

export const SERVER = '1.3.6.1.5.5.7.3.1';
export const CLIENT = '1.3.6.1.5.5.7.3.2';
export const ANY = '2.5.29.37.0';

export interface Spec {
  subject: string | Buffer;
  issuer: string | Buffer;
  key: KeyPair;
  signer: KeyPair;
  extensions: Extension[];
  algorithm?: keyof typeof ALGORITHMS;
  outerAlgorithm?: keyof typeof ALGORITHMS;
  notBefore?: string;
  notAfter?: string;
  serial?: Buffer;
  version?: Buffer[];
  /** Changes the extensions as encoded, e.g. to write a default. */
  rawExtension?: Buffer;
}

let serial = 1;

function time(text: string): Buffer {
  const digits = text.replace(/[-:T]/g, '');
  return digits.startsWith('20') && Number(digits.slice(0, 4)) < 2050
    ? der(0x17, Buffer.from(digits.slice(2)))
    : der(0x18, Buffer.from(digits));
}

export function certificate(spec: Spec): Buffer {
  const kind = spec.signer.privateKey.asymmetricKeyType;
  const usual = kind === 'rsa' ? 'rs256' : kind === 'ed25519' ? 'ed25519' : 'es256';
  const algorithm = ALGORITHMS[spec.algorithm ?? usual];
  const asName = (value: string | Buffer) => (typeof value === 'string' ? name(value) : value);
  const extensions = spec.extensions.map(({ oid: id, critical, value }) =>
    sequence(oid(id), ...(critical ? [der(0x01, [0xff])] : []), der(0x04, value)),
  );
  serial += 1;
  const all = [...extensions, ...(spec.rawExtension ? [spec.rawExtension] : [])];
  const tbs = sequence(
    ...(spec.version ?? [der(0xa0, integer(2))]),
    spec.serial ?? integer(serial),
    algorithm.id,
    asName(spec.issuer),
    sequence(time(spec.notBefore ?? '2026-01-01T00:00:00Z'), time(spec.notAfter ?? '2027-01-01T00:00:00Z')),
    asName(spec.subject),
    spec.key.spki,
    ...(all.length === 0 ? [] : [der(0xa3, sequence(...all))]),
  );
  const signature = sign(algorithm.hash, tbs, spec.signer.privateKey);
  return sequence(tbs, ALGORITHMS[spec.outerAlgorithm ?? spec.algorithm ?? usual].id, der(0x03, [0], signature));
}

export function pem(...certificates: Uint8Array[]): string {
  return certificates
    .map((each) =>
      Buffer.from(each)
        .toString('base64')
        .replace(/.{64}(?=.)/g, '$&\n'),
    )
    .map((text) => `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`)
    .join('');
}
