// Name constraints (RFC 5280 4.2.1.10, 6.1.3 b-c, 6.1.4 g). Each CA of a path may add constraints; a name must lie in
// the permitted subtrees of every CA that has some of its kind, and in no excluded one. Subtrees of kinds that are not
// compared here (URI, other names) refuse a certificate that carries such a name. Any CA of the path chose the
// constraints, its customer chose the names: the number of comparisons is budgeted.

import { type PathRefusal, refuse } from './path-codes.ts';
import { MAX_NAME_CHECKS } from './path-limits.ts';
import type { PathProfile } from './path-rules.ts';
import { EXTENSION, type NameConstraints } from './x509-extensions.ts';
import type { DistinguishedName, GeneralName } from './x509-name.ts';
import type { Certificate } from './x509-read.ts';

/** Comparisons left in this validation; shared by all paths that are tried. */
export interface NameBudget {
  checksLeft: number;
}

export function newNameBudget(): NameBudget {
  return { checksLeft: MAX_NAME_CHECKS };
}

/**
 * The constraints of one CA that are applied. RFC 5280 marks the extension critical; when it is not, the `rfc5280`
 * profile passes over constraints on kinds that are not compared, as that RFC allows.
 */
export function appliedConstraints({ extensions }: Certificate, profile: PathProfile): NameConstraints[] {
  const { nameConstraints, critical } = extensions;
  if (nameConstraints === undefined) return [];
  if (profile === 'accord' || critical.get(EXTENSION.nameConstraints) === true) return [nameConstraints];
  const { permitted, excluded } = nameConstraints;
  return [{ permitted: permitted.filter(isCompared), excluded: excluded.filter(isCompared) }];
}

/** Checks every name of `certificate` against the constraints of the CAs above it. */
export function checkNames(
  certificate: Certificate,
  above: NameConstraints[],
  isLeaf: boolean,
  budget: NameBudget,
): PathRefusal | undefined {
  if (above.length === 0) return undefined;
  const names = constrainedNames(certificate, isLeaf);
  const compared = certificate.extensions.subjectAltNames?.filter(isCompared).length ?? 0;
  for (const { permitted, excluded } of above) {
    // Counted up front for all kinds together: coarse, but a bound on the work that does not depend on the names. The
    // subject adds a few dozen names at most.
    budget.checksLeft -= compared * (permitted.filter(isCompared).length + excluded.filter(isCompared).length);
    if (budget.checksLeft < 0) return refuse('NAME_CHECKS_EXHAUSTED', certificate.subject.text);
    const subtrees = { permitted: byKind(permitted), excluded: byKind(excluded) };
    for (const name of names) {
      const refusal = checkName(name, subtrees);
      if (refusal !== undefined) return refusal;
    }
  }
  return undefined;
}

function isCompared(name: GeneralName): boolean {
  return name.kind !== 'uri' && name.kind !== 'other';
}

type Subtrees = Map<string, GeneralName[]>;

// An other name may hold a mailbox (RFC 8398), so address constraints stand for it as well.
function byKind(bases: GeneralName[]): Subtrees {
  const kinds: Subtrees = new Map();
  for (const base of bases) {
    for (const kind of base.kind === 'email' ? ['email', 'other'] : [base.kind]) {
      const list = kinds.get(kind) ?? [];
      list.push(base);
      kinds.set(kind, list);
    }
  }
  return kinds;
}

// The subject counts as a directory name, its emailAddress attributes as addresses. A leaf without DNS names is often
// read by its common name, so a common name that looks like a host counts as one (openssl does the same).
function constrainedNames(certificate: Certificate, isLeaf: boolean): GeneralName[] {
  const { subject, extensions } = certificate;
  const names: GeneralName[] = [...(extensions.subjectAltNames ?? [])];
  const hasDns = names.some((name) => name.kind === 'dns');
  if (subject.rdns.length > 0) names.push({ kind: 'directory', value: subject });
  for (const value of subject.emailAddresses) names.push({ kind: 'email', value });
  if (isLeaf && !hasDns) {
    for (const value of subject.commonNames) if (looksLikeHost(value)) names.push({ kind: 'dns', value });
  }
  return names;
}

function looksLikeHost(text: string): boolean {
  return /^[A-Za-z0-9*_-]+(\.[A-Za-z0-9_-]+)+\.?$/.test(text);
}

function checkName(name: GeneralName, subtrees: { permitted: Subtrees; excluded: Subtrees }): PathRefusal | undefined {
  const permitted = subtrees.permitted.get(name.kind) ?? [];
  const excluded = subtrees.excluded.get(name.kind) ?? [];
  if (permitted.length + excluded.length === 0) return undefined;
  if (!isCompared(name)) return refuse('NAME_CONSTRAINT_UNSUPPORTED', `a ${name.kind} name`);
  if (!isComparable(name)) return refuse('NAME_INVALID', showName(name));
  if (excluded.some((base) => contains(base, name, 'excluded'))) return refuse('NAME_EXCLUDED', showName(name));
  if (permitted.length > 0 && !permitted.some((base) => contains(base, name, 'permitted'))) {
    return refuse('NAME_NOT_PERMITTED', showName(name));
  }
  return undefined;
}

const DNS_NAME = /^(\*\.)?[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*$/;
const MAILBOX = /^[!#$%&'*+\-./0-9=?A-Z^_`a-z{|}~]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/;

function isComparable(name: GeneralName): boolean {
  if (name.kind === 'dns') return name.value.length <= 253 && DNS_NAME.test(name.value);
  return name.kind !== 'email' || MAILBOX.test(name.value);
}

function contains(base: GeneralName, name: GeneralName, list: 'permitted' | 'excluded'): boolean {
  if (base.kind === 'dns' && name.kind === 'dns') return dnsContains(base.value, name.value, list);
  if (base.kind === 'email' && name.kind === 'email') return emailContains(base.value, name.value, list);
  if (base.kind === 'ip' && name.kind === 'ip') return addressContains(base.value, name.value);
  if (base.kind === 'directory' && name.kind === 'directory') return directoryContains(base.value, name.value);
  return false;
}

// `example.org` holds itself and everything below; `.example.org` only what is below. A wildcard stands for every name
// one label deeper: it is excluded when any of them is, and permitted only when all of them are.
function dnsContains(base: string, name: string, list: 'permitted' | 'excluded'): boolean {
  const subtree = base.toLowerCase();
  const host = name.toLowerCase();
  if (subtree === '') return true;
  const below = subtree.startsWith('.') ? subtree : `.${subtree}`;
  if (host === subtree || host.endsWith(below)) return true;
  if (list === 'permitted' || !host.startsWith('*.')) return false;
  const parent = host.slice(1);
  return below.endsWith(parent) && !below.slice(1, -parent.length).includes('.');
}

// A whole mailbox, a host, or a domain with a leading dot. The local part distinguishes case; for an exclusion it does
// not, because mail servers seldom do.
function emailContains(base: string, name: string, list: 'permitted' | 'excluded'): boolean {
  const cut = name.lastIndexOf('@');
  const host = name.slice(cut + 1).toLowerCase();
  const baseCut = base.lastIndexOf('@');
  const baseHost = base.slice(baseCut + 1).toLowerCase();
  if (baseCut >= 0) {
    const [local, baseLocal] = [name.slice(0, cut), base.slice(0, baseCut)];
    const sameLocal = list === 'excluded' ? local.toLowerCase() === baseLocal.toLowerCase() : local === baseLocal;
    return sameLocal && host === baseHost;
  }
  if (baseHost === '') return true;
  return baseHost.startsWith('.') ? host.endsWith(baseHost) : host === baseHost;
}

function addressContains(base: Buffer, address: Buffer): boolean {
  const half = base.length / 2;
  if (address.length !== half) return false;
  return address.every((octet, i) => {
    const mask = base[half + i] ?? 0xff;
    return (octet & mask) === ((base[i] ?? 0) & mask);
  });
}

function directoryContains(base: DistinguishedName, name: DistinguishedName): boolean {
  return base.rdns.length <= name.rdns.length && base.rdns.every((rdn, i) => rdn === name.rdns[i]);
}

function showName(name: GeneralName): string {
  if (name.kind === 'directory') return `directory:${name.value.text}`;
  if (name.kind === 'ip') return `ip:${name.value.toString('hex')}`;
  return `${name.kind}:${name.value}`;
}
