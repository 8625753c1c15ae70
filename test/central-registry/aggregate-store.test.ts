// The aggregate log's store: a tree of several tiles, its proofs at the edges, and what a transaction that failed leaves.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { addAggregateRoutes } from '#central-registry/aggregate-face.ts';
import { AggregateStore } from '#central-registry/aggregate-store-sqlite.ts';
import {
  consistencyProof,
  Frontier,
  inclusionProof,
  leafHash,
  verifyConsistency,
  verifyInclusion,
} from '#certs/merkle.ts';
import { openServer } from '#core/http/server-frame.ts';
import { sourceOf } from '#core/http/source-of.ts';
import { FEED_PAGE_LEAVES } from '#schemas/limits.ts';
import { WitnessedLog } from '#test/core/witnessed-log.ts';

const root = mkdtempSync(join(tmpdir(), 'accord-aggregate-store-'));
t.teardown(() => rmSync(root, { recursive: true, force: true }));

t.test('a tree of several tiles', async (t) => {
  const store = new AggregateStore(join(root, 'tiles.db'));
  t.teardown(() => store.close());
  const frontier = new Frontier();
  const leaves: Buffer[] = [];
  const many = new WitnessedLog('accord/XA/GOV/1001/SS7').grow(700);
  for (let size = 1; size <= 700; size++) {
    const tree = { size, root: Buffer.alloc(32, size), note: `leaf ${size}\n` };
    store.witness.turn((turn) => turn.advance({ origin: many.origin, before: null, tree, proof: [] }, size));
    leaves.push(leafHash(tree.note));
    frontier.push(leafHash(tree.note));
    if (size % 97 === 0 || [1, 2, 255, 256, 257, 512, 513].includes(size)) {
      t.same(store.root(), frontier.root());
      for (const index of [0, 1, Math.floor(size / 2), size - 1].filter((each) => each < size)) {
        const path = inclusionProof(index, size, store.subtree);
        t.ok(verifyInclusion(leaves[index] as Buffer, index, size, path, frontier.root()), `${index} of ${size}`);
      }
      const half = Math.ceil(size / 2);
      const proof = consistencyProof(half, size, store.subtree);
      const before = Frontier.at(half, store.subtree).root();
      t.ok(verifyConsistency(half, size, before, frontier.root(), proof));
    }
  }
  t.throws(() => store.subtree(8, 2), { code: 'LOG_DATABASE_DAMAGED' });
  t.equal(store.tile(0, 0, 256, 700)?.length, 256 * 32);
  t.equal(store.tile(0, 2, 188, 700)?.length, 188 * 32);
  t.equal(store.tile(0, 2, 189, 700), null);
  t.same(store.tile(1, 0, 2, 700)?.subarray(0, 32), store.subtree(8, 0));
  t.equal(store.tile(1, 0, 3, 700), null);
  t.equal(store.tile(0, 1, 256, 511), null, 'not before it is signed');
  t.equal(store.feed(690, 700).length, 10);
  store.close();
  const again = new AggregateStore(join(root, 'tiles.db'));
  t.same(again.root(), frontier.root());
  t.throws(() =>
    again.witness.turn((turn) => {
      const tree = { size: 701, root: Buffer.alloc(32), note: 'lost\n' };
      turn.advance({ origin: many.origin, before: null, tree, proof: [Buffer.alloc(32)] }, 0);
      throw new Error('died');
    }),
  );
  t.equal(again.size, 700, 'what was not committed is not in the tree');
  t.same(again.root(), frontier.root());
  again.close();
});

t.test('proofs stay as long as somebody needs them, within bounds', async (t) => {
  const store = new AggregateStore(join(root, 'proofs.db'));
  t.teardown(() => store.close());
  const day = 86_400_000;
  const origin = 'accord/XA/GOV/1001/SS9';
  for (let size = 1; size <= 10; size++) {
    const tree = { size, root: Buffer.alloc(32, size), note: `leaf ${size}\n` };
    store.witness.turn((turn) => turn.advance({ origin, before: null, tree, proof: [Buffer.alloc(32)] }, size * day));
  }
  const drop = (more: object) =>
    store.dropProofs({ beforeMs: 6 * day, neededFrom: 10, latestMs: 0, mostKept: 100, limit: 100, ...more });
  const kept = () => store.feed(0, 10).filter(({ proof }) => proof.length > 0).length;
  t.equal(drop({ neededFrom: 0 }), 0, 'a witness knows nothing but the beginning');
  t.equal(drop({ neededFrom: 2 }), 2, 'one knows two leaves');
  t.equal(drop({ neededFrom: 2, latestMs: 4 * day }), 1, 'the third is too old for anybody');
  t.equal(drop({ neededFrom: 2, mostKept: 6 }), 1, 'more than are kept for one');
  t.equal(drop({ limit: 0 }), 0);
  t.equal(drop({}), 1, 'all know all: what is older than a week goes');
  t.equal(kept(), 5);
});

t.test('the feed gives a page at once, and so much in a minute to one address and to all', async (t) => {
  const store = new AggregateStore(join(root, 'feed.db'));
  const size = FEED_PAGE_LEAVES + 6;
  store.addContents(Array.from({ length: size }, (_, at) => ({ version: at + 1, data: `content ${at + 1}\n` })));
  const face = openServer({ name: 'feed' });
  t.teardown(() => face.close().then(() => store.close()));
  const clock = { nowMs: () => 0, monotonicMs: () => atMs };
  let atMs = 59_000 * 7;
  const limits = { ofAddress: FEED_PAGE_LEAVES + 10, all: 2 * FEED_PAGE_LEAVES };
  addAggregateRoutes(face, { store, aggregate: { signedSize: size } as never, witness: null as never }, clock, limits);
  const ask = async (from: number, remoteAddress: string) => {
    const url = `/aggregate/consistency?from=${from}&to=${size}`;
    const { statusCode, headers, body } = await face.inject({ method: 'GET', url, remoteAddress });
    const [lines, retry] = [body.split('\n').length - 1, headers['retry-after']];
    return statusCode === 200 ? lines : [statusCode, JSON.parse(body).code, retry];
  };
  const refused = [429, 'AGGREGATE_BUDGET', '7'];
  t.equal(await ask(0, '10.0.0.1'), FEED_PAGE_LEAVES);
  t.equal(await ask(FEED_PAGE_LEAVES, '10.0.0.1'), 6, 'the rest');
  t.same(await ask(FEED_PAGE_LEAVES, '10.0.0.1'), refused, 'of one address');
  t.equal(await ask(20, '10.0.0.2'), size - 20);
  t.same(await ask(0, '10.0.0.3'), refused, 'of all');
  const sources = [
    ['10.0.0.1', '10.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::FFFF:a00:1', '10.0.0.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::', '2001:db8:1:2::/64'],
    ['2001:db8:1:3::1', '2001:db8:1:3::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['', ''],
  ] as const;
  for (const [address, source] of sources) t.equal(sourceOf(address), source, address);
  t.equal(await ask(FEED_PAGE_LEAVES, '10.0.0.3'), 6, 'a small one has room yet');
  atMs += 7_000;
  t.equal(await ask(0, '2001:db8::1'), FEED_PAGE_LEAVES, 'the next minute');
  t.same(await ask(0, '2001:db8::ffff'), [429, 'AGGREGATE_BUDGET', '60'], 'of one network');
  t.equal(await ask(0, '2001:db8:0:1::1'), FEED_PAGE_LEAVES);
});
