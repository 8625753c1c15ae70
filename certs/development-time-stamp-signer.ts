// Key and certificates of a development time-stamp authority, made anew each time and never written down: a root of its
// own and, below it, a certificate with the one critical key purpose that RFC 3161 2.3 asks for. Its inputs are ours.
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { keyIdentifier } from './authority-contents.ts';
import { TAG } from './der.ts';
import { derInteger, derOf, derOid, derSequence } from './der-write.ts';
import { BACKDATE_MS, DAY_MS } from './profiles.ts';
import type { TimeStampSigner } from './time-stamp-make.ts';
import { EXTENSION } from './x509-extensions.ts';
import { loadX509, signingKeyOf, type X509Library } from './x509-library.ts';
import { readCertificate } from './x509-read.ts';

const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const TIME_STAMPING = '1.3.6.1.5.5.7.3.8';
/** Below the private enterprise number for examples (RFC 5612): nobody’s policy. */
const DEVELOPMENT_POLICY = '1.3.6.1.4.1.32473.1.1';
const LIFETIME_DAYS = 3_650;

export interface DevelopmentTimeStampSigner extends TimeStampSigner {
  root: Buffer;
  rootKey: KeyObject;
  /** The root's revocation list, which lasts a day. `revoked`: since when, and why (CRLReason), of the one certificate. */
  list(number: number, nowMs: number, revoked?: { atMs: number; reason: number | null } | null): Buffer;
}

/** @param name commonName of the authority. `root` is DER and what its users trust. */
export async function makeDevelopmentTimeStampSigner(name: string, nowMs: number): Promise<DevelopmentTimeStampSigner> {
  const x509 = await loadX509();
  const rootPair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const rootId = keyIdOf(rootPair.publicKey);
  const rootName = `CN=${name} root`;
  const made = (subject: string, publicKey: KeyObject, extensions: object[]) =>
    x509.X509CertificateGenerator.create({
      serialNumber: serial(),
      subject,
      issuer: rootName,
      notBefore: new Date(wholeSeconds(nowMs - BACKDATE_MS)),
      notAfter: new Date(wholeSeconds(nowMs + LIFETIME_DAYS * DAY_MS)),
      publicKey: publicKey.export({ type: 'spki', format: 'der' }),
      extensions: extensions as InstanceType<X509Library['Extension']>[],
      ...signingKeyOf(rootPair.privateKey),
    });
  const root = await made(rootName, rootPair.publicKey, [
    new x509.BasicConstraintsExtension(true, 0, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    new x509.SubjectKeyIdentifierExtension(rootId),
  ]);
  const leaf = await made(`CN=${name}`, pair.publicKey, [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.nonRepudiation, true),
    new x509.ExtendedKeyUsageExtension([TIME_STAMPING], true),
    new x509.SubjectKeyIdentifierExtension(keyIdOf(pair.publicKey)),
    new x509.AuthorityKeyIdentifierExtension(rootId),
  ]);
  return {
    privateKey: pair.privateKey,
    certificates: [Buffer.from(leaf.rawData)],
    policy: DEVELOPMENT_POLICY,
    root: Buffer.from(root.rawData),
    rootKey: rootPair.privateKey,
    list: (number, now, revoked = null) =>
      listOf(
        { key: rootPair.privateKey, certificate: Buffer.from(root.rawData) },
        Buffer.from(leaf.rawData),
        number,
        now,
        revoked,
      ),
  };
}

/** RFC 5280 5.1, with the two extensions that every list has. */
function listOf(
  issuer: { key: KeyObject; certificate: Buffer },
  leaf: Buffer,
  number: number,
  nowMs: number,
  revoked: { atMs: number; reason: number | null } | null,
): Buffer {
  const { subject, extensions } = readCertificate(issuer.certificate);
  const extension = (oid: string, value: Buffer) => derSequence(derOid(oid), derOf(TAG.OCTET_STRING, value));
  const algorithm = derSequence(derOid(ECDSA_WITH_SHA256));
  const reasons =
    revoked?.reason == null
      ? []
      : [derSequence(extension(EXTENSION.reasonCode, derOf(TAG.ENUMERATED, Buffer.of(revoked.reason))))];
  const serialNumber = derInteger(Buffer.from(readCertificate(leaf).serialHex, 'hex'));
  const entries = revoked === null ? [] : [derSequence(derSequence(serialNumber, utcTime(revoked.atMs), ...reasons))];
  const tbs = derSequence(
    ...[derInteger(1), algorithm, subject.der, utcTime(nowMs), utcTime(nowMs + DAY_MS), ...entries],
    derOf(
      0xa0,
      derSequence(
        extension(EXTENSION.authorityKeyId, derSequence(derOf(0x80, extensions.subjectKeyId ?? Buffer.alloc(0)))),
        extension(EXTENSION.cRLNumber, derInteger(number)),
      ),
    ),
  );
  return derSequence(tbs, algorithm, derOf(TAG.BIT_STRING, Buffer.of(0), sign('sha256', tbs, issuer.key)));
}

function utcTime(atMs: number): Buffer {
  const text = `${new Date(wholeSeconds(atMs)).toISOString().slice(2, 19).replace(/[-:T]/g, '')}Z`;
  return derOf(TAG.UTC_TIME, Buffer.from(text, 'latin1'));
}

function keyIdOf(key: KeyObject): string {
  return keyIdentifier(key.export({ type: 'spki', format: 'der' })).toString('hex');
}

function wholeSeconds(atMs: number): number {
  return Math.floor(atMs / 1000) * 1000;
}

function serial(): string {
  const octets = randomBytes(16);
  octets[0] = ((octets[0] ?? 0) & 0x3f) | 0x40;
  return octets.toString('hex');
}
