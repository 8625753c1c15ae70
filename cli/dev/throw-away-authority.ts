// A certification authority that lives as long as its process, for `accord dev up`, the demonstration and the tests:
// the real issuing code, keys that are never written down. A member of a real instance uses `accord ca`.
import { createHash, createPublicKey, type KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import {
  type Circumstances,
  createIssuing,
  createResponder,
  createRoot,
  type Issuer,
  issue,
} from '#certs/authority.ts';
import { type CrlOrder, createCrl } from '#certs/crl-make.ts';
import { createCsr, readCsr } from '#certs/csr.ts';
import { rawEd25519PublicKey } from '#certs/ed25519.ts';
import { exportPublicJwk, generateKeys, thumbprint } from '#certs/keys.ts';
import { Ledger } from '#certs/ledger.ts';
import { answerOcsp, ledgerStatus } from '#certs/ocsp-make.ts';
import type { HolderProfileName } from '#certs/profiles.ts';
import type { Clock } from '#core/clock.ts';
import { base64url } from '#schemas/base64url.ts';
import type { EncryptionKey, RegisteredServer } from '#schemas/registrations.ts';
import type { ServerKeys } from '#security-server/key-ring.ts';
import { logOrigin } from '#security-server/log-origin.ts';

const DAY_MS = 86_400_000;
const ENCRYPTION_KEY_DAYS = 30;
const SUBJECT_KEY_DAYS = 5 * 365;

export interface ServerIdentity {
  keys: ServerKeys;
  /** What is registered of it, without address and subsystems. */
  registration: Omit<RegisteredServer, 'code' | 'address' | 'subsystems'>;
}

interface SystemIdentity {
  certPem: string;
  keyPem: string;
  /** SHA-256 of the certificate's DER, base64url. */
  certificateHash: string;
}

export interface ThrowAwayAuthority {
  /** DER. */
  trust: { anchors: Buffer[]; intermediates: Buffer[] };
  /** PEM of the root. */
  rootPem: string;
  /** Certifies a request; the answer is PEM, leaf first, then the issuing authority. */
  certify(profile: 'authentication' | 'signing', id: string, requestPem: string): Promise<string>;
  server(id: string): Promise<ServerIdentity>;
  /** Puts a certificate it issued (DER) on the revocation lists made from now on. */
  revoke(der: Uint8Array): void;
  /** The revocation list of the issuing authority, or of the root; DER. */
  revocationList(order: CrlOrder, of?: 'root'): Promise<Buffer>;
  /** Answers an OCSP request from the ledger; `validityMs` is how long the answer holds. */
  ocsp(request: Buffer, validityMs: number): Buffer;
  system(subsystem: string): Promise<SystemIdentity>;
}

export function pemOf(der: Uint8Array): string {
  return new X509Certificate(der).toString();
}

export async function openThrowAwayAuthority(clock: Clock): Promise<ThrowAwayAuthority> {
  const ledger = new Ledger();
  const circumstances = () => ({ nowMs: clock.nowMs(), randomBytes: (count: number) => randomBytes(count), ledger });
  const rootKey = generateKeys('P-256').privateKey;
  const root = await createRoot('Accord development root', rootKey, circumstances());
  ledger.add(root);
  const issuingKey = generateKeys('P-256').privateKey;
  const rootIssuer: Issuer = { role: 'root', der: root.der, privateKey: rootKey };
  const name = 'Accord development issuing';
  const issuing = await createIssuing(rootIssuer, name, createPublicKey(issuingKey), circumstances());
  ledger.add(issuing);
  const issuer: Issuer = { role: 'issuing', der: issuing.der, privateKey: issuingKey };

  const answers = await openAnswers(issuer, ledger, circumstances());

  const addressesOf = (profile: HolderProfileName) => (profile === 'authentication' ? ['127.0.0.1'] : []);

  async function certified(profile: HolderProfileName, kind: 'server' | 'subsystem', id: string, requestPem: string) {
    const names = { kind, id, dnsNames: [], ipAddresses: addressesOf(profile) };
    const made = await issue(issuer, profile, readCsr(Buffer.from(requestPem)), names, circumstances());
    ledger.add(made);
    return made.der;
  }

  async function certifyKey(profile: HolderProfileName, key: KeyObject, kind: 'server' | 'subsystem', id: string) {
    const names = { kind, id, dnsNames: [], ipAddresses: addressesOf(profile) };
    return certified(profile, kind, id, await createCsr(key, names));
  }

  async function server(id: string): Promise<ServerIdentity> {
    const authentication = generateKeys('P-256').privateKey;
    const signing = generateKeys('P-256').privateKey;
    const encryption = generateKeys('P-256').privateKey;
    const subject = generateKeys('P-256').privateKey;
    const checkpoint = generateKeys('Ed25519').privateKey;
    const authenticationDer = await certifyKey('authentication', authentication, 'server', id);
    const signingDer = await certifyKey('signing', signing, 'server', id);
    const kid = thumbprint(encryption);
    const bareKey = (key: KeyObject, days: number): EncryptionKey => {
      const jwk = exportPublicJwk(key) as EncryptionKey['jwk'];
      return { kid: thumbprint(key), jwk, notAfterMs: clock.nowMs() + days * DAY_MS };
    };
    return {
      keys: {
        authentication: { certPem: pemOf(authenticationDer) + pemOf(issuing.der), key: authentication },
        signing: { certPem: pemOf(signingDer), key: signing },
        encryption: new Map([[kid, encryption]]),
        subject: [{ kid: thumbprint(subject), privateKey: subject }],
        checkpoint,
        storageKey: randomBytes(32),
      },
      registration: {
        authenticationCertificates: [base64url(authenticationDer)],
        signingCertificates: [base64url(signingDer)],
        encryptionKeys: [bareKey(encryption, ENCRYPTION_KEY_DAYS)],
        subjectKeys: [bareKey(subject, SUBJECT_KEY_DAYS)],
        log: { origin: logOrigin(id), key: base64url(rawEd25519PublicKey(checkpoint)) },
      },
    };
  }

  async function system(subsystem: string): Promise<SystemIdentity> {
    const key = generateKeys('P-256').privateKey;
    const der = await certifyKey('information-system', key, 'subsystem', subsystem);
    return {
      certPem: pemOf(der) + pemOf(issuing.der),
      keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
      certificateHash: createHash('sha256').update(der).digest('base64url'),
    };
  }

  return {
    trust: { anchors: [root.der], intermediates: [issuing.der] },
    rootPem: pemOf(root.der),
    certify: async (profile, id, requestPem) =>
      pemOf(await certified(profile, 'server', id, requestPem)) + pemOf(issuing.der),
    server,
    revoke(der) {
      const entry = ledger.entries().find(({ certificate }) => certificate.der.equals(der));
      if (entry === undefined) throw new TypeError('this authority issued no such certificate');
      ledger.revoke(entry.certificate.serial, { atMs: clock.nowMs(), reason: 'keyCompromise' });
    },
    ocsp: (request, validityMs) => answers(request, validityMs, clock.nowMs()),
    revocationList: (order, of) => createCrl(of === 'root' ? rootIssuer : issuer, ledger.entries(), order),
    system,
  };
}

/** OCSP answers by an appointed key, as a real authority would give them (RFC 6960 4.2.2.2). */
async function openAnswers(issuer: Issuer, ledger: Ledger, circumstances: Circumstances) {
  const { privateKey, publicKey } = generateKeys('P-256');
  const made = await createResponder(issuer, 'Accord development OCSP', publicKey, circumstances);
  ledger.add(made);
  const signs = { issuer: issuer.der, certificate: made.der, privateKey, statusOf: ledgerStatus(ledger, 'issuing') };
  return (request: Buffer, validityMs: number, nowMs: number) => answerOcsp(request, { ...signs, validityMs }, nowMs);
}
