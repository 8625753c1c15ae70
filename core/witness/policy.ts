// Who vouches for message logs, as the part `witnesses` of the global configuration says it: whose cosignatures count and
// how many an anchoring needs. Two persons approved it by its hash; that one key counts once only is checked here again,
// because nobody sees that by eye.

import { formatVerifierKey, type NoteVerifier, parseVerifierKey } from '#core/log/signed-note.ts';
import type { WitnessesPart } from '#schemas/configuration.ts';
import { AccordError } from '#schemas/problems.ts';
import { readHandover } from './aggregate-handover.ts';
import { type CosignerKey, parseCosignerKey } from './cosignature.ts';

export interface Witness {
  name: string;
  keys: readonly CosignerKey[];
}

export interface WitnessPolicy {
  /** Null where there is no aggregate log. */
  aggregate: { origin: string; verifier: NoteVerifier; url: string } | null;
  registryWitness: Witness | null;
  /** Cosigners of the aggregate log; `url` null for one that is not asked. */
  witnesses: readonly (Witness & { url: string | null })[];
  /** So many of `witnesses` have to cosign. */
  quorum: number;
}

/** @throws CONFIGURATION_INVALID, NOTE_MALFORMED */
export function readWitnessPolicy(part: WitnessesPart): WitnessPolicy {
  const aggregate = part.aggregate === null ? null : { ...part.aggregate, verifier: aggregateKey(part.aggregate) };
  if (part.handover !== undefined) requireHandover(part.handover, aggregate?.verifier);
  const registryWitness = part.registryWitness === null ? null : witnessOf(part.registryWitness);
  const witnesses = part.witnesses.map((witness) => ({ ...witnessOf(witness), url: witness.url }));
  requireAscending(witnesses.map(({ name }) => name));
  const everybody = registryWitness === null ? witnesses : [registryWitness, ...witnesses];
  requireDistinct(everybody.map(({ name }) => name));
  requireDistinct([
    ...everybody.flatMap(({ keys }) => keys.map(({ publicKey }) => publicKey.toString('base64'))),
    ...(aggregate === null ? [] : [aggregate.verifier.publicKey.toString('base64')]),
  ]);
  if (part.quorum > witnesses.length) invalid(`a quorum of ${part.quorum}, but ${witnesses.length} witnesses`);
  if (aggregate === null && witnesses.length > 0) invalid('witnesses of an aggregate log that is not named');
  return { aggregate, registryWitness, witnesses, quorum: part.quorum };
}

function requireHandover(note: string, verifier: NoteVerifier | undefined): void {
  const { to } = readHandover(note);
  if (verifier === undefined || formatVerifierKey(to) !== formatVerifierKey(verifier)) {
    invalid('the handover is to another key than that of the aggregate log');
  }
}

function aggregateKey({ origin, verifierKey }: { origin: string; verifierKey: string }): NoteVerifier {
  const verifier = parseVerifierKey(verifierKey);
  if (verifier.name !== origin) invalid(`the key of ${origin} has another name`);
  return verifier;
}

function witnessOf({ name, verifierKeys }: { name: string; verifierKeys: readonly string[] }): Witness {
  const keys = verifierKeys.map(parseCosignerKey);
  const other = keys.find((key) => key.name !== name);
  if (other !== undefined) invalid(`a key of ${name} has another name`);
  // Ed25519 alone satisfies a quorum: without it the witness could never count.
  if (!keys.some(({ algorithm }) => algorithm === 'ed25519')) invalid(`${name} has no Ed25519 key`);
  return { name, keys };
}

function requireAscending(names: readonly string[]): void {
  const wrong = names.find((name, at) => at > 0 && (names[at - 1] ?? '') >= name);
  if (wrong !== undefined) invalid(`${wrong} is out of order or occurs twice`);
}

function requireDistinct(names: readonly string[]): void {
  if (new Set(names).size !== names.length) invalid('one witness or one key of a witness stands there twice');
}

function invalid(detail: string): never {
  throw new AccordError('CONFIGURATION_INVALID', detail);
}
