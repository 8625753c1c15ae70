// How often a receipt may be used within its days: counted by the provider in a window that moves with the time, side by
// side, over restarts, for every series of times; given back when nothing ran; told before, and to who issued it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { readReceipt } from '#certs/receipt.ts';
import { replayDecision } from '#policy/replay.ts';
import { AccordError } from '#schemas/problems.ts';
import { CLIENT, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import { openStateSqlite } from '#security-server/state-sqlite.ts';
import { DAY_MS, FOR, HOUR_MS, openWorld, PURPOSE, type World } from './access-world.ts';
import { type Asked, post } from './asking.ts';
import { CARRIER, usesOf } from './citizen.ts';

const ISSUER = CARRIER;
const YEAR_S = 365 * 86_400;

/** A receipt that lasts a year. */
function often(world: World, uses: number, days: number, over: object = {}): string {
  const exp = Math.floor(world.clock.nowMs() / 1000) + YEAR_S;
  return world.giver.receipt({ ...FOR, exp, frequency: { uses, days }, ...over });
}

const numberOf = (receipt: string) => readReceipt(receipt).receipt.jti;

function lookup(pair: Pair, receipt: string, over: object = {}, path = '/lookups'): Promise<Asked> {
  const asked = { client: CLIENT, service: SERVICE, path: '/residents/~subject', basis: 'consent', fields: ['/name'] };
  return post(pair, path, { ...asked, purpose: PURPOSE.id, receipt, ...over });
}

function held({ pair }: World, receipt: string): number {
  const { state, log } = pair.provider.parts;
  return state.usedInWindow({ jti: numberOf(receipt), issuer: ISSUER }, log.newestMs());
}

t.test('side by side, over a restart, and again when the oldest has left the window', async (t) => {
  const world = await openWorld(t);
  const { pair, clock } = world;
  const receipt = often(world, 3, 1);
  const ask = async () => (await lookup(pair, receipt)).json;
  const codes = async (count: number) => {
    const told = await Promise.all(Array.from({ length: count }, ask));
    return told.map(({ code }) => code).sort();
  };
  const firstMs = clock.nowMs();
  t.same(await codes(1), ['OK']);
  clock.aheadMs += 12 * HOUR_MS;
  t.same(await codes(5), ['CONSENT_TOO_OFTEN', 'CONSENT_TOO_OFTEN', 'CONSENT_TOO_OFTEN', 'OK', 'OK']);
  const refused = await ask();
  const again = /^3 within 24 hours; again from (.*Z)$/.exec(String(refused['detail']))?.[1] ?? '';
  const againMs = Date.parse(again);
  t.ok(againMs >= firstMs + DAY_MS && againMs <= clock.nowMs() + 12 * HOUR_MS, `from the first one on: ${again}`);
  const { log } = pair.provider.parts;
  const [record] = log.find(null, refused.id);
  const archived = log.readSealed(record?.seq ?? -1)?.decisionInputs ?? Buffer.alloc(0);
  t.match(replayDecision(archived, record?.entry.decisionHash ?? ''), { verdict: 'SAME', reason: '' });

  await pair.provider.close(1_000);
  await pair.reopen('provider');
  t.same(await codes(1), ['CONSENT_TOO_OFTEN'], 'a restart forgets nothing');
  const told = await lookup(pair, receipt, {}, '/lookups/effective-access');
  t.match(told.json, { allowed: false, code: 'CONSENT_TOO_OFTEN', detail: `3 within 24 hours; again from ${again}` });
  clock.aheadMs += againMs - clock.nowMs();
  t.match((await lookup(pair, receipt, {}, '/lookups/effective-access')).json, { allowed: true, code: 'OK' });
  t.same(await codes(3), ['CONSENT_TOO_OFTEN', 'CONSENT_TOO_OFTEN', 'OK'], 'one has left, so one more');
  clock.aheadMs += 12 * HOUR_MS + 60_000;
  t.same(await codes(4), ['CONSENT_TOO_OFTEN', 'CONSENT_TOO_OFTEN', 'OK', 'OK']);
});

t.test('both limits, and a receipt that ends before the next time', async (t) => {
  const world = await openWorld(t);
  const { pair, clock } = world;
  const receipt = often(world, 1, 2, { uses: 2 });
  const ask = async (one: string) => (await lookup(pair, one)).json;
  t.equal((await ask(receipt)).code, 'OK');
  t.equal((await ask(receipt)).code, 'CONSENT_TOO_OFTEN');
  clock.aheadMs += 2 * DAY_MS;
  t.equal((await ask(receipt)).code, 'OK');
  t.equal((await ask(receipt)).code, 'CONSENT_USES_SPENT', 'for ever, whatever the days say');
  const short = often(world, 1, 30, { exp: Math.floor(clock.nowMs() / 1000) + 86_400 });
  t.equal((await ask(short)).code, 'OK');
  t.match(await ask(short), {
    code: 'CONSENT_TOO_OFTEN',
    detail: '1 within 30 days; not again before the consent ends',
  });
  const { configuration, provider } = pair;
  const entry = configuration.entries.get(provider.id)!;
  configuration.entries.set('DEV/GOV/2002/ss9', { ...entry, id: 'DEV/GOV/2002/ss9', authenticationCertificates: [] });
  t.equal((await ask(often(world, 3, 1))).code, 'CONSENT_USES_NOT_COUNTED', 'several servers would count it apart');
});

t.test('what did not run is given back; what the backend failed at is not', async (t) => {
  const world = await openWorld(t);
  const { pair } = world;
  const receipt = often(world, 2, 3);
  const code = async () => (await lookup(pair, receipt)).json.code;
  const { admission, log, state } = pair.provider.parts;
  const places = Array.from({ length: 256 }, () => admission.enter('service', SERVICE));
  for (let n = 0; n < 3; n += 1) t.equal(await code(), 'SERVER_BUSY');
  t.equal(held(world, receipt), 0, 'a full service ran nothing');
  for (const leave of places) leave();
  const append = log.append.bind(log);
  log.append = () => Promise.reject(new AccordError('LOG_UNAVAILABLE'));
  await code();
  log.append = append;
  t.equal(held(world, receipt), 0, 'nor did what could not be logged');

  // All that a request uses is counted at once or not at all.
  const { countPredicate, used } = state;
  state.putRight({ ...state.rights().find(({ bases }) => bases.includes('consent'))!, quotaPerDay: 9 });
  state.countPredicate = () => {
    throw new Error('the disk is full');
  };
  const right = state.rights().find(({ quotaPerDay }) => quotaPerDay === 9)!;
  const failed = await lookup(pair, receipt, { fields: ['/name', 'gx.pred.age_ge_18@1'] });
  t.not(failed.json.code, 'OK');
  t.equal(held(world, receipt), 0, 'the use that stood before the failure was undone');
  t.equal(used(`${right.id} ${CLIENT}`, Math.floor(world.clock.nowMs() / DAY_MS)), 0);
  state.countPredicate = countPredicate;

  const { answer } = pair.backend;
  pair.backend.answer = (_request, _body, response) => response.destroy();
  t.equal(await code(), 'BACKEND_ANSWER_MALFORMED');
  t.equal(held(world, receipt), 1, 'the backend may have worked');
  t.same(
    await usesOf(pair, [numberOf(receipt)]),
    [{ receipt: numberOf(receipt), used: 0, lastUsedAtMs: null, usedInWindow: 1 }],
    'who issued it is told, though nothing was answered',
  );
  pair.backend.answer = answer;
  t.same([await code(), await code()], ['OK', 'CONSENT_TOO_OFTEN']);
  t.match(await usesOf(pair, [numberOf(receipt)]), [{ used: 1, usedInWindow: 2 }]);
  const plain = world.giver.receipt(FOR);
  t.equal((await lookup(pair, plain)).json.code, 'OK');
  const [use] = await usesOf(pair, [numberOf(plain)]);
  t.same(Object.keys(use ?? {}), ['receipt', 'used', 'lastUsedAtMs'], 'nothing is said of days where there are none');
  world.clock.aheadMs += 3 * DAY_MS;
  t.match(await usesOf(pair, [numberOf(receipt)]), [{ used: 1, usedInWindow: undefined }], 'all have left');
});

/** A step of a series: the clock moves, and so many ask at once; or the server ends and starts again. */
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ afterMs: fc.integer({ min: 0, max: 2 * DAY_MS }), atOnce: fc.integer({ min: 1, max: 5 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      afterMs: fc.constantFrom(DAY_MS - 1, DAY_MS, DAY_MS + 1, -DAY_MS, -1),
      atOnce: fc.constantFrom(1, 3),
    }),
  },
  { weight: 1, arbitrary: fc.constant('restart' as const) },
  { weight: 1, arbitrary: fc.constant('forget' as const) },
);

t.test('in any window no more than is allowed, for every series of times', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'accord-frequency-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  let files = 0;
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 3 }),
      fc.array(step, { maxLength: 25 }),
      (uses, days, steps) => {
        files += 1;
        const file = join(folder, `${files}.db`);
        let state = openStateSqlite(file);
        const receipt = { jti: 'j', issuer: ISSUER };
        const windowMs = days * DAY_MS;
        const times: number[] = [];
        let [nowMs, latestMs] = [1_000 * DAY_MS, 0];
        let isRight = true;
        for (const each of steps) {
          if (each === 'restart') {
            state.close();
            state = openStateSqlite(file);
          } else if (each === 'forget') {
            // By the hour, of a clock that never was later than the newest time, and an hour behind it.
            state.forgetReceipts(Math.floor((Math.min(nowMs, latestMs) - HOUR_MS) / 1000));
          } else {
            nowMs += each.afterMs;
            latestMs = Math.max(latestMs, nowMs);
            for (let asked = 0; asked < each.atOnce; asked += 1) {
              const used = state.usedInWindow(receipt, nowMs);
              const againMs = used < uses ? null : state.leavesWindowAtMs(receipt, uses);
              if (againMs !== null) {
                // What is told is right: one millisecond before it is too early, and then it is not.
                isRight &&=
                  state.usedInWindow(receipt, againMs - 1) >= uses && state.usedInWindow(receipt, againMs) < uses;
                continue;
              }
              isRight &&= used < uses;
              state.countInWindow(receipt, nowMs + windowMs);
              state.countInWindow({ ...receipt, issuer: 'another' }, nowMs + windowMs);
              times.push(nowMs);
            }
          }
        }
        state.close();
        const most = times.map((from) => times.filter((time) => time >= from && time < from + windowMs).length);
        return isRight && most.every((count) => count <= uses);
      },
    ),
    { numRuns: 80 },
  );
  t.pass('every series');
});

/** As a citizen would read the server's log: no window of a day has more answers than the receipt allows. */
async function series(t: Test, seed: number): Promise<void> {
  const world = await openWorld(t);
  const { pair, clock } = world;
  const receipt = often(world, 3, 1);
  const times: number[] = [];
  let [refused, next, newestMs] = [0, seed, 0];
  const chance = (most: number) => {
    next = (next * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((next / 2_147_483_648) * most);
  };
  for (let round = 0; round < 10; round += 1) {
    if (round % 4 !== 3) clock.aheadMs += chance(18 * HOUR_MS);
    if (round % 4 === 3) {
      await pair.provider.close(1_000);
      // Set back as far as no message is refused for it: the log still knows what time it was.
      clock.aheadMs -= 4 * 60_000;
      await pair.reopen('provider');
    }
    const latestMs = newestMs;
    const told = await Promise.all(Array.from({ length: 1 + chance(4) }, () => lookup(pair, receipt)));
    const { log } = pair.provider.parts;
    for (const { json } of told) {
      if (json.code === 'CONSENT_TOO_OFTEN') refused += 1;
      const [answer] = log.find(null, json.id);
      const archived = log.readSealed(answer?.seq ?? -1)?.decisionInputs;
      const { untilMs } = JSON.parse(String(archived)).inputs.consent.receipt.frequency as { untilMs: number };
      if (json.code === 'OK') times.push(untilMs);
      if (untilMs < latestMs) t.fail(`the window went back by ${latestMs - untilMs} ms`);
      newestMs = Math.max(newestMs, untilMs);
    }
  }
  times.sort((a, b) => a - b);
  for (const [at, from] of times.entries()) {
    const within = times.slice(at).filter((time) => time < from + DAY_MS).length;
    if (within > 3) t.fail(`${within} within a day from ${new Date(from).toISOString()}`);
  }
  t.ok(times.length > 6 && refused > 2, `seed ${seed}: ${times.length} answered, ${refused} refused`);
}

t.test('over real servers, side by side and over restarts', async (t) => {
  await series(t, 2);
});
