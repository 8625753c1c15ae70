// What a security server asks the registry for its anchorings: a cosignature for a checkpoint (C2SP tlog-witness) and,
// when the aggregate log holds it and is cosigned, the way from the one to the other. The registry controls every answer:
// what comes out of here is still to be verified (core/witness/verify-anchoring.ts).
import type { BoundedClient } from '#core/http/client.ts';
import { parseNote } from '#core/log/signed-note.ts';
import type { CosignerKey } from '#core/witness/cosignature.ts';
import type { Witness, WitnessPolicy } from '#core/witness/policy.ts';
import { askWitness, cosignatureLines, type WitnessReply } from '#core/witness/witness-client.ts';
import { AggregateAnchoring, AnchoringToken, MAX_ANCHORING_BYTES } from '#schemas/anchoring.ts';
import { isJsonObject, parseJsonObject } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import { compile } from '#schemas/validate.ts';

const TIMEOUT_MS = 10_000;
const readAggregate = compile(AggregateAnchoring, 'ANCHORING_MALFORMED');
const readToken = compile(AnchoringToken, 'ANCHORING_MALFORMED');
const MAX_TOKENS = 8;
/** Leaves room for tokens, path and the own checkpoint in an anchoring. */
const MAX_CHECKPOINT_CHARS = 36 * 1024;

interface FoundAnchoring {
  aggregate: AggregateAnchoring;
  tokens: AnchoringToken[];
}

export interface RegistryPort {
  /** @throws PEER_*, WITNESS_ANSWER_WRONG */
  cosign(
    policy: WitnessPolicy,
    registryWitness: Witness,
    checkpoint: { note: string; oldSize: number; proofFrom: (oldSize: number) => Buffer[] },
  ): Promise<WitnessReply>;
  /** Null while the checkpoint is not finished there. @throws PEER_*, ANCHORING_MALFORMED, JSON_*, ANCHORING_REFUSED */
  anchoring(policy: WitnessPolicy, origin: string, size: number): Promise<FoundAnchoring | null>;
}

export function openRegistryPort(http: BoundedClient, signal: AbortSignal): RegistryPort {
  return {
    cosign: (policy, { keys }, checkpoint) =>
      askWitness(http, {
        ...checkpoint,
        ...{ url: `${baseOf(policy)}/witness`, keys, timeoutMs: TIMEOUT_MS, signal },
      }),
    async anchoring(policy, origin, size) {
      const answer = await http.request({
        method: 'GET',
        url: `${baseOf(policy)}/aggregate/anchoring?origin=${encodeURIComponent(origin)}&size=${size}`,
        ...{ timeoutMs: TIMEOUT_MS, maxResponseBytes: 2 * MAX_ANCHORING_BYTES, signal },
      });
      if (answer.status === 404) return null;
      if (answer.status !== 200) throw new AccordError('ANCHORING_REFUSED', `status ${answer.status}`);
      return readFound(answer.body, policy);
    },
  };
}

function baseOf({ aggregate }: WitnessPolicy): string {
  if (aggregate === null) throw new TypeError('a policy without an aggregate log');
  return aggregate.url;
}

/** Lines of cosigners that the policy does not name are left out: nobody could judge them later. */
function readFound(body: Buffer, policy: WitnessPolicy): FoundAnchoring {
  const { aggregate, tokens } = parseJsonObject(body, { maxBytes: 2 * MAX_ANCHORING_BYTES });
  const given = readAggregate(isJsonObject(aggregate) ? aggregate : null);
  if (!Array.isArray(tokens) || tokens.length > MAX_TOKENS) throw new AccordError('ANCHORING_MALFORMED', 'tokens');
  const { text, signatures } = parseNote(given.checkpoint);
  const verifier = policy.aggregate?.verifier;
  const own = signatures.find(({ name, keyId }) => name === verifier?.name && keyId.equals(verifier.keyId));
  if (own === undefined) throw new AccordError('ANCHORING_REFUSED', 'AGGREGATE_SIGNATURE_WRONG');
  const line = `\u2014 ${own.name} ${Buffer.concat([own.keyId, own.signature]).toString('base64')}\n`;
  // Ed25519 is what counts; ML-DSA-44 beside it, a page each, as far as there is room.
  const lines = (algorithm: CosignerKey['algorithm']) => {
    const keys = policy.witnesses.flatMap((witness) => witness.keys.filter((key) => key.algorithm === algorithm));
    return cosignatureLines(given.checkpoint, keys);
  };
  let checkpoint = `${text}\n${line}${lines('ed25519').join('')}`;
  for (const more of lines('ml-dsa-44')) {
    if (checkpoint.length + more.length <= MAX_CHECKPOINT_CHARS) checkpoint += more;
  }
  return { aggregate: { ...given, checkpoint }, tokens: tokens.map((token) => readToken(token)) };
}
