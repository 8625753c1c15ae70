// What a certification authority remembers of its own work: every certificate it signed and every revocation. Rules that
// need the past (one profile per key, unique serial numbers, nothing renewed after its revocation) ask here. In memory;
// core/authority-store.ts replays its records into it, tests and throw-away instances use it alone.
import type { ProfileName, RevocationReason } from './profiles.ts';

export interface IssuedCertificate {
  /** Lower-case hexadecimal, as certificates are named in commands and revocation lists. */
  serial: string;
  /** Which of the two authorities signed it. */
  issuer: 'root' | 'issuing';
  profile: ProfileName;
  /** The holder's identifier; an authority's commonName. */
  holder: string;
  /** base64url SHA-256 of the SubjectPublicKeyInfo. */
  keyHash: string;
  notBeforeMs: number;
  notAfterMs: number;
  der: Buffer;
}

export interface Revocation {
  atMs: number;
  reason: RevocationReason;
}

export interface LedgerEntry {
  certificate: IssuedCertificate;
  revocation?: Revocation;
}

export class Ledger {
  readonly #bySerial = new Map<string, LedgerEntry>();
  readonly #byKey = new Map<string, LedgerEntry[]>();

  /** @throws TypeError for a serial number that was used before */
  add(certificate: IssuedCertificate): void {
    if (this.#bySerial.has(certificate.serial)) throw new TypeError('a serial number is used once');
    const entry = { certificate };
    this.#bySerial.set(certificate.serial, entry);
    this.#byKey.set(certificate.keyHash, [...this.ofKey(certificate.keyHash), entry]);
  }

  /** @throws TypeError for a certificate that is unknown or revoked already */
  revoke(serial: string, revocation: Revocation): void {
    const entry = this.#bySerial.get(serial);
    if (entry === undefined || entry.revocation) throw new TypeError('only a known certificate is revoked, and once');
    entry.revocation = revocation;
  }

  get(serial: string): LedgerEntry | undefined {
    return this.#bySerial.get(serial);
  }

  ofKey(keyHash: string): readonly LedgerEntry[] {
    return this.#byKey.get(keyHash) ?? [];
  }

  /** All of them, oldest first. */
  entries(): readonly LedgerEntry[] {
    return [...this.#bySerial.values()];
  }
}
