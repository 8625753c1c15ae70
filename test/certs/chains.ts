// Chains for the tests of path validation: a root, an issuing CA and a leaf that are fit, and what a case changes of them.
import { spawnSync } from 'node:child_process';
import type { PathRequest } from '#certs/path.ts';
import type * as make from './make-certificate.ts';
import { CLIENT, certificate, ext, pair, SERVER, sequence } from './make-certificate.ts';

export const AT = '2026-06-01T00:00:00Z';
export const keys = { root: pair(), ca: pair(), ca2: pair(), leaf: pair(), other: pair() };
export const rsa = { root: pair('rsa'), ca: pair('rsa'), leaf: pair('rsa') };

type Change = Partial<make.Spec> & { with?: make.Extension[]; without?: string[] };

function build(base: make.Spec, change: Change): Buffer {
  const changed = new Set([...(change.with ?? []).map((one) => one.oid), ...(change.without ?? [])]);
  const { with: added = [], without: _, ...rest } = change;
  return certificate({
    ...base,
    ...rest,
    extensions: [...base.extensions.filter((e) => !changed.has(e.oid)), ...added],
  });
}

export function root(change: Change = {}): Buffer {
  const key = change.key ?? keys.root;
  const extensions = [ext.basic(true), ext.usage(5, 6), ext.subjectKey(key.id)];
  return build({ subject: 'CN=Root', issuer: 'CN=Root', key, signer: key, extensions }, change);
}

export function ca(change: Change = {}): Buffer {
  const key = change.key ?? keys.ca;
  const signer = change.signer ?? keys.root;
  const known = [ext.basic(true), ext.usage(5, 6), ext.subjectKey(key.id), ext.authorityKey(signer.id)];
  return build({ subject: 'CN=CA', issuer: 'CN=Root', key, signer, extensions: known }, change);
}

export function leaf(change: Change = {}): Buffer {
  const key = change.key ?? keys.leaf;
  const signer = change.signer ?? keys.ca;
  const both = ext.purposes(SERVER, CLIENT);
  const known = [ext.basic(false), ext.usage(0), both, ext.subjectKey(key.id), ext.authorityKey(signer.id)];
  return build({ subject: 'CN=leaf/O=Org', issuer: 'CN=CA', key, signer, extensions: known }, change);
}

export interface Row {
  name: string;
  leaf?: Buffer;
  intermediates?: Buffer[];
  anchors?: Buffer[];
  at?: string;
  purpose?: 'client' | 'server';
  rsa?: true;
  /** Our answer. */
  code: string;
  /** openssl accepts what we refuse, because … */
  stricter?: string;
  /** openssl refuses what we accept, because … */
  several?: string;
}

export const dn = (...names: Buffer[]) => ({ with: [ext.altNames(...names)] });
export const under = (permitted: Buffer[], excluded: Buffer[] = []) => [
  ca({ with: [ext.constraints(permitted, excluded)] }),
];
export const lowerCa = (change: Change = {}) =>
  ca({ subject: 'CN=CA2', issuer: 'CN=CA', key: keys.ca2, signer: keys.ca, ...change });
export const lowerLeaf = (change: Change = {}) => leaf({ issuer: 'CN=CA2', signer: keys.ca2, ...change });
export const tampered = (bytes: Buffer) =>
  Buffer.from(bytes.map((octet, i) => (i === bytes.length - 1 ? octet ^ 1 : octet)));
export const unknownExtension = (critical: boolean) => ({ oid: '1.2.3.4', critical, value: sequence() });
export const noSuch = 'the profile has no such certificates';

// A chain whose root and issuing CA have these keys; the leaf's key is always P-256.
export function chainOf(rootKey: make.KeyPair, caKey: make.KeyPair, algorithm?: keyof typeof make.ALGORITHMS) {
  const by = algorithm === undefined ? {} : { algorithm };
  return {
    leaf: leaf({ signer: caKey, ...by }),
    intermediates: [ca({ key: caKey, signer: rootKey, ...by })],
    anchors: [root({ key: rootKey, ...by })],
  };
}

export function request(row: Partial<Row>): PathRequest {
  return {
    leaf: row.leaf ?? leaf(),
    intermediates: row.intermediates ?? [ca()],
    anchors: (row.anchors ?? [root()]).map((bytes) => ({ der: bytes })),
    atMs: Date.parse(row.at ?? AT),
    purpose: row.purpose ?? 'server',
    allowRsa: row.rsa === true,
  };
}

const OPENSSL = 'openssl';

export function openssl(args: string[], cwd?: string) {
  return spawnSync(OPENSSL, args, { encoding: 'utf8', cwd });
}

/** Skips loudly where openssl is not installed. */
export const withOpenssl =
  openssl(['version']).status === 0 ? {} : { skip: 'openssl is not installed: nothing compared' };
