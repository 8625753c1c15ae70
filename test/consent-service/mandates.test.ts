// Acting for another, over both stores: who may do what, how far, until when; strangers learn nothing.
import t from 'tap';
import { sha256 } from '#certs/commitment.ts';
import { readReceipt } from '#certs/receipt.ts';
import type { Person } from '#consent-service/consents.ts';
import { parseChainRecord } from '#schemas/consent.ts';
import type { MandateOffer } from '#schemas/mandate.ts';
import { CIVIL, CLIENT, DAY_MS, give, PERSON, TAX } from './desk.ts';
import { guardianship, offerTo, officeOver, personOf, REGISTER } from './families.ts';
import { engines } from './stores.ts';

const WANG = PERSON;
const [LI, ZHAO, CHILD] = ['310101198001011111', '310101198001012222', '310101201001013333'].map(personOf) as [
  Person,
  Person,
  Person,
];
const NAME = { service: CIVIL, element: 'gx.name@1' };
const ADULT = { service: CIVIL, element: 'gx.pred.age_ge_18@1' };
const INCOME = ['gx.income@1', 'gx.currency@1'].map((element) => ({ service: TAX, element }));
const UNKNOWN = { code: 'CONSENT_UNKNOWN' };
const EXCEEDED = { code: 'MANDATE_EXCEEDED' };
const REFUSED = { code: 'CONSENT_TRANSITION_REFUSED' };
const ENDED = { code: 'MANDATE_TRANSITION_REFUSED' };

t.test('a citizen lets another act, and stays master of it', async (t) => {
  for (const engine of await engines(t)) {
    const office = await officeOver(engine.open);
    const { consents, clock } = office;
    const { mandates } = consents;
    const nowMs = clock.nowMs();
    const offer = offerTo(LI, nowMs, { maxLevel: 3, purposes: ['social-aid'] });

    // What cannot be agreed.
    for (const [over, detail] of [
      [{ maxLevel: 4 }, /maxLevel/],
      [{ validUntilMs: nowMs + 367 * DAY_MS }, /validUntilMs/],
      [{ validUntilMs: nowMs }, /ended/],
      [{ representative: { ...WANG.subjects[0]!, name: '王' } }, /themself/],
      [{ purposes: ['unheard-of'] }, /unheard-of/],
    ] as const) {
      const faulty = { ...offer, ...over } as MandateOffer;
      await t.rejects(mandates.offer(WANG, faulty), { code: 'MANDATE_OUT_OF_BOUNDS', detail });
    }

    const { id, state } = await mandates.offer(WANG, offer);
    t.equal(state, 'OFFERED');
    await t.rejects(mandates.offer(WANG, offer), { code: 'MANDATE_OPEN_ALREADY', detail: id });
    // To somebody who does not exist: just the same.
    const nobody = await mandates.offer(WANG, {
      ...offer,
      representative: { ...offer.representative, value: '0'.repeat(18) },
    });
    t.same(
      Object.keys(nobody),
      Object.keys(await mandates.one(WANG, id)).filter((name) => name !== 'role'),
    );
    t.equal(nobody.state, 'OFFERED');

    const waiting = await office.file();
    await t.rejects(consents.one(LI, waiting, id), UNKNOWN, 'not before it is accepted');
    for (const person of [ZHAO, CHILD]) {
      for (const step of ['accept', 'decline', 'end', 'one'] as const) {
        await t.rejects(mandates[step](person, id), { code: 'MANDATE_UNKNOWN' }, `a stranger: ${step}`);
      }
    }
    await t.rejects(mandates.accept(WANG, id), ENDED, 'nobody accepts their own offer');
    await t.rejects(mandates.decline(WANG, id), ENDED);
    await t.rejects(mandates.end(LI, id), ENDED, 'what is not accepted is declined');
    t.match(await mandates.accept(LI, id), {
      state: 'ACTIVE',
      isActive: true,
      represented: '王小明',
      representative: '李华',
    });

    // Level 4 stays with the person, and so does refusing what holds it.
    const view = await consents.one(LI, waiting, id);
    t.match(view.actingFor, { maxLevel: 3, isWithin: false, kind: 'citizen' });
    t.match(view.notice.zh, /本次由李华作为王小明的受托人代为决定/);
    t.match(view.notice.en, /李华 decides for 王小明/);
    t.notMatch((await consents.one(WANG, waiting)).notice.zh, /李华/, 'the person is shown the plain notice');
    await t.rejects(give(consents, LI, waiting, [NAME, ...INCOME], 'zh', id), EXCEEDED);
    await t.rejects(consents.refuse(LI, waiting, id), EXCEEDED);
    await t.rejects(consents.one(LI, waiting), UNKNOWN, 'without a mandate there is nothing');
    await t.rejects(consents.one(ZHAO, waiting, id), UNKNOWN, 'a mandate is not for others');
    await t.rejects(consents.one(WANG, waiting, id), UNKNOWN);
    const other = await office.file(WANG, 'housing');
    await t.rejects(consents.one(LI, other, id), UNKNOWN, 'another purpose is not shown');
    await t.rejects(give(consents, LI, other, [NAME], 'zh', id), UNKNOWN);
    t.same(
      (await consents.waiting(LI, id)).map((one) => one.id),
      [waiting],
    );
    t.same(await consents.waiting(LI), []);
    await t.rejects(consents.waiting(ZHAO, id), UNKNOWN);

    // What is decided stands in record and receipt with both.
    const given = await give(consents, LI, waiting, [NAME, ADULT], 'zh', id);
    const { receipt } = readReceipt(given.receipts[0]!.jws);
    t.equal(receipt.notice.hash, sha256(given.notice.zh));
    t.equal(receipt.notice.hash, sha256(view.notice.zh), 'the text that was shown');
    t.match(receipt.actor, /^[A-Za-z0-9_-]{43}$/);
    t.not(receipt.actor, receipt.sub);
    const line = (await office.store.recordsOf([waiting])).at(-1)!.line;
    t.match(parseChainRecord(line), { by: 'representative', acting: { mandate: id } });
    t.notMatch(line, /李华|王小明|310101/, 'records name nobody');
    const own = (await consents.permissions(WANG)).find((one) => one.id === waiting)!;
    t.match(own, { state: 'GIVEN', decidedBy: { representative: '李华', represented: '王小明' }, actingFor: null });
    t.equal(sha256(own.notice.zh), receipt.notice.hash, 'the person sees the very text');
    t.match(await consents.ofClient(CLIENT, waiting), { state: 'GIVEN' });

    // A pause of the representative's either lifts; the person's own only the person.
    await consents.suspend(LI, waiting, id);
    await consents.resume(WANG, waiting);
    await consents.suspend(WANG, waiting);
    await t.rejects(consents.resume(LI, waiting, id), REFUSED);
    await consents.resume(WANG, waiting);

    // What the person gave themself is not the helper's: neither seen nor replaced.
    const mine = await give(consents, WANG, other, [NAME], 'zh');
    t.equal(readReceipt(mine.receipts[0]!.jws).receipt.actor, null);
    await consents.withdraw(WANG, waiting);
    const again = await office.file();
    await give(consents, WANG, again, [NAME], 'zh');
    t.same(
      (await consents.permissions(LI, id)).map((one) => one.id),
      [waiting],
    );
    for (const step of ['withdraw', 'suspend', 'one'] as const)
      await t.rejects(consents[step](LI, again, id), UNKNOWN, step);
    const third = await office.file();
    await t.rejects(give(consents, LI, third, [NAME], 'zh', id), EXCEEDED, 'it would replace what the person gave');
    await consents.withdraw(WANG, again);
    await give(consents, LI, third, [NAME], 'zh', id);

    await office.restart();
    // The end: nothing more for the helper; what was given stays, and the person withdraws it in one click.
    t.match(await office.consents.mandates.end(WANG, id), { state: 'ENDED', reason: 'withdrawn', isActive: false });
    for (const step of ['withdraw', 'suspend', 'one'] as const) {
      await t.rejects(office.consents[step](LI, third, id), UNKNOWN, `ended: ${step}`);
    }
    await t.rejects(office.consents.mandates.end(LI, id), ENDED);
    t.equal((await office.consents.one(WANG, third)).state, 'GIVEN', engine.name);
    t.equal((await office.consents.withdraw(WANG, third)).state, 'WITHDRAWN');
    await office.restart();
    await office.store.close();
  }
});

t.test('a guardian acts until the day of majority begins, by itself', async (t) => {
  for (const engine of await engines(t)) {
    const office = await officeOver(engine.open);
    const { consents, clock, configuration } = office;
    const { mandates } = consents;
    // 00:00 in UTC+8 of a day a week ahead.
    const today = Math.floor((clock.nowMs() + 480 * 60_000) / DAY_MS);
    const majorityMs = (today + 7) * DAY_MS - 480 * 60_000;
    const majorityOn = new Date((today + 7) * DAY_MS).toISOString().slice(0, 10);
    const filing = guardianship(CHILD, LI, clock.nowMs(), { majorityOn });

    for (const [over, code] of [
      [{ majorityOn: null }, 'MANDATE_OUT_OF_BOUNDS'],
      [{ kind: 'court' }, 'MANDATE_OUT_OF_BOUNDS'],
      [{ majorityOn: new Date(today * DAY_MS).toISOString().slice(0, 10) }, 'MANDATE_OUT_OF_BOUNDS'],
      [{ representative: filing.represented }, 'MANDATE_OUT_OF_BOUNDS'],
      [{ validUntilMs: clock.nowMs() + 40_000 * DAY_MS }, 'MANDATE_OUT_OF_BOUNDS'],
    ] as const) {
      await t.rejects(mandates.file(REGISTER, { ...filing, ...over }), { code }, JSON.stringify(over));
    }
    await t.rejects(mandates.file(CLIENT, filing), { code: 'MANDATE_REGISTER_REFUSED' });
    const { id } = await mandates.file(REGISTER, filing);
    await t.rejects(mandates.file(REGISTER, filing), { code: 'MANDATE_OPEN_ALREADY', detail: id });
    await t.rejects(mandates.ofRegister(CLIENT, id), { code: 'MANDATE_REGISTER_REFUSED' });
    await t.rejects(mandates.revoke(REGISTER, waitingId()), { code: 'MANDATE_UNKNOWN' });
    for (const person of [LI, CHILD]) await t.rejects(mandates.end(person, id), ENDED, 'a register ends what it filed');

    // The child's own decisions are the guardian's to undo; the child can undo the guardian's.
    const own = await office.file(CHILD);
    await give(consents, CHILD, own, [NAME], 'zh');
    t.equal((await consents.suspend(LI, own, id)).state, 'SUSPENDED');
    t.equal((await consents.withdraw(LI, own, id)).state, 'WITHDRAWN');
    const strong: Person = { ...LI, level: 4 };
    const [first, second] = [await office.file(CHILD), await office.file(CHILD, 'housing')];
    await t.rejects(give(consents, LI, first, INCOME, 'zh', id), { code: 'STEP_UP_REQUIRED' });
    await give(consents, strong, first, [NAME, ...INCOME], 'zh', id);
    await give(consents, LI, second, [NAME], 'zh', id);
    t.equal((await consents.withdraw(CHILD, second)).state, 'WITHDRAWN', 'while a guardian exists');
    const last = await office.file(CHILD, 'housing');

    clock.aheadMs += majorityMs - 1 - clock.nowMs();
    t.equal(await consents.tick(), 0);
    t.equal((await consents.waiting(LI, id)).length, 1, 'a millisecond before the day');
    clock.aheadMs += 1;
    await t.rejects(consents.waiting(LI, id), UNKNOWN, 'at 00:00 of the legal day, before any record says so');
    await t.rejects(give(consents, LI, last, [NAME], 'zh', id), UNKNOWN);
    t.match(await mandates.ofRegister(REGISTER, id), { state: 'ENDED', reason: 'majority' });
    // A legal day that begins later: not yet.
    configuration.utcOffsetMinutes = 479;
    t.equal((await consents.waiting(LI, id)).length, 1);
    configuration.utcOffsetMinutes = 480;
    t.equal(await consents.tick(), 1);
    const paused = await consents.one(CHILD, first);
    t.match(paused, {
      state: 'SUSPENDED',
      last: { by: 'service' },
      decidedBy: { representative: '李华', kind: 'guardian' },
    });
    const { uri, idx } = readReceipt(paused.receipts[0]!.jws).receipt.status;
    const statuses = await office.store.statuses(uri.slice(uri.lastIndexOf('/') + 1));
    t.equal(statuses.find((one) => one.idx === idx)?.value, 2, 'and so says the list');
    await t.rejects(consents.resume(LI, first, id), UNKNOWN);
    t.equal((await consents.resume(CHILD, first)).state, 'GIVEN', 'who is of age now decides');
    t.equal(await consents.tick(), 0);
    await office.restart();
    t.equal((await office.consents.one(CHILD, first)).state, 'GIVEN', engine.name);
    await office.store.close();
  }
});

t.test('a revoked mandate, an expired one, a renewed one', async (t) => {
  const [engine] = await engines(t);
  const office = await officeOver(engine!.open);
  const { consents, clock } = office;
  const { mandates } = consents;
  const nowMs = clock.nowMs();
  const court = {
    ...guardianship(WANG, LI, nowMs, { majorityOn: null }),
    kind: 'court' as const,
    maxLevel: 3 as const,
  };
  const first = await mandates.file(REGISTER, { ...court, validUntilMs: nowMs + DAY_MS });
  const id = await office.file();
  await give(consents, LI, id, [NAME], 'zh', first.id);
  const state = async () => (await consents.one(WANG, id)).state;

  // Renewed in time: nothing is interrupted, and the new mandate carries on what was given under the old one.
  const renewed = await mandates.file(REGISTER, { ...court, maxLevel: 2, validUntilMs: nowMs + 10 * DAY_MS });
  clock.aheadMs += DAY_MS;
  t.equal(await consents.tick(), 1);
  t.match(await mandates.ofRegister(REGISTER, first.id), { state: 'ENDED', reason: 'expired' });
  t.equal(await state(), 'GIVEN');
  await consents.suspend(LI, id, renewed.id);
  await consents.resume(LI, id, renewed.id);

  // Revoked: what nobody vouches for is paused, until the person says otherwise, and then stays as the person said.
  t.match(await mandates.revoke(REGISTER, renewed.id), { state: 'ENDED', reason: 'revoked' });
  await t.rejects(mandates.revoke(REGISTER, renewed.id), ENDED);
  t.equal(await state(), 'SUSPENDED');
  await consents.resume(WANG, id);
  const third = await mandates.file(REGISTER, court);
  await mandates.revoke(REGISTER, third.id);
  t.equal(await state(), 'GIVEN', 'the person had decided');

  // Another who stands in for the person takes up what was paused.
  const fourth = await mandates.file(REGISTER, court);
  const next = await office.file(WANG, 'housing');
  await give(consents, LI, next, [NAME], 'zh', fourth.id);
  await mandates.revoke(REGISTER, fourth.id);
  const fifth = await mandates.file(REGISTER, { ...court, representative: { ...ZHAO.subjects[0]!, name: '赵一' } });
  t.match(await consents.resume(ZHAO, next, fifth.id), {
    state: 'GIVEN',
    last: { acting: { representative: '赵一' } },
  });
  await t.rejects(consents.one(ZHAO, next, fourth.id), UNKNOWN);
  await office.restart();
  await office.store.close();
});

function waitingId(): string {
  return '01900000-0000-7000-8000-000000000000';
}
