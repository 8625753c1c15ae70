// How the documents of the configuration are made and signed: offline by root holders and approvers, online by the
// freshness signer. Pure; keys and time are arguments.
import type { KeyObject } from 'node:crypto';
import { type JwsKey, signCompact } from '#certs/jws.ts';
import { exportPublicJwk, keyAlgorithm, thumbprint } from '#certs/keys.ts';
import { assembleSigned, type DetachedSignature, signPayload } from '#certs/multi-signature.ts';
import { canonicalJson } from '#schemas/canonical-json.ts';
import {
  CONFIGURATION_TYP,
  type ConfigurationAnchor,
  type DistrustStatement,
  FRESHNESS_LIFETIME_MS,
  type FreshnessStatement,
  type LocksList,
  type PersonKey,
  RootConfiguration,
} from '#schemas/configuration.ts';
import type { JsonValue } from '#schemas/json.ts';
import { compile } from '#schemas/validate.ts';
import { checkedRoot, rootKeysOf, type VerifiedRoot } from './verify.ts';

/** A person's (or the online signer's) key; the private half is not needed to be named in a root. */
export interface Holder {
  key: KeyObject;
  person: string;
}

export interface RootPlan {
  instance: string;
  rootKeys: readonly Holder[];
  /** Persons who must sign a root. */
  rootThreshold: number;
  approvers: readonly Holder[];
  freshness: readonly Holder[];
  expiresAtMs: number;
  /** The root before, when keys are changed. */
  previous?: VerifiedRoot;
}

const readRoot = compile(RootConfiguration, 'CONFIGURATION_INVALID');

/** The canonical bytes of a document: what is signed. */
export function payloadOf(document: object): Buffer {
  return Buffer.from(canonicalJson(document as JsonValue));
}

/** The payload of the next root. @throws CONFIGURATION_INVALID */
export function planRoot(plan: RootPlan): Buffer {
  const holders = [...plan.rootKeys, ...plan.approvers, ...plan.freshness];
  const kids = (list: readonly Holder[]) => list.map(({ key }) => thumbprint(key)).toSorted();
  const root = readRoot({
    v: 1,
    instance: plan.instance,
    version: (plan.previous?.document.version ?? 0) + 1,
    previousHash: plan.previous?.hash ?? null,
    keys: Object.fromEntries(holders.map(({ key, person }) => [thumbprint(key), personKey(key, person)])),
    roles: {
      root: { threshold: plan.rootThreshold, kids: kids(plan.rootKeys) },
      content: { threshold: 2, kids: kids(plan.approvers) },
      freshness: { kids: kids(plan.freshness) },
    },
    expiresAtMs: plan.expiresAtMs,
  });
  // What no client would take is not worth a ceremony.
  return payloadOf(checkedRoot(root));
}

/** A private key with its algorithm. @throws KEY_UNSUITABLE */
function signer(key: KeyObject): JwsKey {
  return { alg: keyAlgorithm(key), key };
}

/** A whole signed file by keys that are all at hand: roots, and everything of a development instance. */
export function signFile(kind: 'root' | 'content', payload: Buffer, keys: readonly KeyObject[]): Buffer {
  return assembleSigned(
    payload,
    keys.map((key) => signOne(kind, payload, key)),
  );
}

/** One person's signature. */
export function signOne(kind: 'root' | 'content', payload: Buffer, key: KeyObject): DetachedSignature {
  return signPayload(payload, CONFIGURATION_TYP[kind], signer(key));
}

export function anchorOf(root: VerifiedRoot, urls: readonly string[]): ConfigurationAnchor {
  const { instance, version } = root.document;
  return { v: 1, instance, root: { version, hash: root.hash }, rootKeys: rootKeysOf(root.document), urls: [...urls] };
}

/** freshness.jws, valid for 10 minutes from `signedAtMs`. */
export function signFreshness(statement: Omit<FreshnessStatement, 'v' | 'expiresAtMs'>, key: KeyObject): Buffer {
  const whole: FreshnessStatement = { v: 1, ...statement, expiresAtMs: statement.signedAtMs + FRESHNESS_LIFETIME_MS };
  const header = { typ: CONFIGURATION_TYP.freshness, kid: thumbprint(key) };
  return Buffer.from(signCompact(payloadOf(whole), header, signer(key)), 'latin1');
}

/** The file `locks.V.jws`; subsystems ascending. */
export function signLocks(list: Omit<LocksList, 'v'>, key: KeyObject): Buffer {
  const header = { typ: CONFIGURATION_TYP.locks, kid: thumbprint(key) };
  return Buffer.from(signCompact(payloadOf({ v: 1, ...list }), header, signer(key)), 'latin1');
}

/**
 * One statement of distrust, a compact JWS: by an approver, or by the owner of `key` about that key, its server or that
 * server's other keys.
 */
export function signDistrust(
  statement: Omit<DistrustStatement, 'v' | 'key'>,
  key: KeyObject,
  as: 'approver' | 'owner',
): string {
  const whole = { v: 1, ...statement, ...(as === 'owner' && { key: exportPublicJwk(key) as PersonKey['jwk'] }) };
  return signCompact(payloadOf(whole), { typ: CONFIGURATION_TYP.distrust, kid: thumbprint(key) }, signer(key));
}

function personKey(key: KeyObject, person: string): PersonKey {
  return { jwk: exportPublicJwk(key) as PersonKey['jwk'], person };
}
