// A certification authority at work: what `accord ca` and throw-away instances do with the folder of core/authority-store
// and the rules of certs/authority. Each act is judged first, then signed, then recorded durably, then handed out.
import { type KeyObject, randomBytes } from 'node:crypto';
import {
  type Authority,
  type Circumstances,
  createIssuing,
  createResponder,
  createRoot,
  type Issuer,
  type PlannedCertificate,
  planIssue,
  planRenewal,
  signPlanned,
} from '#certs/authority.ts';
import { createCrl } from '#certs/crl-make.ts';
import type { CertificateRequest } from '#certs/csr.ts';
import type { HolderNames } from '#certs/holder-names.ts';
import { type KeyFileCost, openKey, sealKey } from '#certs/key-file.ts';
import { generateKeys } from '#certs/keys.ts';
import { type IssuedCertificate, Ledger, type LedgerEntry } from '#certs/ledger.ts';
import { type KnownStatus, ledgerStatus, type OcspResponder } from '#certs/ocsp-make.ts';
import { DAY_MS, type HolderProfileName, type RevocationReason } from '#certs/profiles.ts';
import { toPem } from '#certs/x509-library.ts';
import { AccordError } from '#schemas/problems.ts';
import {
  type AuthorityRole,
  type AuthoritySettings,
  AuthorityStore,
  createAuthorityFolder,
  refuseUsedFolder,
} from './authority-store.ts';
import type { Clock } from './clock.ts';

export interface NewAuthorityOrder {
  /** What a passphrase costs; by default what it costs everywhere. */
  keyFileCost?: KeyFileCost;
  dir: string;
  /** The authorities are called `NAME Root CA` and `NAME Issuing CA`. */
  name: string;
  instance?: string;
  crlUrl?: string;
  passphrase: string;
  clock: Clock;
}

/**
 * Makes a root (P-384), an issuing authority (P-256) below it, and the folder.
 * @throws AUTHORITY_EXISTS, PASSPHRASE_REFUSED, CSR_REFUSED for the name
 */
export async function initAuthority(
  order: NewAuthorityOrder,
): Promise<{ root: IssuedCertificate; issuing: IssuedCertificate }> {
  const { dir, name, passphrase, clock } = order;
  refuseUsedFolder(dir);
  const nowMs = clock.nowMs();
  const circumstances: Circumstances = { nowMs, randomBytes, ledger: new Ledger() };
  const [rootKey, issuingKey] = [generateKeys('P-384').privateKey, generateKeys('P-256').privateKey];
  const root = await createRoot(`${name} Root CA`, rootKey, circumstances);
  const rootIssuer: Issuer = { role: 'root', der: root.der, privateKey: rootKey };
  const issuing = await createIssuing(rootIssuer, `${name} Issuing CA`, issuingKey, circumstances);
  const meta = { use: 'ca' as const, createdAtMs: nowMs };
  const keys = {
    root: await sealKey(rootKey, passphrase, { ...meta, label: root.holder }, order.keyFileCost),
    issuing: await sealKey(issuingKey, passphrase, { ...meta, label: issuing.holder }, order.keyFileCost),
  };
  const settings: AuthoritySettings = { v: 1, name };
  if (order.instance !== undefined) settings.instance = order.instance;
  if (order.crlUrl !== undefined) settings.crlUrl = order.crlUrl;
  createAuthorityFolder(dir, { settings, keys, certificates: [root, issuing] }, nowMs);
  return { root, issuing };
}

export class CertificationAuthority {
  readonly #store: AuthorityStore;
  readonly #clock: Clock;

  /** Takes the lock of the folder until `close`. @throws AUTHORITY_MISSING, AUTHORITY_BUSY, AUTHORITY_DAMAGED */
  constructor(dir: string, clock: Clock) {
    this.#store = new AuthorityStore(dir);
    this.#clock = clock;
  }

  /** Judges a request without signing. @throws as `planIssue`; CSR_REFUSED for a holder of another instance */
  plan(
    profile: HolderProfileName,
    request: CertificateRequest,
    approved: HolderNames,
    days?: number,
  ): PlannedCertificate {
    const { instance } = this.#store.settings;
    if (instance !== undefined && !request.names.id.startsWith(`${instance}/`)) {
      throw new AccordError('CSR_REFUSED', `this authority certifies holders of the instance ${instance}`);
    }
    return planIssue(this.#issuing(), profile, request, approved, this.#circumstances(), days);
  }

  /** Judges a renewal without signing. @throws as `planRenewal`; SERIAL_UNKNOWN */
  planRenewal(serial: string, request?: CertificateRequest, days?: number): PlannedCertificate {
    return planRenewal(this.#issuing(), this.find(serial), request, this.#circumstances(), days);
  }

  /** Signs and records what was planned; returns the certificate. @throws as `signPlanned`, and for the key file */
  async sign(planned: PlannedCertificate, passphrase: string): Promise<IssuedCertificate> {
    const signed = await signPlanned(await this.#issuer('issuing', passphrase), planned);
    this.#store.recordIssued(signed, this.#clock.nowMs());
    return signed;
  }

  /** Takes effect outside with the next revocation list. @throws SERIAL_UNKNOWN, ALREADY_REVOKED */
  revoke(serial: string, reason: RevocationReason): LedgerEntry {
    const entry = this.find(serial);
    if (entry.revocation) throw new AccordError('ALREADY_REVOKED', `for ${entry.revocation.reason}`);
    if (entry.certificate.profile === 'root') throw new AccordError('SERIAL_UNKNOWN', 'nobody stands above a root');
    this.#store.recordRevoked(serial, { atMs: this.#clock.nowMs(), reason });
    return this.find(serial);
  }

  /** A new revocation list of one authority, PEM. @throws for the key file; CERTIFICATE_KEY_MISMATCH */
  async crl(
    role: AuthorityRole,
    days: number,
    passphrase: string,
  ): Promise<{ number: number; nextUpdateMs: number; pem: string }> {
    const issuer = await this.#issuer(role, passphrase);
    const nowMs = this.#clock.nowMs();
    const nextUpdateMs = nowMs + days * DAY_MS;
    const number = this.#store.recordCrl(role, nowMs);
    const der = await createCrl(issuer, this.#store.ledger.entries(), { number, thisUpdateMs: nowMs, nextUpdateMs });
    return { number, nextUpdateMs, pem: toPem('X509 CRL', der) };
  }

  /**
   * Appoints a responder for one authority and records it.
   * @throws as `createResponder`, and for the key file
   */
  async appointResponder(
    role: AuthorityRole,
    publicKey: KeyObject,
    passphrase: string,
    days?: number,
  ): Promise<IssuedCertificate> {
    const issuer = await this.#issuer(role, passphrase);
    const name = `${this.#store.settings.name} ${role === 'root' ? 'Root' : 'Issuing'} OCSP`;
    const made = await createResponder(issuer, name, publicKey, this.#circumstances(), days);
    this.#store.recordIssued(made, this.#clock.nowMs());
    return made;
  }

  /** The certificate of one authority, DER. */
  certificate(role: AuthorityRole): Buffer {
    return this.#store.certificate(role);
  }

  /**
   * What answers OCSP requests about certificates of one authority with its own key, from the ledger as it is now.
   * @throws for the key file
   */
  async ocspResponder(
    role: AuthorityRole,
    passphrase: string,
  ): Promise<Omit<OcspResponder, 'statusOf' | 'validityMs'>> {
    const { der, privateKey } = await this.#issuer(role, passphrase);
    return { issuer: der, certificate: der, privateKey };
  }

  /** What the ledger says of a serial number, as it is now. */
  ocspStatus(role: AuthorityRole): (serial: string) => KnownStatus {
    return ledgerStatus(this.#store.ledger, role);
  }

  /** @throws SERIAL_UNKNOWN */
  find(serial: string): LedgerEntry {
    const entry = this.#store.ledger.get(serial);
    if (entry === undefined) throw new AccordError('SERIAL_UNKNOWN', serial.slice(0, 64));
    return entry;
  }

  entries(): readonly LedgerEntry[] {
    return this.#store.ledger.entries();
  }

  /** The issuing authority's certificate, which goes along with every certificate it signed. */
  chainPem(): string {
    return toPem('CERTIFICATE', this.#store.certificate('issuing'));
  }

  close(): void {
    this.#store.close();
  }

  #issuing(): Authority {
    return this.#authority('issuing');
  }

  #authority(role: AuthorityRole): Authority {
    const { crlUrl } = this.#store.settings;
    const der = this.#store.certificate(role);
    return crlUrl === undefined ? { role, der } : { role, der, crlUrl };
  }

  async #issuer(role: AuthorityRole, passphrase: string): Promise<Issuer> {
    const { privateKey } = await openKey(this.#store.sealedKey(role), passphrase);
    return { ...this.#authority(role), privateKey };
  }

  #circumstances(): Circumstances {
    return { nowMs: this.#clock.nowMs(), randomBytes, ledger: this.#store.ledger };
  }
}
