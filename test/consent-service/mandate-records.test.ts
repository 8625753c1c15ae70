// Mandates under pressure: offers without flood, records that somebody made up, and, whatever the order of things, nobody
// but the person or an active representative within bounds who changes a consent.
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { sha256 } from '#certs/commitment.ts';
import { nextRecords } from '#consent-service/records.ts';
import { openConsentStoreSqlite } from '#consent-service/store-sqlite.ts';
import type { ConsentState } from '#schemas/consent.ts';
import { CIVIL, DAY_MS, give, PERSON, TAX } from './desk.ts';
import { guardianship, type Office, offerTo, officeOver, personOf, REGISTER } from './families.ts';
import { engines, temporaryFolder } from './stores.ts';

const WANG = PERSON;
const LI = personOf('310101198001011111');
const ZHAO = personOf('310101198001012222');
const ENDED = { code: 'MANDATE_TRANSITION_REFUSED' };

t.test('offers: no flood, no guessing, and a time to answer', async (t) => {
  const [engine] = await engines(t);
  const office = await officeOver(engine!.open);
  const { clock, consents } = office;
  const { mandates } = consents;
  const offer = (value: string, over = {}) =>
    mandates.offer(WANG, { ...offerTo(personOf(value), clock.nowMs(), {}), ...over });
  const declined = await offer('a');
  t.match(await mandates.decline(personOf('a'), declined.id), { state: 'ENDED', reason: 'declined' });
  const lapsing = await offer('a');
  await t.rejects(offer('a', { maxLevel: 1 }), { code: 'MANDATE_COOL_DOWN' });
  // The same for somebody who is not there: nothing of the answer depends on the other.
  const gone = await offer('b');
  await mandates.end(WANG, gone.id);
  await offer('b');
  await t.rejects(offer('b', { maxLevel: 1 }), { code: 'MANDATE_COOL_DOWN' });
  await offer('c');
  await t.rejects(offer('d'), { code: 'MANDATE_TOO_MANY' }, 'five a day');
  clock.aheadMs += 14 * DAY_MS;
  await t.rejects(mandates.accept(personOf('a'), lapsing.id), ENDED);
  t.equal((await mandates.one(WANG, lapsing.id)).reason, 'lapsed');
  t.equal(await consents.tick(), 3);
  await offer('d');
  clock.aheadMs += 16 * DAY_MS;
  t.equal((await offer('a')).state, 'OFFERED', 'a month later');
  const mine = await mandates.mine(WANG);
  t.same([mine.forMe.length, mine.byMe.length], [7, 0]);
  t.same(
    mine.forMe.slice(0, 1).map(({ state }) => state),
    ['OFFERED'],
    'open ones first',
  );
  await office.store.close();
});

t.test('records that somebody made up keep the service from starting', async (t) => {
  for (const engine of await engines(t)) {
    const office = await officeOver(engine.open);
    const { mandates } = office.consents;
    const { id } = await mandates.offer(WANG, offerTo(LI, office.clock.nowMs(), { maxLevel: 2 }));
    const waiting = await office.file();
    const tag = (await office.store.mandate(id))!.representative;
    const atMs = office.clock.nowMs();
    const head = await office.store.head();
    const damaged = { code: 'CONSENT_RECORDS_DAMAGED' };

    // Changed rows.
    for (const [sql, undo] of [
      ['UPDATE mandates SET max_level = 3', 'UPDATE mandates SET max_level = 2'],
      ["UPDATE mandates SET state = 'ACTIVE'", "UPDATE mandates SET state = 'OFFERED'"],
      [
        `UPDATE mandates SET represented = '${sha256('x')}'`,
        `UPDATE mandates SET represented = '${(await office.store.mandate(id))!.represented}'`,
      ],
      [`UPDATE consents SET mandate = '${id}'`, 'UPDATE consents SET mandate = NULL'],
    ] as const) {
      await office.store.close();
      await engine.tamper(sql);
      await t.rejects(office.restart(false), damaged, `${engine.name}: ${sql}`);
      await engine.tamper(undo);
      office.store = await engine.open();
    }
    await t.rejects(engine.tamper('DELETE FROM mandates'), 'a mandate is kept');
    t.equal((await office.store.head())?.hash, head?.hash);

    // Whole records, with rows that fit, that nobody could have caused.
    const refused = {
      atMs,
      consent: waiting,
      state: 'REFUSED',
      by: 'representative',
      acting: { mandate: id, representative: tag },
    } as const;
    const moved = [{ id: waiting, state: 'REFUSED' as const, decidedAtMs: atMs, validUntilMs: null, mandate: id }];
    await office.store.append({ records: nextRecords(head, [refused]), moved });
    const reach = { ...damaged, detail: /REFUSED under a mandate that does not reach so far/ };
    await t.rejects(office.restart(), reach, `${engine.name}: decided under an offer`);
  }
});

const PEOPLE = { wang: { ...WANG, level: 4 }, li: { ...LI, level: 4 }, zhao: { ...ZHAO, level: 4 } } as const;
type Name = keyof typeof PEOPLE;

/** What the oracle knows of a mandate, from what was asked for and went well. */
interface Known {
  id: string;
  register: boolean;
  of: Name;
  to: Name;
  purpose: string | null;
  level: number;
  fromMs: number;
  untilMs: number;
  accepted: boolean;
  ended: boolean;
}

interface KnownConsent {
  id: string;
  of: Name;
  purpose: string;
  state: ConsentState;
  /** Mandate of the decision, highest level given, who paused. */
  under: string | null;
  given: number;
  pausedBy: Name | 'service' | null;
}

const name = fc.constantFrom<Name>('wang', 'li', 'zhao');
const at = fc.nat(20);
const step = fc.constantFrom('give', 'refuse', 'withdraw', 'suspend', 'resume');
const purposeOf = fc.constantFrom('social-aid', 'housing');
const operation = fc.oneof(
  { weight: 2, arbitrary: fc.record({ op: fc.constant('request' as const), of: name, purpose: purposeOf }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('offer' as const),
      of: name,
      to: name,
      level: fc.integer({ min: 1, max: 3 }),
      purpose: fc.option(purposeOf),
      days: fc.integer({ min: 1, max: 5 }),
      fromDays: fc.integer({ min: 0, max: 1 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('file' as const),
      of: name,
      to: name,
      level: fc.integer({ min: 1, max: 4 }),
      purpose: fc.option(purposeOf),
      days: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constantFrom('accept' as const, 'decline' as const, 'end' as const), by: name, at }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('revoke' as const), at }) },
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constant('act' as const),
      by: name,
      step,
      at,
      under: fc.option(at),
      level: fc.integer({ min: 2, max: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('wait' as const),
      hours: fc.integer({ min: 1, max: 30 }),
      tick: fc.boolean(),
    }),
  },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;
/** By the highest level among them. */
const ITEMS: Record<number, { service: string; element: string }[]> = {
  2: [{ service: CIVIL, element: 'gx.name@1' }],
  3: [{ service: TAX, element: 'gx.currency@1' }],
  4: [{ service: TAX, element: 'gx.income@1' }],
};

/** The whole rule, once more and in other words. */
function mayAct(
  known: Known[],
  c: KnownConsent,
  by: Name,
  under: string | null,
  what: string,
  level: number,
  nowMs: number,
) {
  const isOwn = by === c.of;
  if (under === null) return isOwn;
  const m = known.find(({ id }) => id === under);
  if (m === undefined || m.to !== by || m.of !== c.of || !m.accepted || m.ended) return false;
  if (nowMs < m.fromMs || nowMs >= m.untilMs || (m.purpose !== null && m.purpose !== c.purpose)) return false;
  if (what === 'give') return level <= m.level;
  if (what === 'refuse') return m.level === 4;
  if (!m.register && c.under !== m.id) return false;
  if (what === 'resume' && c.pausedBy === c.of) return false;
  return c.given <= m.level;
}

/** Returns how many acts of representatives went well. */
async function run(office: Office, operations: readonly Operation[]): Promise<number> {
  let acts = 0;
  const { clock, consents } = office;
  const { mandates } = consents;
  const [known, filed]: [Known[], KnownConsent[]] = [[], []];
  const pick = <T>(all: T[], index: number): T | undefined => (all.length === 0 ? undefined : all[index % all.length]);
  for (const o of operations) {
    const nowMs = clock.nowMs();
    let target: KnownConsent | undefined;
    let allowed = false;
    let isEnding = false;
    let gives = false;
    try {
      if (o.op === 'request') {
        const id = await office.file(PEOPLE[o.of], o.purpose);
        filed.push({ id, of: o.of, purpose: o.purpose, state: 'REQUESTED', under: null, given: 0, pausedBy: null });
      } else if (o.op === 'offer' || o.op === 'file') {
        const terms = { maxLevel: o.level as 1, purposes: o.purpose === null ? null : [o.purpose] };
        const untilMs = nowMs + o.days * DAY_MS;
        const fromMs = o.op === 'offer' ? nowMs + o.fromDays * (DAY_MS / 2) : nowMs;
        const times = { notBeforeMs: fromMs, validUntilMs: untilMs };
        const two = [PEOPLE[o.of], PEOPLE[o.to], nowMs] as const;
        const { id } =
          o.op === 'offer'
            ? await mandates.offer(two[0], offerTo(two[1], nowMs, { ...terms, ...times }))
            : await mandates.file(REGISTER, {
                ...guardianship(...two, terms),
                ...times,
                kind: 'court',
                majorityOn: null,
              });
        const facts = { register: o.op === 'file', accepted: o.op === 'file', ended: false };
        known.push({ id, of: o.of, to: o.to, purpose: o.purpose, level: o.level, fromMs, untilMs, ...facts });
      } else if (o.op === 'wait') {
        clock.aheadMs += o.hours * 3_600_000;
        isEnding = o.tick;
        if (o.tick) await consents.tick();
      } else if (o.op === 'act') {
        target = pick(filed, o.at);
        const under = o.under === null ? null : (pick(known, o.under)?.id ?? null);
        if (target === undefined) continue;
        const level = o.level;
        allowed = mayAct(known, target, o.by, under, o.step, level, nowMs);
        const [person, id, acting] = [PEOPLE[o.by], target.id, under ?? undefined];
        gives = o.step === 'give';
        if (o.step === 'give') await give(consents, person, id, ITEMS[level]!, 'en', acting);
        else await consents[o.step](person, id, acting);
        if (!allowed) throw new Error(`${o.by} could ${o.step} ${id} of ${target.of} under ${under}`);
        if (target.state === 'REQUESTED') Object.assign(target, { under, given: gives ? level : 0 });
        target.pausedBy = o.step === 'suspend' ? o.by : null;
        if (under !== null) acts += 1;
      } else {
        const m = pick(known, o.at);
        if (m === undefined) continue;
        isEnding = true;
        if (o.op === 'revoke') await mandates.revoke(REGISTER, m.id);
        else await mandates[o.op](PEOPLE[o.by], m.id);
        const rightful =
          o.op === 'revoke'
            ? m.register
            : o.op === 'end'
              ? !m.register && (o.by === m.of || o.by === m.to)
              : o.by === m.to;
        if (!rightful || m.ended || nowMs >= m.untilMs) throw new Error(`${JSON.stringify(o)} of ${JSON.stringify(m)}`);
        if (o.op === 'accept') m.accepted = true;
        else m.ended = true;
      }
    } catch (error) {
      if ((error as { code?: string }).code === undefined) throw error;
      if (target !== undefined && allowed && (error as { code?: string }).code === 'CONSENT_UNKNOWN') throw error;
    }
    // Nothing else has moved, but what follows from it.
    for (const c of filed) {
      const view = await consents.one(PEOPLE[c.of], c.id);
      const { state } = view;
      if (state === c.state) continue;
      const isSelf = c === target && allowed;
      const isService =
        (isEnding && view.last.by === 'service') ||
        (gives && allowed && state === 'SUPERSEDED' && c.purpose === target?.purpose);
      if (!isSelf && !isService) throw new Error(`${c.id}: ${c.state} to ${state} after ${JSON.stringify(o)}`);
      if (isService && state === 'SUSPENDED') {
        if (known.find(({ id }) => id === c.under)?.register !== true) throw new Error('paused without a register');
        c.pausedBy = 'service';
      }
      c.state = state;
    }
  }
  return acts;
}

t.test('whatever the order of things, only the person or who may act for them changes a consent', async (t) => {
  const folder = temporaryFolder(t);
  let [count, acts] = [0, 0];
  const property = fc.asyncProperty(fc.array(operation, { minLength: 20, maxLength: 70 }), async (operations) => {
    const office = await officeOver(async () => openConsentStoreSqlite(join(folder, String(count++))));
    try {
      acts += await run(office, operations);
    } finally {
      await office.store.close();
    }
    const again = await officeOver(async () => openConsentStoreSqlite(join(folder, String(count - 1))));
    await again.store.close();
  });
  await fc.assert(property, { numRuns: 30 });
  t.ok(acts >= 20, `${acts} acts of representatives`);
});
