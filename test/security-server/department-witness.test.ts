// A security server as a witness of the aggregate log, on a real port, against a registry that shows it leaves: what it
// cosigns, what it does not whatever it is told, and what it still knows after a restart.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { rawEd25519PublicKey, signEd25519 } from '#certs/ed25519.ts';
import { generateKeys } from '#certs/keys.ts';
import { consistencyProof, Frontier, leafHash, nodeHash } from '#certs/merkle.ts';
import { systemClock } from '#core/clock.ts';
import { openClient } from '#core/http/client.ts';
import { checkpointText, noteVerifier, signNote } from '#core/log/signed-note.ts';
import { parseCosignerKey } from '#core/witness/cosignature.ts';
import { askWitness, type WitnessReply } from '#core/witness/witness-client.ts';
import { type DepartmentWitness, openDepartmentWitness } from '#security-server/anchoring/department-witness.ts';

const SERVER = 'DEV/GOV/1001/ss1';
const AGGREGATE = 'accord-aggregate/DEV';
const freshKey = () => generateKeyPairSync('ed25519').privateKey;

/** A tree that can be forked. */
class Tree {
  readonly hashes: Buffer[];
  constructor(leaves: readonly string[]) {
    this.hashes = leaves.map((leaf) => leafHash(leaf));
  }
  readonly subtree = (height: number, index: number): Buffer =>
    height === 0
      ? (this.hashes[index] as Buffer)
      : nodeHash(this.subtree(height - 1, 2 * index), this.subtree(height - 1, 2 * index + 1));
  root(size = this.hashes.length): Buffer {
    return Frontier.at(size, this.subtree).root();
  }
  proof(from: number, to: number): Buffer[] {
    return consistencyProof(from, to, this.subtree);
  }
}

const entries = (count: number, name = 'entry') => Array.from({ length: count }, (_, i) => `${name} ${i}`);

class Site {
  readonly folder = mkdtempSync(join(tmpdir(), 'accord-witness-'));
  readonly logKey = freshKey();
  readonly aggregateKey = freshKey();
  readonly keys = { ed25519: freshKey(), mlDsa44: generateKeys('ML-DSA-44').privateKey };
  readonly http = openClient();
  /** The aggregate log: leaf data and proof of each. */
  feed: { leaf: string; proof: Buffer[] }[] = [];
  /** What it shows instead. */
  shown: (feed: Site['feed']) => Site['feed'] = (feed) => feed;
  url = '';
  named = true;
  witness!: DepartmentWitness;

  static async open(t: Test): Promise<Site> {
    const site = new Site();
    const server = createServer((request, response) => {
      const { searchParams } = new URL(request.url ?? '', 'http://registry');
      const [from, to] = ['from', 'to'].map((name) => Number(searchParams.get(name)));
      const lines = site.shown(site.feed).slice(from, Math.min(to ?? 0, (from ?? 0) + 2)); // two a page
      response.end(lines.map(({ leaf, proof }) => line(leaf, proof)).join(''));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    site.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await site.start();
    t.teardown(async () => {
      await site.witness.close();
      await site.http.close();
      server.closeAllConnections();
      server.close();
      rmSync(site.folder, { recursive: true, force: true });
    });
    return site;
  }

  async start(): Promise<void> {
    const log = { origin: `accord/${SERVER}`, key: rawEd25519PublicKey(this.logKey).toString('base64url') };
    const verifier = noteVerifier(AGGREGATE, rawEd25519PublicKey(this.aggregateKey));
    const snapshot = {
      version: 3,
      hash: Buffer.alloc(32, 3).toString('base64url'),
      witnesses: () => (this.named ? { aggregate: { origin: AGGREGATE, verifier, url: this.url } } : null),
      server: (id: string) => (id === SERVER ? { log } : undefined),
    };
    this.witness = await openDepartmentWitness(
      { host: '127.0.0.1', port: 0, keys: this.keys },
      {
        ...{ server: 'DEV/GOV/2002/ss2', file: join(this.folder, 'witness.db'), clock: systemClock },
        logger: pino({ level: 'silent' }),
        configuration: { current: () => snapshot as never },
      },
    );
  }

  /** One more checkpoint of a server's log as a leaf, grown from `from` entries. */
  add(tree: Tree, from: number, origin = `accord/${SERVER}`, key: KeyObject = this.logKey): void {
    const size = tree.hashes.length;
    this.feed.push({ leaf: signed(origin, size, tree.root(), key), proof: tree.proof(from, size) });
  }

  /** Asks the witness to cosign the aggregate log as it is, or as somebody says. */
  ask(oldSize: number, key = this.aggregateKey, leaves = this.feed): Promise<WitnessReply> {
    const tree = new Tree(leaves.map(({ leaf }) => leaf));
    return askWitness(this.http, {
      ...{ url: this.witness.url, keys: this.witness.verifierKeys.map(parseCosignerKey), oldSize },
      note: signed(AGGREGATE, leaves.length, tree.root(), key),
      proofFrom: (size) => tree.proof(size, leaves.length),
    });
  }
}

function signed(origin: string, size: number, root: Buffer, key: KeyObject): string {
  const verifier = noteVerifier(origin, rawEd25519PublicKey(key));
  return signNote(checkpointText({ origin, size, root }), verifier, (bytes) => signEd25519(key, bytes));
}

function line(leaf: string, proof: readonly Buffer[]): string {
  return `${JSON.stringify({ leaf: Buffer.from(leaf).toString('base64'), proof: proof.map((one) => one.toString('base64')) })}\n`;
}

t.test('it cosigns what grew, over a restart too', async (t) => {
  const site = await Site.open(t);
  t.equal(site.witness.name, 'accord-witness/DEV/GOV/2002/ss2');
  site.add(new Tree(entries(5)), 0);
  site.feed.push({ leaf: `accord-content/DEV\n3\n${Buffer.alloc(32, 3).toString('base64')}\n`, proof: [] });
  site.add(new Tree(entries(3, 'other')), 0, 'accord/DEV/GOV/9/gone', freshKey());
  t.match(await site.ask(0), {
    kind: 'cosigned',
    cosignatures: [{ algorithm: 'ed25519' }, { algorithm: 'ml-dsa-44' }],
  });
  site.add(new Tree(entries(9)), 5);
  t.match(await site.ask(3), { kind: 'cosigned' });
  t.match(await site.ask(4), { kind: 'cosigned' }, 'the same again');
  await site.witness.close();
  await site.start();
  site.add(new Tree(entries(12)), 9);
  t.match(await site.ask(0), { kind: 'cosigned' }, 'it says what it knows');
  t.match(site.witness.state(), { running: true, origins: 3 });
});

t.test('it does not cosign', async (t) => {
  const fork = new Tree([...entries(4), 'changed', ...entries(4, 'more')]);
  const cases: [string, (site: Site) => Promise<WitnessReply>, object][] = [
    [
      'a second history of a log, with a proof of its own',
      (site) => {
        site.add(fork, 5);
        return site.ask(1);
      },
      { kind: 'refused', status: 422 },
    ],
    [
      'a log that became smaller',
      (site) => {
        site.add(new Tree(entries(4)), 0);
        return site.ask(1);
      },
      { kind: 'refused', status: 422 },
    ],
    [
      'a log that grew without a proof',
      (site) => {
        site.feed.push({ leaf: signed(`accord/${SERVER}`, 9, new Tree(entries(9)).root(), site.logKey), proof: [] });
        return site.ask(1);
      },
      { kind: 'refused', status: 422 },
    ],
    [
      'a tree of other leaves than it is shown',
      (site) => {
        site.add(new Tree(entries(9)), 5);
        site.shown = (feed) => feed.map((one, at) => (at === 1 ? { ...one, leaf: site.feed[0]?.leaf ?? '' } : one));
        return site.ask(1);
      },
      { kind: 'refused', status: 422 },
    ],
    [
      'leaves that are kept back',
      (site) => {
        site.add(new Tree(entries(9)), 5);
        site.shown = (feed) => feed.slice(0, 1);
        return site.ask(1);
      },
      { kind: 'refused', status: 422 },
    ],
    [
      'another content than the one in force',
      (site) => {
        site.feed.push({ leaf: `accord-content/DEV\n3\n${Buffer.alloc(32, 4).toString('base64')}\n`, proof: [] });
        return site.ask(1);
      },
      { kind: 'refused', status: 422 },
    ],
    [
      'a second history of the aggregate log',
      (site) => {
        site.feed = [];
        site.add(new Tree(entries(6, 'x')), 0);
        return site.ask(1);
      },
      { kind: 'ahead', size: 1 },
    ],
    ['what another key signed', (site) => site.ask(1, freshKey()), { kind: 'refused', status: 403 }],
    [
      'anything while no aggregate log is named',
      (site) => {
        site.named = false;
        return site.ask(1);
      },
      { kind: 'refused', status: 404 },
    ],
  ];
  for (const [name, ask, expected] of cases) {
    const site = await Site.open(t);
    site.add(new Tree(entries(5)), 0);
    t.match(await site.ask(0), { kind: 'cosigned' });
    const before = site.feed.slice();
    t.match(await ask(site), expected, name);
    Object.assign(site, { feed: before, named: true, shown: (feed: Site['feed']) => feed });
    site.add(new Tree(entries(7)), 5);
    t.match(await site.ask(1), { kind: 'cosigned' }, `${name}, and then the truth`);
  }
});
