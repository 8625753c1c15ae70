// Makes certificate revocation lists (RFC 5280 section 5): version 2, complete, with authority key identifier and number.
// What is listed comes from the authority's ledger; nothing from outside enters here.
import { AccordError } from '#schemas/problems.ts';
import type { Issuer } from './authority.ts';
import { checkCrl } from './crl.ts';
import { TAG } from './der.ts';
import type { LedgerEntry } from './ledger.ts';
import { REVOCATION_REASONS } from './profiles.ts';
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
  check(der, issuer, revoked, order);
  return der;
}

/** A fraction of a second is not allowed (5.1.2.6); what becomes of one is not left to the library. */
function wholeSeconds(atMs: number): Date {
  return new Date(Math.floor(atMs / 1000) * 1000);
}

function derInteger(value: number): Buffer {
  const hex = value.toString(16);
  const octets = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  const signed = (octets[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), octets]) : octets;
  return Buffer.concat([Buffer.of(TAG.INTEGER, signed.length), signed]);
}

/** Read back with our own reader, which did not make it: signed by this authority, current, and saying what it should. */
function check(der: Buffer, issuer: Issuer, revoked: readonly { serialNumber: string }[], order: CrlOrder): void {
  const ask = (serial: string) => checkCrl({ crl: der, issuer: issuer.der, serial, atMs: order.thisUpdateMs });
  const other = ask('00');
  if (other.status === 'unknown' && other.code === 'CRL_SIGNATURE_INVALID') {
    throw new AccordError('CERTIFICATE_KEY_MISMATCH', 'the key of the authority does not belong to its certificate');
  }
  const last = revoked.at(-1);
  if (other.status !== 'good' || (last && ask(last.serialNumber).status !== 'revoked')) {
    throw new AccordError('PROFILE_VIOLATED', 'the revocation list');
  }
}
