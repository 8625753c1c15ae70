// The closed table of certificate profiles (RFC 5280 section 4.2): what each kind of certificate in an Accord instance
// may do, who holds it and how long it lasts. A profile decides every extension; a request only brings a key and names.

import { KEY_USAGE } from './x509-extensions.ts';
import type { AuthorityCurve } from './x509-library.ts';

type AuthorityProfileName = 'root' | 'issuing' | 'ocsp-responder';
export type HolderProfileName = 'authentication' | 'signing' | 'encryption' | 'information-system';
export type ProfileName = AuthorityProfileName | HolderProfileName;

export interface CertificateProfile {
  title: string;
  /** What the certificate names: `server` and `subsystem` identifiers stand in a URI `accord:server:...`; else a name. */
  holder: 'authority' | 'server' | 'subsystem';
  /** Present on authorities: how many authorities may stand below (basicConstraints, 4.2.1.9). */
  pathLength?: number;
  /** Bits of KEY_USAGE; the extension is critical (4.2.1.3). */
  keyUsage: number;
  /** Key purposes by object identifier; empty leaves the extension out (4.2.1.12). */
  keyPurposes: readonly string[];
  /** DNS names and IP addresses beside the identifier. */
  addresses: boolean;
  curves: readonly AuthorityCurve[];
  defaultDays: number;
  maxDays: number;
  /** Whether a renewal may certify the same key once more. */
  keepsKey: boolean;
  /** id-pkix-ocsp-nocheck (RFC 6960 4.2.2.2.1): nobody is asked about it, so that it lives shortly. */
  noCheck?: true;
}

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const OCSP_SIGNING = '1.3.6.1.5.5.7.3.9';
const AUTHORITY_USAGE = KEY_USAGE.keyCertSign | KEY_USAGE.cRLSign;
const EITHER: readonly AuthorityCurve[] = ['P-256', 'P-384'];

export const PROFILES: Readonly<Record<ProfileName, CertificateProfile>> = {
  root: {
    title: 'root certification authority',
    holder: 'authority',
    pathLength: 1,
    keyUsage: AUTHORITY_USAGE,
    keyPurposes: [],
    addresses: false,
    curves: EITHER,
    defaultDays: 3650,
    maxDays: 7300,
    keepsKey: false,
  },
  issuing: {
    title: 'issuing certification authority',
    holder: 'authority',
    pathLength: 0,
    keyUsage: AUTHORITY_USAGE,
    keyPurposes: [],
    addresses: false,
    curves: EITHER,
    defaultDays: 1825,
    maxDays: 3650,
    keepsKey: false,
  },
  // Signs OCSP answers for the authority that issued it (RFC 6960 4.2.2.2), so that the authority's own key stays offline.
  'ocsp-responder': {
    title: 'OCSP responder of a certification authority',
    holder: 'authority',
    keyUsage: KEY_USAGE.digitalSignature,
    keyPurposes: [OCSP_SIGNING],
    addresses: false,
    curves: EITHER,
    defaultDays: 14,
    maxDays: 30,
    keepsKey: true,
    noCheck: true,
  },
  // TLS between security servers: each is client and server.
  authentication: {
    title: 'TLS key of a security server',
    holder: 'server',
    keyUsage: KEY_USAGE.digitalSignature,
    keyPurposes: [SERVER_AUTH, CLIENT_AUTH],
    addresses: true,
    curves: ['P-256'],
    defaultDays: 365,
    maxDays: 825,
    keepsKey: true,
  },
  // Statements and receipts. No TLS purpose: a signature made in a handshake must never pass for a statement.
  signing: {
    title: 'signing key of a security server',
    holder: 'server',
    keyUsage: KEY_USAGE.digitalSignature | KEY_USAGE.nonRepudiation,
    keyPurposes: [],
    addresses: false,
    curves: ['P-256'],
    defaultDays: 730,
    maxDays: 1095,
    keepsKey: true,
  },
  // Only where an X.509 form of an encryption key is wanted; its private part is destroyed after at most 30 days.
  encryption: {
    title: 'encryption key of a security server',
    holder: 'server',
    keyUsage: KEY_USAGE.keyAgreement,
    keyPurposes: [],
    addresses: false,
    curves: ['P-256'],
    defaultDays: 30,
    maxDays: 30,
    keepsKey: false,
  },
  'information-system': {
    title: "TLS client key of a department's information system",
    holder: 'subsystem',
    keyUsage: KEY_USAGE.digitalSignature,
    keyPurposes: [CLIENT_AUTH],
    addresses: false,
    curves: ['P-256'],
    defaultDays: 365,
    maxDays: 825,
    keepsKey: true,
  },
};

export const HOLDER_PROFILES = (Object.keys(PROFILES) as ProfileName[]).filter(
  (name): name is HolderProfileName => PROFILES[name].holder !== 'authority',
);

/** Reasons a certificate is revoked for, with their CRLReason (RFC 5280 5.3.1). There is no hold and no `unspecified`. */
export const REVOCATION_REASONS = {
  keyCompromise: 1,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  privilegeWithdrawn: 9,
} as const;

export type RevocationReason = keyof typeof REVOCATION_REASONS;

/** A certificate begins this long before it is made, for verifiers whose clocks are behind. */
export const BACKDATE_MS = 5 * 60_000;
export const DAY_MS = 86_400_000;
