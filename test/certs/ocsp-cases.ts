// OCSP answers for tests, written octet by octet, with one thing changed at a time.
import { createHash, sign } from 'node:crypto';
import type { KnownStatus } from '#certs/ocsp-make.ts';
import { ca, keys, leaf, root } from './chains.ts';
import {
  ALGORITHMS,
  certificate,
  der,
  ext,
  type KeyPair,
  name,
  oid,
  pair,
  type Spec,
  sequence,
} from './make-certificate.ts';

export const AT_MS = Date.parse('2026-06-01T12:00:00Z');
export const MINUTE = 60_000;
export const OCSP_SIGNING = '1.3.6.1.5.5.7.3.9';
export const NO_CHECK = { oid: '1.3.6.1.5.5.7.48.1.5', value: der(0x05) };
export const SERIAL = der(0x02, [0x12, 0x34]);
export const subject = leaf({ serial: SERIAL });
export const issuing = ca();
export const anchor = root();
export const path = [subject, issuing, anchor];
export const responderKey = pair();

export const at = (ms: number) =>
  der(0x18, Buffer.from(new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, ''), 'latin1'));

/** A responder's certificate, appointed by the issuing CA. */
export function appointed(change: Partial<Spec> = {}): Buffer {
  const extensions = [
    ext.basic(false),
    ext.usage(0),
    ext.purposes(OCSP_SIGNING),
    ext.subjectKey(responderKey.id),
    ext.authorityKey((change.signer ?? keys.ca).id),
    NO_CHECK,
  ];
  return certificate({
    ...{ subject: 'CN=Responder', issuer: 'CN=CA', key: responderKey, signer: keys.ca, extensions },
    ...change,
  });
}

/** The bits of the key, which follow a header of 26 octets in a SubjectPublicKeyInfo of P-256. */
const bitsOf = (key: KeyPair) => key.spki.subarray(26);

export interface AnswerSpec {
  hash?: 'sha256' | 'sha1' | 'md5';
  issuerName?: string;
  issuerKey?: KeyPair;
  serial?: Buffer;
  status?: Buffer;
  thisUpdate?: Buffer;
  nextUpdate?: Buffer[];
  singleExtensions?: Buffer[];
}

const HASHES = {
  sha256: sequence(oid('2.16.840.1.101.3.4.2.1'), der(0x05)),
  sha1: sequence(oid('1.3.14.3.2.26'), der(0x05)),
  md5: sequence(oid('1.2.840.113549.2.5'), der(0x05)),
};

export function single(spec: AnswerSpec = {}): Buffer {
  const hash = spec.hash ?? 'sha256';
  const digest = (bytes: Buffer) => der(0x04, createHash(hash).update(bytes).digest());
  const id = sequence(
    HASHES[hash],
    digest(name(spec.issuerName ?? 'CN=CA')),
    digest(bitsOf(spec.issuerKey ?? keys.ca)),
    spec.serial ?? SERIAL,
  );
  return sequence(
    id,
    spec.status ?? der(0x80),
    spec.thisUpdate ?? at(AT_MS - 10 * MINUTE),
    ...(spec.nextUpdate ?? [der(0xa0, at(AT_MS + 50 * MINUTE))]),
    ...(spec.singleExtensions ?? []),
  );
}

export const revoked = (reason?: number, when = AT_MS - 60 * MINUTE) =>
  der(0xa1, at(when), ...(reason === undefined ? [] : [der(0xa0, der(0x0a, [reason]))]));

export interface ResponseSpec extends AnswerSpec {
  answers?: Buffer[];
  version?: Buffer[];
  responder?: Buffer;
  producedAt?: Buffer;
  extensions?: Buffer[];
  signer?: KeyPair;
  algorithm?: keyof typeof ALGORITHMS;
  certificates?: Buffer[] | null;
  type?: string;
  status?: Buffer;
  responseStatus?: number;
}

export const byKey = (key: KeyPair) => der(0xa2, der(0x04, createHash('sha1').update(bitsOf(key)).digest()));
export const byName = (text: string) => der(0xa1, name(text));

/** As the issuing CA itself signs it, or whoever `signer` is. */
export function response(spec: ResponseSpec = {}): Buffer {
  const signer = spec.signer ?? keys.ca;
  const algorithm = ALGORITHMS[spec.algorithm ?? 'es256'];
  const tbs = sequence(
    ...(spec.version ?? []),
    spec.responder ?? byKey(signer),
    spec.producedAt ?? at(AT_MS - 10 * MINUTE),
    sequence(...(spec.answers ?? [single(spec)])),
    ...(spec.extensions ?? []),
  );
  const certificates = spec.certificates ?? [];
  const basic = sequence(
    tbs,
    algorithm.id,
    der(0x03, [0], sign(algorithm.hash, tbs, signer.privateKey)),
    ...(certificates.length > 0 ? [der(0xa0, sequence(...certificates))] : []),
  );
  return wrapped(basic, spec);
}

function wrapped(basic: Buffer, { type = '1.3.6.1.5.5.7.48.1.1', responseStatus = 0 }: ResponseSpec): Buffer {
  return sequence(der(0x0a, [responseStatus]), der(0xa0, sequence(oid(type), der(0x04, basic))));
}

/** By the appointed responder. */
export const delegated = (spec: ResponseSpec = {}) =>
  response({ signer: responderKey, certificates: [appointed()], ...spec });

type Wide = { notBefore?: string; notAfter?: string };
export const responderOf = (statusOf: (serial: string) => KnownStatus, wide: Wide = {}) => ({
  issuer: ca(wide),
  certificate: appointed(wide),
  privateKey: responderKey.privateKey,
  statusOf,
  validityMs: 60 * MINUTE,
});
/** The authority itself. */
export const ownResponder = (statusOf: (serial: string) => KnownStatus, wide: Wide) => {
  const issuer = ca(wide);
  return { ...responderOf(statusOf, wide), issuer, certificate: issuer, privateKey: keys.ca.privateKey };
};
