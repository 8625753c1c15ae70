// A department's witness that was away: what the registry keeps for it, and how long.
import t from 'tap';
import { parseVerifierKey } from '#core/log/signed-note.ts';
import { anew, department, now, one, register, site, two } from './aggregate-world.ts';

t.before(anew);

t.test('a department that was away longer than a week goes on, up to a bound', async (t) => {
  now.servers = [one, two];
  const day = 86_400_000;
  const clock = {
    aheadMs: 0,
    nowMs: () => Date.now() + clock.aheadMs,
    monotonicMs: () => performance.now() + clock.aheadMs,
  };
  const here = await site('away', { clock });
  t.teardown(() => here.registry.close());
  const base = here.registry.configurationUrl.replace(/\/$/, '');
  const { identity, aggregate, witness } = here.witness;
  const verifier = parseVerifierKey(identity.aggregate.verifierKey);
  const [up, away] = await Promise.all(
    ['d4.example', 'd5.example'].map((name) => department(name, verifier, () => base, { stepLeaves: 3 })),
  );
  if (up === undefined || away === undefined) throw new TypeError('two departments');
  await register(here);
  await here.registry.call('POST', '/witnesses', {
    aggregate: { ...identity.aggregate, url: base },
    registryWitness: { name: identity.name, verifierKeys: identity.verifierKeys },
    witnesses: [up, away].map(({ name, url, verifierKeys }) => ({ name, url, verifierKeys })),
    quorum: 1,
  });
  await here.registry.publish();
  let known = 0;
  const grow = async () => {
    const body = one.grow(one.size + 3).body(known);
    t.equal((await witness.add(body)).status, 200);
    known = one.size;
    await aggregate.tick();
  };
  await grow();
  const sizes = () => [up, away].map(({ store }) => store.latest(verifier.name)?.size);
  t.same(sizes(), [2, 2]);
  away.state.isUp = false;
  for (let step = 0; step < 3; step++) {
    await grow();
    clock.aheadMs += 10 * day;
  }
  t.same(sizes(), [5, 2]);
  away.state.isUp = true;
  now.alarms.splice(0);
  await grow();
  t.same(sizes(), [6, 2], 'not more in one step than it takes, and it stands for nothing half checked');
  t.ok(now.alarms.includes('witness d5.example refused: 503'), now.alarms.join());
  await grow();
  t.same(sizes(), [7, 7], 'with the next step, and the proofs that were kept for it');
  t.same(away.wrong, []);
  away.state.isUp = false;
  for (let step = 0; step < 2; step++) {
    await grow();
    clock.aheadMs += 50 * day;
  }
  away.state.isUp = true;
  await grow();
  t.same(sizes(), [10, 7]);
  t.match(away.wrong, [/away too long/]);
});
