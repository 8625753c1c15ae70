// Certification path building and validation (RFC 5280 section 6.1, RFC 4158) in one profile (docs/certificates.md).
// A pure function over bytes: time, anchors and purpose are arguments. Peers control the leaf and the intermediates;
// anchors and purpose come from the global configuration or an administrator.
//
// Paths are searched upwards from the leaf, anchors before intermediates. When an anchor is reached, the whole path is
// judged from the anchor down. If it fails, the search goes on; any valid path will do. The refusal that got furthest is
// the one that is told.
import { isAccordError } from '#schemas/problems.ts';
import { type PathCode, type PathRefusal, refuse } from './path-codes.ts';
import {
  MAX_ANCHORS,
  MAX_INTERMEDIATES,
  MAX_PATH_CERTIFICATES,
  MAX_SEARCH_STEPS,
  MAX_SIGNATURE_CHECKS,
} from './path-limits.ts';
import { appliedConstraints, checkNames, type NameBudget, newNameBudget } from './path-names.ts';
import {
  checkExtensions,
  checkIssuer,
  checkIssuerPurpose,
  checkLeaf,
  checkSigned,
  checkValidity,
  isNamedIssuer,
  isSelfIssued,
  PATH_PURPOSES,
  type PathProfile,
  type PathPurpose,
} from './path-rules.ts';
import {
  type CertificateKey,
  readCertificateKey,
  signatureAlgorithmName,
  verifyCertificateSignature,
} from './x509-algorithms.ts';
import type { NameConstraints } from './x509-extensions.ts';
import { type Certificate, readCertificate } from './x509-read.ts';

export type { PathCode } from './path-codes.ts';
export type { PathPurpose } from './path-rules.ts';
export { certificateHash } from './x509-read.ts';

/** A self-signed CA certificate that is trusted. What it says about itself is honoured unless the caller says not to. */
interface PathAnchor {
  der: Uint8Array;
  /** Refuse paths to this anchor outside its validity; default true. */
  honourExpiry?: boolean;
  /** Apply its basic constraints, key usages, extensions and name constraints (RFC 5937); default true. */
  honourConstraints?: boolean;
}

export interface PathRequest {
  /** DER of the end-entity certificate. */
  leaf: Uint8Array;
  /** DER of certificates that may help; order does not matter, none is trusted. At most 16. */
  intermediates: Uint8Array[];
  anchors: PathAnchor[];
  /** The time to judge at, milliseconds since the Unix epoch. */
  atMs: number;
  purpose: PathPurpose;
  /** Enables the RSA rows of the algorithm table, for foreign authorities. Default false. */
  allowRsa?: boolean;
  /** Certificates in the path, leaf and anchor included; default and most 8. */
  maxDepth?: number;
  /** Default 'accord'; 'rfc5280' only for certificates of foreign authorities. */
  profile?: PathProfile;
}

/** `path` holds the DER from leaf to anchor. */
export type PathVerdict = { valid: true; path: Uint8Array[] } | { valid: false; code: PathCode; detail: string };

/**
 * Builds and validates a certification path from `leaf` to one of `anchors`.
 * Nothing that a peer hands in makes it throw. @throws TypeError when the caller's own arguments are impossible
 */
export function validatePath(request: PathRequest): PathVerdict {
  checkRequest(request);
  if (request.intermediates.length > MAX_INTERMEDIATES || request.anchors.length > MAX_ANCHORS) {
    return { valid: false, ...refuse('TOO_MANY_CERTIFICATES', 'intermediates or anchors') };
  }
  const read = readAll(request);
  if ('code' in read) return { valid: false, ...read };
  const search = new PathSearch(request, read);
  const path = search.run();
  return 'code' in path ? { valid: false, ...path } : { valid: true, path: path.map(({ der }) => der) };
}

function checkRequest({ atMs, purpose, maxDepth }: PathRequest): void {
  if (!Number.isFinite(atMs)) throw new TypeError('atMs is not a time');
  if (!PATH_PURPOSES.includes(purpose)) throw new TypeError(`unknown purpose ${purpose}`);
  if (maxDepth !== undefined && !(Number.isInteger(maxDepth) && maxDepth >= 2 && maxDepth <= MAX_PATH_CERTIFICATES)) {
    throw new TypeError(`maxDepth is not between 2 and ${MAX_PATH_CERTIFICATES}`);
  }
}

interface Anchor extends Certificate {
  honourExpiry: boolean;
  honourConstraints: boolean;
}

interface ReadRequest {
  leaf: Certificate;
  intermediates: Certificate[];
  anchors: Anchor[];
}

// Everything handed in must be a certificate, also what the path would not need: rubbish beside a good path is a sign
// that something is wrong, and a parser that skips it can be steered.
function readAll(request: PathRequest): ReadRequest | PathRefusal {
  let what = 'leaf';
  try {
    const leaf = readCertificate(request.leaf);
    const intermediates = request.intermediates.map((der, at) => {
      what = `intermediate ${at + 1}`;
      return readCertificate(der);
    });
    const anchors = request.anchors.map(({ der, honourExpiry = true, honourConstraints = true }, at) => {
      what = `anchor ${at + 1}`;
      return { ...readCertificate(der), honourExpiry, honourConstraints };
    });
    // Duplicates would only multiply the paths, and a leaf is never an issuer.
    const seen = [leaf, ...anchors];
    const fresh = intermediates.filter((one, at) => !isAmong(one, seen) && !isAmong(one, intermediates.slice(0, at)));
    return { leaf, intermediates: fresh, anchors };
  } catch (error) {
    if (!isAccordError(error, 'CERTIFICATE_MALFORMED')) throw error;
    return refuse('CERTIFICATE_MALFORMED', `${what}: ${error.detail}`);
  }
}

function isAmong(certificate: Certificate, others: Certificate[]): boolean {
  return others.some((other) => other.der.equals(certificate.der));
}

type Path = [Certificate, ...Certificate[]];

/** One search. Its fields are the budgets, what was already checked, and the refusal that got furthest. */
class PathSearch {
  readonly #read: ReadRequest;
  readonly #purpose: PathPurpose;
  readonly #atSeconds: number;
  readonly #allowRsa: boolean;
  readonly #maxDepth: number;
  readonly #profile: PathProfile;
  readonly #names: NameBudget = newNameBudget();
  readonly #keys = new Map<Certificate, CertificateKey | undefined>();
  /** Signatures that were checked, by certificate and issuer. */
  readonly #signed = new Map<Certificate, Map<Certificate, boolean>>();
  #checksLeft = MAX_SIGNATURE_CHECKS;
  #stepsLeft = MAX_SEARCH_STEPS;
  #exhausted = false;
  #furthest: { depth: number; refusal: PathRefusal } | undefined;

  constructor(request: PathRequest, read: ReadRequest) {
    this.#read = read;
    this.#purpose = request.purpose;
    this.#atSeconds = Math.floor(request.atMs / 1000);
    this.#allowRsa = request.allowRsa ?? false;
    this.#maxDepth = request.maxDepth ?? MAX_PATH_CERTIFICATES;
    this.#profile = request.profile ?? 'accord';
  }

  run(): Path | PathRefusal {
    const { leaf, anchors } = this.#read;
    if (isAmong(leaf, anchors)) return refuse('LEAF_IS_ANCHOR', leaf.subject.text);
    const refusal =
      checkLeaf(leaf, this.#purpose, this.#profile) ?? this.#checkSigned(leaf) ?? this.#checkLeafKey(leaf);
    if (refusal !== undefined) return refusal;
    const found = this.#extend([leaf]);
    if (found !== undefined) return found;
    if (this.#exhausted) return refuse('SEARCH_EXHAUSTED', leaf.subject.text);
    return this.#furthest?.refusal ?? refuse('ISSUER_NOT_FOUND', leaf.subject.text);
  }

  #checkSigned(certificate: Certificate): PathRefusal | undefined {
    return checkSigned(certificate, { atSeconds: this.#atSeconds, allowRsa: this.#allowRsa, profile: this.#profile });
  }

  #checkLeafKey(leaf: Certificate): PathRefusal | undefined {
    return this.#key(leaf) === undefined ? refuse('KEY_UNSUPPORTED', leaf.subject.text) : undefined;
  }

  // Extends a path whose certificates are all signed by the next; returns the first that is valid as a whole.
  #extend(path: Path): Path | undefined {
    const last = path.at(-1) ?? path[0];
    const anchors = this.#read.anchors.filter((anchor) => isNamedIssuer(anchor, last));
    const others = this.#read.intermediates.filter((one) => !path.includes(one) && isNamedIssuer(one, last));
    if (anchors.length + others.length === 0) this.#note(path.length, refuse('ISSUER_NOT_FOUND', last.issuer.text));
    if (path.length >= this.#maxDepth && anchors.length + others.length > 0) {
      this.#note(path.length, refuse('PATH_TOO_LONG', last.subject.text));
      return undefined;
    }
    for (const issuer of [...anchors, ...others]) {
      this.#stepsLeft -= 1;
      if (this.#stepsLeft < 0) this.#exhausted = true;
      if (this.#exhausted) return undefined;
      const found = this.#tryIssuer(path, last, issuer);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #tryIssuer(path: Path, last: Certificate, issuer: Certificate | Anchor): Path | undefined {
    const anchor = 'honourExpiry' in issuer ? issuer : undefined;
    const longer: Path = [...path, issuer];
    const refusal =
      (anchor === undefined ? this.#checkIntermediate(issuer) : this.#checkAnchor(anchor)) ??
      this.#checkSignature(last, issuer) ??
      (anchor === undefined ? undefined : (this.#checkSelfSigned(anchor) ?? this.#checkWhole(longer, anchor)));
    if (refusal !== undefined) {
      this.#note(anchor === undefined ? path.length : longer.length, refusal);
      return undefined;
    }
    return anchor === undefined ? this.#extend(longer) : longer;
  }

  #checkIntermediate(issuer: Certificate): PathRefusal | undefined {
    return checkIssuer(issuer, this.#profile) ?? this.#checkSigned(issuer);
  }

  #checkAnchor(anchor: Anchor): PathRefusal | undefined {
    const byConstraints = anchor.honourConstraints
      ? (checkIssuer(anchor, this.#profile) ?? checkExtensions(anchor.extensions, anchor.subject.text))
      : undefined;
    return byConstraints ?? (anchor.honourExpiry ? checkValidity(anchor, this.#atSeconds) : undefined);
  }

  // An anchor is trusted by configuration, yet its own signature is checked: it shows that the bytes are those the CA
  // made, and keeps a cross-certificate from serving as a root by mistake.
  #checkSelfSigned(anchor: Anchor): PathRefusal | undefined {
    const who = anchor.subject.text;
    if (!isNamedIssuer(anchor, anchor)) return refuse('ANCHOR_INVALID', `${who}: not self-signed`);
    const refusal = this.#checkSignature(anchor, anchor);
    return refusal === undefined ? undefined : refuse('ANCHOR_INVALID', `${who}: ${refusal.code}`);
  }

  #checkSignature(certificate: Certificate, issuer: Certificate): PathRefusal | undefined {
    const key = this.#key(issuer);
    if (key === undefined) return refuse('KEY_UNSUPPORTED', issuer.subject.text);
    if (signatureAlgorithmName(certificate.signatureAlgorithm, this.#allowRsa) === undefined) {
      return refuse('ALGORITHM_UNSUPPORTED', certificate.subject.text);
    }
    const known = this.#signed.get(certificate) ?? new Map<Certificate, boolean>();
    this.#signed.set(certificate, known);
    let good = known.get(issuer);
    if (good === undefined) {
      this.#checksLeft -= 1;
      if (this.#checksLeft < 0) {
        this.#exhausted = true;
        return refuse('SEARCH_EXHAUSTED', certificate.subject.text);
      }
      const { signatureAlgorithm, tbs, signature } = certificate;
      good = verifyCertificateSignature(signatureAlgorithm, key, tbs, signature);
      known.set(issuer, good);
    }
    return good ? undefined : refuse('SIGNATURE_INVALID', certificate.subject.text);
  }

  #key(certificate: Certificate): CertificateKey | undefined {
    if (!this.#keys.has(certificate)) {
      this.#keys.set(certificate, readCertificateKey(certificate.publicKeyInfo, this.#allowRsa));
    }
    return this.#keys.get(certificate);
  }

  // RFC 5280 6.1.3 to 6.1.5, from the anchor down, for what depends on the certificates above.
  #checkWhole(path: Path, anchor: Anchor): PathRefusal | undefined {
    const leaf = path[0];
    const constraints: NameConstraints[] = [];
    let lengthLeft = Number.POSITIVE_INFINITY;
    for (let at = path.length - 1; at >= 0; at -= 1) {
      const certificate = path[at] ?? leaf;
      const isAnchor = at === path.length - 1;
      const counts = !isSelfIssued(certificate);
      if (!isAnchor && (at === 0 || counts)) {
        const refusal = checkNames(certificate, constraints, at === 0, this.#names);
        if (refusal !== undefined) return refusal;
      }
      if (at === 0 || (isAnchor && !anchor.honourConstraints)) continue;
      if (!isAnchor && counts) {
        if (lengthLeft <= 0) return refuse('PATH_LENGTH_EXCEEDED', certificate.subject.text);
        lengthLeft -= 1;
      }
      lengthLeft = Math.min(lengthLeft, certificate.extensions.basicConstraints?.pathLength ?? lengthLeft);
      constraints.push(...appliedConstraints(certificate, this.#profile));
      const refusal = checkIssuerPurpose(certificate, leaf, this.#purpose, this.#profile);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  #note(depth: number, refusal: PathRefusal): void {
    if (this.#furthest === undefined || depth > this.#furthest.depth) this.#furthest = { depth, refusal };
  }
}
