// A registry on a real port: a real witness for one log, and an aggregate log of the checkpoints it cosigned, which its
// department witnesses cosign at once. What it answers can be changed on the way, as a registry that lies would.
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { inclusionProof, leafHash, nodeHash, sha256Of } from '#certs/merkle.ts';
import type { Clock } from '#core/clock.ts';
import { type NoteVerifier, parseCheckpointText, parseNote } from '#core/log/signed-note.ts';
import { parseAddCheckpoint } from '#core/witness/add-checkpoint.ts';
import { checkpointLeafData } from '#core/witness/verify-anchoring.ts';
import { Witness } from '#core/witness/witness.ts';
import { openWitnessStoreSqlite } from '#core/witness/witness-store-sqlite.ts';
import type { AggregateAnchoring, AnchoringToken } from '#schemas/anchoring.ts';
import { base64url } from '#schemas/base64url.ts';
import { isAccordError, PROBLEMS } from '#schemas/problems.ts';
import { AnchoringWorld, testToken } from '../core/anchoring-world.ts';

interface Shown {
  aggregate: AggregateAnchoring;
  tokens: AnchoringToken[];
}

export class AnchoringRegistry {
  readonly world: AnchoringWorld;
  readonly clock: Clock;
  /** Requests by method and path without query. */
  readonly asked: string[] = [];
  leaves: Buffer[] = [Buffer.from('somebody else')];
  #places = new Map<string, number>();
  /** How many departments cosign. */
  cosigning = 2;
  hasTokens = true;
  /** Answers with this status whatever was asked. */
  status: number | null = null;
  /** Changes what /aggregate/anchoring shows. */
  lie: (shown: Shown) => Shown = (shown) => shown;
  /** What add-checkpoint answers instead. */
  witnessLie: ((body: string) => string) | null = null;
  #witness: Witness;

  private constructor(clock: Clock, url: string, verifier: NoteVerifier, file: string) {
    this.clock = clock;
    this.world = new AnchoringWorld(2, url);
    this.#witness = new Witness({
      ...{ store: openWitnessStoreSqlite(file), clock },
      cosigners: [this.world.registry.ed25519, this.world.registry.mlDsa44],
      verifiersOf: (origin) => (origin === verifier.name ? [verifier] : undefined),
    });
  }

  static async open(t: Test, clock: Clock, verifier: NoteVerifier): Promise<AnchoringRegistry> {
    const folder = mkdtempSync(join(tmpdir(), 'accord-registry-'));
    const answer: { by?: AnchoringRegistry } = {};
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://registry');
      const made = await answer.by?.answer(request.method ?? '', pathname, searchParams, Buffer.concat(chunks));
      response.writeHead(made?.status ?? 500, { 'content-type': made?.type ?? 'text/plain' }).end(made?.body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      server.closeAllConnections();
      server.close();
      rmSync(folder, { recursive: true, force: true });
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    answer.by = new AnchoringRegistry(clock, url, verifier, join(folder, 'witness.db'));
    return answer.by;
  }

  async answer(
    method: string,
    path: string,
    query: URLSearchParams,
    body: Buffer,
  ): Promise<{ status: number; type: string; body: string }> {
    this.asked.push(`${method} ${path}`);
    if (this.status !== null) return { status: this.status, type: 'text/plain', body: '' };
    if (path === '/witness/add-checkpoint') return await this.#add(body);
    const shown = this.#anchoring(query.get('origin') ?? '', Number(query.get('size')));
    if (shown === null) return { status: 404, type: 'text/plain', body: '' };
    const checkpoint = this.leaves[shown.aggregate.index]?.toString();
    return { status: 200, type: 'application/json', body: JSON.stringify({ checkpoint, ...this.lie(shown) }) };
  }

  async #add(body: Buffer) {
    try {
      const answer = await this.#witness.add(body);
      if (answer.status === 200) this.#take(body);
      return { ...answer, body: this.witnessLie?.(answer.body) ?? answer.body };
    } catch (error) {
      if (!isAccordError(error)) throw error;
      return { status: PROBLEMS[error.code].status, type: 'text/plain', body: '' };
    }
  }

  #take(body: Buffer): void {
    const note = parseNote(parseAddCheckpoint(body).note);
    const { origin, size } = parseCheckpointText(note.text);
    const [own] = note.signatures;
    if (own === undefined) return;
    const data = checkpointLeafData(note, { name: own.name, keyId: own.keyId, publicKey: Buffer.alloc(32) });
    this.#places.set(`${origin} ${size}`, this.leaves.push(data) - 1);
  }

  #anchoring(origin: string, size: number): Shown | null {
    const index = this.#places.get(`${origin} ${size}`);
    if (index === undefined) return null;
    return this.show(index);
  }

  /** What it says of a leaf now. */
  show(index: number, leaves: readonly Buffer[] = this.leaves): Shown {
    const hashes = leaves.map((leaf) => leafHash(leaf));
    const subtree = (height: number, place: number): Buffer =>
      height === 0
        ? (hashes[place] as Buffer)
        : nodeHash(subtree(height - 1, 2 * place), subtree(height - 1, 2 * place + 1));
    const cosigners = this.world.departments.slice(0, this.cosigning).flatMap((one) => [one.ed25519, one.mlDsa44]);
    const checkpoint = this.world.aggregateNote(leaves, cosigners, this.clock.nowMs());
    const token = testToken(sha256Of(parseNote(checkpoint).text), this.clock.nowMs());
    return {
      aggregate: { checkpoint, index, path: inclusionProof(index, leaves.length, subtree).map(base64url) },
      tokens: this.hasTokens ? [{ over: 'aggregate', token }] : [],
    };
  }
}
