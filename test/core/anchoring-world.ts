// An aggregate log, the registry's witness and department witnesses in memory, with real keys: what a test needs to anchor
// a checkpoint of its own.
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { rawEd25519PublicKey, signEd25519 } from '#certs/ed25519.ts';
import { Frontier, inclusionProof, leafHash, nodeHash } from '#certs/merkle.ts';
import { checkpointText, formatVerifierKey, noteVerifier, parseNote, signNote } from '#core/log/signed-note.ts';
import { type Cosigner, cosignatureLine, cosigner, formatCosignerKey } from '#core/witness/cosignature.ts';
import { readWitnessPolicy, type WitnessPolicy } from '#core/witness/policy.ts';
import type { Anchoring } from '#schemas/anchoring.ts';
import { base64url } from '#schemas/base64url.ts';
import type { WitnessesPart } from '#schemas/configuration.ts';
import { AccordError } from '#schemas/problems.ts';

export const AGGREGATE_ORIGIN = 'accord-aggregate/DEV';
export const COSIGNED_MS = 1_790_000_003_000;

type KeyKind = Parameters<typeof generateKeyPairSync>[0];

function keyPair(name: string): { ed25519: Cosigner; mlDsa44: Cosigner } {
  const privateKey = (kind: string) => generateKeyPairSync(kind as KeyKind & 'ed25519').privateKey;
  return { ed25519: cosigner(name, privateKey('ed25519')), mlDsa44: cosigner(name, privateKey('ml-dsa-44')) };
}

export class AnchoringWorld {
  readonly aggregateKey: KeyObject = generateKeyPairSync('ed25519').privateKey;
  readonly aggregate = noteVerifier(AGGREGATE_ORIGIN, rawEd25519PublicKey(this.aggregateKey));
  readonly registry = keyPair('registry-witness');
  readonly departments = ['witness-a', 'witness-b', 'witness-c'].map(keyPair);
  readonly part: WitnessesPart;
  readonly policy: WitnessPolicy;

  constructor(quorum = 2, url = 'http://127.0.0.1:4400') {
    const keysOf = (pair: ReturnType<typeof keyPair>) =>
      [pair.ed25519, pair.mlDsa44].map((one) => formatCosignerKey(one.key));
    this.part = {
      aggregate: { origin: AGGREGATE_ORIGIN, verifierKey: formatVerifierKey(this.aggregate), url },
      registryWitness: { name: 'registry-witness', verifierKeys: keysOf(this.registry) },
      witnesses: this.departments.map((pair) => ({
        name: pair.ed25519.key.name,
        verifierKeys: keysOf(pair),
        url: null,
      })),
      quorum,
    };
    this.policy = readWitnessPolicy(this.part);
  }

  /** A signed aggregate checkpoint of these leaves, cosigned by these. */
  aggregateNote(leaves: readonly Buffer[], cosigners: readonly Cosigner[], atMs = COSIGNED_MS): string {
    const frontier = new Frontier();
    for (const leaf of leaves) frontier.push(leafHash(leaf));
    const text = checkpointText({ origin: AGGREGATE_ORIGIN, size: leaves.length, root: frontier.root() });
    const note = signNote(text, this.aggregate, (bytes) => signEd25519(this.aggregateKey, bytes));
    return note + cosigners.map((one) => cosignatureLine(text, one, atMs)).join('');
  }

  /** Everything good: the checkpoint is the fourth of seven leaves, two departments cosign with both keys. */
  anchor(ownNote: string, leavesBefore = 3, leavesBehind = 3): Anchoring {
    const others = (count: number, name: string) =>
      Array.from({ length: count }, (_, i) => Buffer.from(`${name} ${i}`));
    const leaves = [...others(leavesBefore, 'before'), Buffer.from(ownNote), ...others(leavesBehind, 'behind')];
    const cosigners = this.departments.slice(0, 2).flatMap(({ ed25519, mlDsa44 }) => [ed25519, mlDsa44]);
    const hashes = leaves.map((leaf) => leafHash(leaf));
    const subtree = (height: number, index: number): Buffer =>
      height === 0
        ? (hashes[index] as Buffer)
        : nodeHash(subtree(height - 1, 2 * index), subtree(height - 1, 2 * index + 1));
    return {
      v: 1,
      checkpoint: this.witnessed(ownNote),
      aggregate: {
        checkpoint: this.aggregateNote(leaves, cosigners),
        index: leavesBefore,
        path: inclusionProof(leavesBefore, leaves.length, subtree).map(base64url),
      },
      tokens: [],
    };
  }

  /** The log's note with the cosignatures of the registry's witness. */
  witnessed(ownNote: string): string {
    const { text } = parseNote(ownNote);
    const lines = [this.registry.ed25519, this.registry.mlDsa44].map((one) => cosignatureLine(text, one, COSIGNED_MS));
    return ownNote + lines.join('');
  }
}

const mac = (text: string) => createHmac('sha256', 'time-stamp authority').update(text).digest('hex');

/** A time-stamp that the test makes and `verifyTestToken` reads: its time and imprint. */
export function testToken(imprint: Buffer, genTimeMs: number): string {
  const text = `${genTimeMs} ${imprint.toString('hex')}`;
  return base64url(Buffer.from(`${text} ${mac(text)}`));
}

export function verifyTestToken(token: Buffer, imprint: Buffer): { genTimeMs: number } {
  const [time = '', hex = '', code] = token.toString().split(' ');
  if (hex !== imprint.toString('hex') || code !== mac(`${time} ${hex}`)) throw new AccordError('NOTE_SIGNATURE_WRONG');
  return { genTimeMs: Number(time) };
}
