// Makes certificate revocation lists (RFC 5280 section 5): version 2, complete, with authority key identifier and number.
// What is listed comes from the authority's ledger; nothing from outside enters here.
import { X509Certificate } from 'node:crypto';
import { AccordError } from '#schemas/problems.ts';
import type { Issuer } from './authority.ts';
import { DerReader, openDer, readWholeBits, TAG } from './der.ts';
import type { LedgerEntry } from './ledger.ts';
import { REVOCATION_REASONS } from './profiles.ts';
import { readCertificateKey, verifyCertificateSignature } from './x509-algorithms.ts';
import { loadX509, signingKeyOf } from './x509-library.ts';
import { readCertificate } from './x509-read.ts';

export interface CrlOrder {
  /** Grows with every list of this authority (5.2.3). */
  number: number;
  thisUpdateMs: number;
  nextUpdateMs: number;
}

const OID_CRL_NUMBER = '2.5.29.20';

/**
 * The DER of the list of what `issuer` revoked. Expired certificates stay on it: an old signature may still be judged.
 * @throws CERTIFICATE_KEY_MISMATCH, PROFILE_VIOLATED
 */
export async function createCrl(issuer: Issuer, entries: readonly LedgerEntry[], order: CrlOrder): Promise<Buffer> {
  const certificate = readCertificate(issuer.der);
  const keyId = certificate.extensions.subjectKeyId;
  if (keyId === undefined || !Number.isSafeInteger(order.number) || order.number < 1)
    throw new TypeError('a CRL order');
  const x509 = await loadX509();
  const revoked = entries.flatMap(({ certificate: { serial, issuer: role }, revocation }) =>
    role === issuer.role && revocation
      ? [
          {
            serialNumber: serial,
            revocationDate: wholeSeconds(revocation.atMs),
            reason: REVOCATION_REASONS[revocation.reason],
          },
        ]
      : [],
  );
  const made = await x509.X509CrlGenerator.create({
    issuer: new x509.Name(certificate.subject.der),
    thisUpdate: wholeSeconds(order.thisUpdateMs),
    nextUpdate: wholeSeconds(order.nextUpdateMs),
    entries: revoked,
    extensions: [
      new x509.AuthorityKeyIdentifierExtension(keyId.toString('hex')),
      new x509.Extension(OID_CRL_NUMBER, false, derInteger(order.number)),
    ],
    ...signingKeyOf(issuer.privateKey),
  });
  const der = Buffer.from(made.rawData);
  check(der, issuer, revoked.length);
  return der;
}

/** A fraction of a second is not allowed (5.1.2.4), and the library writes one. */
function wholeSeconds(atMs: number): Date {
  return new Date(Math.floor(atMs / 1000) * 1000);
}

function derInteger(value: number): Buffer {
  const hex = value.toString(16);
  const octets = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  const signed = (octets[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), octets]) : octets;
  return Buffer.concat([Buffer.of(TAG.INTEGER, signed.length), signed]);
}

/** Read back with our own reader: strictly encoded, signed by this authority, and as long as it has to be. */
function check(der: Buffer, issuer: Issuer, revokedCount: number): void {
  const list = openDer(der, TAG.SEQUENCE, 'revocation list');
  const tbs = list.take(TAG.SEQUENCE, 'to-be-signed part');
  const algorithm = list.take(TAG.SEQUENCE, 'signature algorithm').raw;
  const signature = readWholeBits(list.take(TAG.BIT_STRING, 'signature'));
  list.end('revocation list');
  const spki = new X509Certificate(issuer.der).publicKey.export({ type: 'spki', format: 'der' });
  const key = readCertificateKey(spki, false);
  if (key === undefined || !verifyCertificateSignature(algorithm, key, tbs.raw, signature)) {
    throw new AccordError('CERTIFICATE_KEY_MISMATCH', 'the key of the authority does not belong to its certificate');
  }
  if (countRevoked(tbs.body) !== revokedCount) throw new AccordError('PROFILE_VIOLATED', 'the revocation list');
}

function countRevoked(body: Buffer): number {
  const inner = new DerReader(body);
  inner.take(TAG.INTEGER, 'version');
  inner.take(TAG.SEQUENCE, 'signature algorithm');
  inner.take(TAG.SEQUENCE, 'issuer');
  inner.next(); // thisUpdate
  inner.next(); // nextUpdate
  const revoked = inner.maybe(TAG.SEQUENCE);
  if (revoked === undefined) return 0;
  let count = 0;
  for (const entries = new DerReader(revoked.body); !entries.done; count += 1) entries.take(TAG.SEQUENCE, 'entry');
  return count;
}
