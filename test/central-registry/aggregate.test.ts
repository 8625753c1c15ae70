// The registry's witness and the aggregate log over real sockets: servers' checkpoints in, cosignatures of department
// witnesses and a token, anchorings out; what an auditor recomputes from the tiles and a cosigner from the feed.
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Frontier, leafHash, sha256Of, verifyInclusion } from '#certs/merkle.ts';
import { openCheckpoint, parseNote, parseVerifierKey } from '#core/log/signed-note.ts';
import { goodCosignatures, parseCosignerKey } from '#core/witness/cosignature.ts';
import { askWitness } from '#core/witness/witness-client.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { WitnessedLog } from '#test/core/witnessed-log.ts';
import {
  anew,
  ask,
  department,
  ed25519,
  http,
  INSTANCE,
  logs,
  now,
  one,
  REGISTRY_KEYS,
  register,
  root,
  site,
  three,
  two,
} from './aggregate-world.ts';

t.before(anew);

t.test('the way of a checkpoint', async (t) => {
  const here = await site('one');
  const { registry, witness } = here;
  t.teardown(() => registry.close());
  const base = registry.configurationUrl.replace(/\/$/, '');
  const identity = witness.identity;
  const aggregateKey = parseVerifierKey(identity.aggregate.verifierKey);
  t.equal(aggregateKey.name, `accord-aggregate/${INSTANCE}`);
  const submit = (log: WitnessedLog, oldSize = 0) =>
    askWitness(http, {
      url: `${base}/witness`,
      keys: identity.verifierKeys.map(parseCosignerKey),
      note: log.note(),
      oldSize,
      proofFrom: (from) => log.proof(from),
    });

  t.same(await submit(one.grow(5)), { kind: 'refused', status: 404 }, 'registered by nobody');
  await register(here);
  t.same(await submit(one), { kind: 'refused', status: 404 }, 'registered, but approved by nobody');
  const departments = await Promise.all(
    ['d1.example', 'd2.example'].map((name) => department(name, aggregateKey, () => base)),
  );
  await registry.call('POST', '/witnesses', {
    aggregate: { ...identity.aggregate, url: base },
    registryWitness: { name: identity.name, verifierKeys: identity.verifierKeys },
    witnesses: departments.map(({ name, url, verifierKeys }) => ({ name, url, verifierKeys })),
    quorum: 2,
  });
  await registry.publish();

  const first = await submit(one);
  t.equal(first.kind, 'cosigned');
  if (first.kind !== 'cosigned') return;
  t.same(
    first.cosignatures.map(({ name, algorithm }) => [name, algorithm]),
    [
      [identity.name, 'ed25519'],
      [identity.name, 'ml-dsa-44'],
    ],
  );
  const notYet = await ask(`${base}/aggregate/anchoring?origin=${one.origin}&size=5`);
  t.equal(notYet.status, 404);
  t.match(notYet.text, 'AGGREGATE_NOT_YET');
  t.match(notYet.retry, /^\d+$/);
  t.equal((await ask(`${base}/aggregate/checkpoint`)).status, 404);

  t.test('nothing is shown before quorum and token', async (t) => {
    (departments[1] as { state: { isUp: boolean } }).state.isUp = false;
    await witness.aggregate.tick();
    t.equal((await ask(`${base}/aggregate/checkpoint`)).status, 404, 'one of two');
    t.ok(now.alarms.some((what) => what.startsWith('1 of 2 witnesses')));
    (departments[1] as { state: { isUp: boolean } }).state.isUp = true;
    now.tokens = false;
    await submit(two.grow(300));
    await witness.aggregate.tick();
    t.equal((await ask(`${base}/aggregate/checkpoint`)).status, 404, 'no token');
    t.ok(now.alarms.some((what) => what.startsWith('no time-stamp')));
    t.equal(witness.state().log.cosignedBy.length, 2);
    now.tokens = true;
    await witness.aggregate.tick();
    const shown = await ask(`${base}/aggregate/checkpoint`);
    t.equal(shown.status, 200);
    t.match(shown.type, 'text/plain');
    t.equal(openCheckpoint(shown.text, aggregateKey).size, 3, 'two servers and one content');
    t.same(witness.state().log.trouble, []);
  });

  t.test('an anchoring proves itself', async (t) => {
    for (const log of [one, two]) {
      const { status, text } = await ask(`${base}/aggregate/anchoring?origin=${log.origin}&size=${log.size}`);
      t.equal(status, 200);
      const { checkpoint, aggregate, tokens: given } = JSON.parse(text);
      t.equal(checkpoint, log.note());
      const head = openCheckpoint(aggregate.checkpoint, aggregateKey);
      const path = aggregate.path.map(fromBase64url);
      t.ok(verifyInclusion(leafHash(log.note()), aggregate.index, head.size, path, head.root));
      const keys = departments.flatMap(({ verifierKeys }) => verifierKeys.map(parseCosignerKey));
      t.equal(goodCosignatures(aggregate.checkpoint, keys).length, 4);
      const imprint = sha256Of(parseNote(aggregate.checkpoint).text);
      t.same(fromBase64url(given[0].token), Buffer.concat([Buffer.from('token '), imprint]));
      t.equal(given[0].over, 'aggregate');
    }
    const unknown = await ask(`${base}/aggregate/anchoring?origin=${one.origin}&size=4`);
    t.match(unknown.text, 'AGGREGATE_UNKNOWN');
    for (const query of ['', '?origin=a', '?origin=a&size=-1', '?origin=a&size=1&more=1', '?origin=a&size=01']) {
      t.equal((await ask(`${base}/aggregate/anchoring${query}`)).status, 400, query);
    }
  });

  t.test('tiles and the feed give the same tree', async (t) => {
    for (let step = 0; step < 10; step++) {
      for (const log of logs) await submit(log.grow(1 + step), 0);
    }
    await witness.aggregate.tick();
    const head = openCheckpoint((await ask(`${base}/aggregate/checkpoint`)).text, aggregateKey);
    const { size } = head;
    t.equal(size, 33);
    const tile = await ask(`${base}/aggregate/tile/0/000.p/${size}`);
    const entries = await ask(`${base}/aggregate/tile/entries/000.p/${size}`);
    t.equal(tile.body.length, size * 32);
    const frontier = new Frontier();
    const lines = (await ask(`${base}/aggregate/consistency?from=0&to=${size}`)).text.trimEnd().split('\n');
    t.equal(lines.length, size);
    let at = 0;
    lines.forEach((line, seq) => {
      const leaf = Buffer.from(JSON.parse(line).leaf, 'base64');
      t.same(entries.body.subarray(at + 2, at + 2 + entries.body.readUInt16BE(at)), leaf);
      at += 2 + leaf.length;
      frontier.push(leafHash(leaf));
      t.same(tile.body.subarray(seq * 32, seq * 32 + 32), leafHash(leaf));
    });
    t.equal(at, entries.body.length);
    t.same(frontier.root(), head.root);
    for (const { store, wrong } of departments) {
      t.equal(store.latest(aggregateKey.name)?.size, size);
      for (const log of logs) t.same(store.latest(log.origin)?.root, log.root(), 'a department knows every log');
      t.same(wrong, []);
    }
    for (const path of [
      '0/000',
      '0/000.p/0',
      `0/000.p/${size + 1}`,
      '0/000.p/256',
      '1/000.p/1',
      '64/000',
      '0/x000/000',
    ]) {
      t.equal((await ask(`${base}/aggregate/tile/${path}`)).status, 404, path);
    }
    t.equal((await ask(`${base}/aggregate/consistency?from=0&to=${size + 1}`)).status, 404);
    t.equal((await ask(`${base}/aggregate/consistency?from=2&to=1`)).status, 404);
    t.equal((await ask(`${base}/aggregate/consistency?from=${size}&to=${size}`)).text, '');
  });

  t.test('a fork is refused, kept and told', async (t) => {
    const other = three.fork(three.size - 1).grow(1, 'another');
    t.equal((await submit(other, other.size)).kind, 'ahead', 'one size, two roots');
    t.ok(now.alarms.some((what) => what.includes(`${three.origin} has two histories`)));
    const state = (await registry.call('GET', '/witness')).body as { forks: number; running: boolean; log: object };
    t.match(state, {
      forks: 1,
      running: true,
      servers: 3,
      log: { quorum: 2, cosignedBy: ['d1.example', 'd2.example'] },
    });
    const kept = (await registry.call('GET', '/witness/forks')).body as { items: { origin: string }[] };
    t.same(
      kept.items.map(({ origin }) => origin),
      [three.origin],
    );
    const metrics = await http.request({
      ...{ method: 'GET', url: `${registry.adminUrl}/metrics` },
      headers: [['authorization', `Bearer ${registry.apiKey}`]],
    });
    t.match(metrics.headers.find(([name]) => name === 'content-type')?.[1], 'text/plain');
    t.match(metrics.body.toString(), /^accord_witness_forks 1$/m);
    t.equal((await ask(`${registry.adminUrl}/metrics`)).status, 401);
    const [evidence] = witness.forks();
    t.equal(evidence?.kind, 'fork');
    t.equal(evidence?.held, three.note());
    t.equal(evidence?.shown, other.note());
    const older = three.fork(7).grow(3, 'older');
    await submit(older, older.size);
    t.equal(witness.state().forks, 2, 'a size that was shown before');
    const between = three.fork(7).grow(1, 'between');
    await submit(between, between.size);
    t.equal(witness.state().forks, 2, 'a size that was never shown proves nothing');
  });

  t.test('a stranger sees status codes', async (t) => {
    const post = async (body: Buffer | string) => {
      const answer = await http.request({
        method: 'POST',
        url: `${base}/witness/add-checkpoint`,
        body: Buffer.from(body),
      });
      return [answer.status, answer.headers.find(([name]) => name === 'content-type')?.[1]];
    };
    t.same(await post(one.body(0)), [409, 'text/x.tlog.size']);
    t.same((await post('rubbish'))[0], 400);
    t.same((await post(''))[0], 400);
    t.same((await post(Buffer.alloc(20_000)))[0], 413);
    t.same((await post(new WitnessedLog(one.origin).grow(60).body(0)))[0], 403);
    t.same((await post(new WitnessedLog('accord/XA/GOV/1001/SS9').grow(3).body(0)))[0], 404);
    t.same((await post(new WitnessedLog(`${one.origin}/2`, one.key).grow(3).body(0)))[0], 200, 'its next log');
    t.same((await post(new WitnessedLog(`${one.origin}/99`, one.key).grow(3).body(0)))[0], 404);
  });
});

t.test('what was stored is taken up again', async (t) => {
  now.servers = [one];
  const before = await site('again');
  await register(before);
  await before.registry.publish();
  const note = one.note();
  t.equal((await before.witness.witness.add(one.body(0))).status, 200);
  now.tokens = false;
  await before.witness.aggregate.tick();
  const signed = before.witness.store.newestCheckpoint();
  t.equal(signed?.size, 2);
  await before.registry.close();
  now.tokens = true;
  const after = await site('again');
  t.teardown(() => after.registry.close());
  t.same(after.witness.store.newestCheckpoint(), signed);
  await after.witness.aggregate.tick();
  t.equal(after.witness.aggregate.newestFinished()?.size, 2, 'the very checkpoint that was signed before');
  t.equal(after.witness.aggregate.anchoring(one.origin, one.size).checkpoint, note);
  const unknown = await ask(`${after.registry.configurationUrl}aggregate/anchoring?origin=${one.origin}&size=1`);
  t.match(unknown.text, 'AGGREGATE_UNKNOWN');
});

t.test('another key is not taken for the same log', async (t) => {
  now.servers = [one];
  const before = await site('keys');
  await register(before);
  await before.registry.publish();
  await before.witness.aggregate.tick();
  await before.registry.close();
  await t.rejects(site('keys', { witness: { ...REGISTRY_KEYS, aggregate: ed25519() } }), {
    code: 'AGGREGATE_KEY_WRONG',
  });
  const after = await site('keys');
  t.equal(after.witness.aggregate.newestFinished()?.size, 1);
  await after.registry.close();
});

t.test('an older memory that was put back is found by the departments', async (t) => {
  now.servers = [one, two];
  const place = join(root, 'back');
  const open = async () => {
    const here = await site('back');
    return { ...here, base: here.registry.configurationUrl.replace(/\/$/, '') };
  };
  const first = await open();
  await register(first);
  const { identity } = first.witness;
  const state = { url: first.base };
  const verifier = parseVerifierKey(identity.aggregate.verifierKey);
  const { url, name, verifierKeys, store } = await department('d3.example', verifier, () => state.url);
  await first.registry.call('POST', '/witnesses', {
    aggregate: { ...identity.aggregate, url: first.base },
    registryWitness: { name: identity.name, verifierKeys: identity.verifierKeys },
    witnesses: [{ name, url, verifierKeys }],
    quorum: 1,
  });
  await first.registry.publish();
  await first.witness.aggregate.tick();
  t.equal(first.witness.aggregate.newestFinished()?.size, 1);
  await first.registry.close();
  cpSync(join(place, 'witness.db'), join(root, 'older.db'));

  const second = await open();
  state.url = second.base;
  t.equal((await second.witness.witness.add(one.body(0))).status, 200);
  t.equal((await second.witness.witness.add(two.body(0))).status, 200);
  await second.witness.aggregate.tick();
  t.equal(store.latest(verifier.name)?.size, 3);
  await second.registry.close();
  for (const file of ['witness.db', 'witness.db-wal', 'witness.db-shm']) rmSync(join(place, file), { force: true });
  cpSync(join(root, 'older.db'), join(place, 'witness.db'));

  const third = await open();
  t.teardown(() => third.registry.close());
  state.url = third.base;
  t.equal((await third.witness.witness.add(two.fork(3).grow(9, 'another').body(0))).status, 200, 'it forgot');
  now.alarms.splice(0);
  await third.witness.aggregate.tick();
  t.ok(
    now.alarms.some((what) => what.includes('d3.example knows the aggregate log with 3 leaves')),
    now.alarms.join(),
  );
  t.equal(third.witness.aggregate.newestFinished()?.size, 1, 'nobody cosigns the second history');
  t.equal(store.latest(verifier.name)?.size, 3);
});
