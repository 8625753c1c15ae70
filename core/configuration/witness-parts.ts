// Who vouches for message logs, as a part of the global configuration: how it becomes a file, how a verified file is read
// again, and what approvers are shown of it, one line for each key. A part that says nothing does not exist.
//
// Approved with its hash, yet its rules are checked here (core/witness/policy.ts): a registry that was broken into could
// name one key as two witnesses.
import { formatVerifierKey } from '#core/log/signed-note.ts';
import { readHandover } from '#core/witness/aggregate-handover.ts';
import { readWitnessPolicy, type WitnessPolicy } from '#core/witness/policy.ts';
import { canonicalJson } from '#schemas/canonical-json.ts';
import { WitnessesPart } from '#schemas/configuration.ts';
import type { JsonValue } from '#schemas/json.ts';
import { compile } from '#schemas/validate.ts';

const read = compile(WitnessesPart, 'CONFIGURATION_INVALID');

/** The file of the part. */
export function witnessesFile(part: WitnessesPart): Buffer {
  return Buffer.from(`${canonicalJson(inOrder(part))}\n`);
}

/** Witnesses ascending by name, keys ascending. */
function inOrder(part: WitnessesPart): WitnessesPart {
  const keysInOrder = <T extends { verifierKeys: string[] }>(one: T): T => ({
    ...one,
    verifierKeys: one.verifierKeys.toSorted(),
  });
  return {
    ...part,
    registryWitness: part.registryWitness && keysInOrder(part.registryWitness),
    witnesses: part.witnesses.map(keysInOrder).toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

/** What an administrator hands in, in order, with the rules a server checks. @throws CONFIGURATION_INVALID, NOTE_MALFORMED */
export function judgedWitnesses(value: JsonValue): WitnessesPart {
  const part = inOrder(read(value));
  readWitnessPolicy(part);
  return part;
}

/** @param value the part's JSON @throws CONFIGURATION_INVALID, NOTE_MALFORMED */
export function readWitnessesPart(value: JsonValue): WitnessesPart {
  const part = read(value);
  readWitnessPolicy(part);
  return part;
}

/** Versions that share the part share the object. */
export function policyOf(part: WitnessesPart): WitnessPolicy {
  let policy = policies.get(part);
  if (policy === undefined) {
    policy = readWitnessPolicy(part);
    policies.set(part, policy);
  }
  return policy;
}
const policies = new WeakMap<WitnessesPart, WitnessPolicy>();

/** Facts by name for `changesBetween`. */
export function addWitnessFacts(found: Map<string, string>, part: WitnessesPart | undefined): void {
  if (part === undefined) return;
  const { aggregate, registryWitness, witnesses, quorum } = part;
  found.set('witness-quorum of', String(quorum));
  if (aggregate !== null) found.set(`aggregate-log ${aggregate.origin} ${aggregate.verifierKey}`, aggregate.url);
  if (part.handover !== undefined)
    found.set(`aggregate-log-handover from ${formatVerifierKey(readHandover(part.handover).from)}`, '');
  for (const key of registryWitness?.verifierKeys ?? []) found.set(`registry-witness-key ${shortened(key)}`, key);
  for (const { name, url, verifierKeys } of witnesses) {
    found.set(`witness ${name} ${url ?? '(not asked)'}`, '');
    for (const key of verifierKeys) found.set(`witness-key ${shortened(key)}`, key);
  }
}

/** An ML-DSA-44 key is 1,752 characters; its key id stands before it. */
function shortened(key: string): string {
  return key.length > 400 ? `${key.slice(0, 340)}…${key.slice(-24)}` : key;
}
