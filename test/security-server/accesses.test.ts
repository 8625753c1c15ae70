import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { signEmergencyEvidence } from '#certs/evidence.ts';
import { newMessageId } from '#core/message-id.ts';
import { RECEIPT_USES_PATH } from '#schemas/accesses.ts';
import { ACCESS_KEPT_DAYS, MAX_ACCESSES } from '#schemas/limits.ts';
import { CLIENT, SERVICE } from '#scripts/campaign/pair.ts';
import { emergencyOf, LI } from '#test/certs/evidence-cases.ts';
import { testKey } from '#test/certs/receipt-cases.ts';
import { AGE, DAY_MS, FANG, FOR, HOUR_MS, LEI, law, lookup, numberOf, openWorld, PURPOSE } from './access-world.ts';
import { auditBoth, deliver, entries, recorded } from './asking.ts';
import { CARRIER, carry, messageOf, report, usesOf, whoLooked } from './citizen.ts';

t.setTimeout(120_000);

t.test('everyone who asked, on every basis, refused ones too, and the questions themselves', async (t) => {
  const { pair, giver, clock } = await openWorld(t);
  const key = testKey();
  pair.configuration.officials.set(CLIENT, [{ kid: key.kid, jwk: key.jwk as never }]);
  const halves = emergencyOf(CLIENT, { purpose: PURPOSE.id, services: [SERVICE] }, clock.nowMs() - 120_000);
  const evidence = halves.map((half) => signEmergencyEvidence(half, key));
  const receipt = giver.receipt(FOR, { scheme: 'gx.id@1', value: FANG });
  const foreign = giver.receipt({ ...FOR, client: 'DEV/GOV/1001/other' });
  const name = ['gx.name@1'];
  const shown: object[] = [];
  const { answer } = pair.backend;
  const ask = async (expected: object, over: object = {}, person = FANG) => {
    const { json } = await lookup(pair, person, over);
    const row = {
      exchange: json.id,
      client: CLIENT,
      service: SERVICE,
      operation: 'GET /residents/{id}',
      purpose: null,
    };
    const nothing = { basis: 'open', issue: null, unit: null, emergency: null, receipt: null, isOwn: false };
    if (person === FANG) shown.unshift({ ...row, ...nothing, code: json.code, asked: name, items: [], ...expected });
  };
  await ask({ outcome: 'answered', code: 'OK', items: name });
  await ask({ outcome: 'answered', items: ['gx.name@1', AGE], asked: ['gx.name@1', AGE] }, { fields: ['/name', AGE] });
  const more = ['gx.name@1', 'gx.currency@1', 'gx.income@1']; // an amount comes with its currency
  const partly = { fields: ['/name', 'gx.income@1'], partial: true };
  await ask({ outcome: 'answered', items: name, asked: more }, partly);
  await ask({ outcome: 'refused', code: 'FIELDS_NOT_PERMITTED', asked: more }, { ...partly, partial: false });
  pair.backend.answer = (_request, _body, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ name: '王芳' }));
  };
  const both = { asked: ['gx.birth_date@1', 'gx.name@1'], items: name };
  await ask({ outcome: 'answered', ...both }, { fields: ['/name', '/birthDate'] });
  pair.backend.answer = answer;
  await ask({ outcome: 'refused', code: 'FIELDS_UNKNOWN', asked: [] }, { fields: ['/nam'] });
  await ask(
    { outcome: 'refused', code: 'CASE_NUMBER_REQUIRED', purpose: PURPOSE.id, basis: 'law' },
    { ...law, issue: undefined },
  );
  const byLaw = { purpose: PURPOSE.id, basis: 'law', issue: law.issue };
  await ask({ outcome: 'answered', items: name, ...byLaw }, law);
  const consented = { purpose: PURPOSE.id, basis: 'consent' };
  const jti = numberOf(receipt);
  await ask({ outcome: 'answered', items: name, ...consented, receipt: jti }, { receipt, path: '/residents/~subject' });
  await ask({ outcome: 'refused', code: 'RECEIPT_REFUSED', ...consented }, { receipt: foreign });
  const emergency = { id: halves[0].emergency, reason: halves[0].reason };
  const urgent = { basis: 'emergency', purpose: PURPOSE.id, userId: LI.id, evidence };
  await ask(
    { outcome: 'answered', items: name, purpose: PURPOSE.id, basis: 'emergency', unit: LI.unit, emergency },
    urgent,
  );
  pair.backend.answer = (_request, _body, response) => void response.destroy();
  await ask({ outcome: 'failed' });
  pair.backend.answer = answer;
  // About nobody, or about somebody else.
  await ask({}, {}, LEI);
  await ask({}, { receipt: foreign }, '~subject');
  await ask({}, { path: '/others' }, 'x');
  const first = await whoLooked(pair, clock, FANG);
  t.match(first, { v: 1, accesses: shown, hasMore: false, doubts: [] });
  t.same(
    first.accesses.map((one) => one.exchange),
    shown.map((one) => (one as { exchange: string }).exchange),
    'newest first, and nothing else',
  );
  const second = await whoLooked(pair, clock, FANG);
  t.match(second.accesses[0], {
    exchange: first.id,
    isOwn: true,
    client: CARRIER,
    outcome: 'answered',
    code: 'OK',
    asked: [],
    items: [],
    operation: null,
  });
  t.equal(second.accesses.length, shown.length + 1, 'the question is shown by the next one');
  t.equal((await whoLooked(pair, clock, 'nobody')).accesses.length, 0, 'somebody of whom nothing was asked');
  const atMs = first.accesses[3]?.atMs ?? 0;
  const since = await whoLooked(pair, clock, FANG, { fromMs: atMs, untilMs: atMs });
  t.ok(
    since.accesses.some(({ exchange }) => exchange === first.accesses[3]?.exchange),
    'both ends belong to it',
  );
  t.ok(since.accesses.every((one) => one.atMs === atMs));

  // When the records were erased nobody can say what was released; then all that was asked for is shown.
  pair.provider.parts.log.erasure.destroyDays('standard', 0, Math.floor(clock.nowMs() / DAY_MS));
  const erased = await whoLooked(pair, clock, FANG, { untilMs: first.accesses[0]?.atMs });
  t.same(erased.accesses.at(-3)?.items, more);
  t.same(erased.accesses.at(-4)?.items, [], 'nothing of what was refused');
  await auditBoth(t, pair);
});

t.test('a look-up that the law hides is nowhere until its day', async (t) => {
  const { pair, giver, clock } = await openWorld(t, 10);
  pair.configuration.utcOffsetMinutes = 480;
  const day = (days: number) => new Date(clock.nowMs() + 480 * 60_000 + days * DAY_MS).toISOString().slice(0, 10);
  const opensMs = Date.parse(`${day(3)}T00:00:00+08:00`);
  const hidden = await lookup(pair, FANG, { ...law, hiddenUntil: day(3) });
  t.equal(hidden.json.code, 'OK');
  const refused = await lookup(pair, FANG, { ...law, fields: ['gx.income@1'], hiddenUntil: day(3) });
  t.equal(refused.json.code, 'FIELDS_NOT_PERMITTED');
  const curious = [
    await lookup(pair, FANG, { ...law, hiddenUntil: '2999-01-01' }),
    await lookup(pair, FANG, { hiddenUntil: day(3) }),
    await lookup(pair, FANG, { receipt: giver.receipt(FOR, { scheme: 'gx.id@1', value: FANG }), hiddenUntil: day(3) }),
  ];
  t.same(
    curious.map(({ json }) => json.code),
    Array(3).fill('SECRECY_NOT_ALLOWED'),
  );
  const seen = async () => (await whoLooked(pair, clock, FANG)).accesses.filter(({ isOwn }) => !isOwn);
  const plain = curious.map(({ json }) => json.id).reverse();
  t.same(
    (await seen()).map(({ exchange }) => exchange),
    plain,
    'who must not hide is seen at once',
  );
  const doubted = await report(pair, clock, FANG, hidden.json.id);
  t.equal(doubted.json.code, 'DOUBT_WITHOUT_EXCHANGE', 'what is hidden cannot be doubted');
  clock.aheadMs += opensMs - clock.nowMs() - 2_000;
  t.same(
    (await seen()).map(({ exchange }) => exchange),
    plain,
    'still on the evening before',
  );
  clock.aheadMs += 4_000;
  t.same(
    (await seen()).map(({ exchange }) => exchange),
    [...plain, refused.json.id, hidden.json.id],
    'by itself at midnight where the law is made',
  );
});

t.test('how often receipts were used, for whoever issued them', async (t) => {
  const { pair, giver, clock } = await openWorld(t);
  const about = { scheme: 'gx.id@1', value: FANG };
  const [used, refused, unused] = [giver.receipt(FOR, about), giver.receipt(FOR, about), giver.receipt(FOR, about)];
  const all = [used, refused, unused].map(numberOf);
  const ask = (receipt: string, over: object = {}) => lookup(pair, '~subject', { receipt, ...over });
  const before = clock.nowMs();
  for (const code of ['OK', 'OK']) t.equal((await ask(used)).json.code, code);
  t.equal((await ask(refused, { fields: ['/birthDate'] })).json.code, 'FIELDS_NOT_CONSENTED');
  const [once] = await usesOf(pair, all);
  t.match(once, { receipt: all[0], used: 2 });
  t.ok(once && Number(once.lastUsedAtMs) >= before && Number(once.lastUsedAtMs) <= clock.nowMs());
  for (let n = 0; n < 25; n += 1) await ask(used);
  t.match(await usesOf(pair, [newMessageId(1), ...all]), [{ receipt: all[0], used: 27 }], 'again, and those since');
  t.equal((await usesOf(pair, all)).length, 1);

  const { consentServices } = pair.configuration;
  pair.configuration.consentServices = consentServices.flatMap((one) => [one, { ...one, subsystem: CLIENT }]);
  t.same(await usesOf(pair, all, { client: CLIENT }), [], 'those of others are left out without a word');
  pair.configuration.consentServices = consentServices;
  await t.rejects(usesOf(pair, all, { client: CLIENT }), { message: 'NOT_FOUND' }, 'a department');
  const bad = await carry(pair, RECEIPT_USES_PATH, { v: 1, receipts: [] });
  t.equal(bad.json.code, 'SCHEMA_MISMATCH');
  await pair.provider.close(500);
  await pair.reopen('provider');
  t.match(await usesOf(pair, all), [{ receipt: all[0], used: 27 }], 'after a restart');
});

t.test('of many requests about many people each citizen sees exactly their own', async (t) => {
  const { pair, giver, clock } = await openWorld(t);
  const people = ['46010219900101001X', '7', 'nobody', '~subject0', "o'brien", 'a(b)', 'ｆａｎｇ'.normalize('NFKC')];
  const expected = new Map<string, string[]>(people.map((person) => [person, []]));
  const { answer } = pair.backend;
  pair.backend.answer = (request, body, response) => {
    if (request.headers['accord-fields'] === '/birthDate') response.destroy();
    else answer(request, body, response);
  };
  const kinds = ['open', 'refused', 'consent', 'law', 'failed', 'replay'] as const;
  const { link } = pair.consumer.parts;
  let frame: Buffer = Buffer.alloc(0);
  const send: typeof link.send = async (peer, message, timeoutMs) => {
    frame = await recorded(pair, peer, message);
    return link.send(peer, message, timeoutMs);
  };
  pair.consumer.parts.link = { ...link, send };
  const one = async (person: string, kind: (typeof kinds)[number]) => {
    const path = { path: `/residents/${encodeURIComponent(person)}` };
    const receipt = kind === 'consent' ? giver.receipt(FOR, { scheme: 'gx.id@1', value: person }) : undefined;
    const over = {
      ...path,
      ...(kind === 'refused' && { fields: ['gx.income@1'] }),
      ...(kind === 'law' && law),
      ...(receipt !== undefined && { receipt, path: '/residents/~subject' }),
      ...(kind === 'failed' && { fields: ['/birthDate'] }),
    };
    const { json } = await lookup(pair, person, over);
    expected.get(person)?.push(json.id);
    // What is sent again is the request that came already.
    if (kind === 'replay') await deliver(pair, frame);
  };
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom(...people), fc.constantFrom(...kinds)), { minLength: 1, maxLength: 10 }),
      async (asked) => {
        const replayed = asked.filter(([, kind]) => kind === 'replay');
        await Promise.all(asked.filter(([, kind]) => kind !== 'replay').map(([person, kind]) => one(person, kind)));
        for (const [person, kind] of replayed) await one(person, kind);
      },
    ),
    { numRuns: 8 },
  );
  for (const person of people) {
    const { accesses } = await whoLooked(pair, clock, person);
    t.same(accesses.map(({ exchange }) => exchange).sort(), expected.get(person)?.sort(), person);
    t.ok(accesses.every(({ outcome }) => outcome !== 'under-way'));
    t.same(
      accesses.map(({ atMs }) => atMs),
      accesses.map(({ atMs }) => atMs).toSorted((a, b) => b - a),
    );
  }
});

t.test('who takes one id for two people hides neither', async (t) => {
  const { pair, giver, clock } = await openWorld(t);
  const receipt = giver.receipt(FOR, { scheme: 'gx.id@1', value: FANG });
  const id = newMessageId(clock.nowMs());
  const { status } = pair.provider.parts;
  const refresh = status.refresh.bind(status);
  let goOn = () => {};
  const arrived = new Promise<void>((resolve) => {
    status.refresh = async (uri) => {
      resolve();
      await new Promise<void>((go) => {
        goOn = go;
      });
      return refresh(uri);
    };
  });
  const about = (person: string, over: object) => ({ path: `/residents/${person}`, fields: ['/name'], ...over });
  const [first, second] = [
    await messageOf(pair, id, about('~subject', { receipt })),
    await messageOf(pair, id, about(LEI, {})),
  ];
  const slow = deliver(pair, first);
  await arrived;
  t.equal(await deliver(pair, second), 'answered');
  goOn();
  t.equal(await slow, 'answered');
  const codes = entries(pair.provider, id).map(({ kind, code }) => `${kind} ${code}`);
  t.same(codes.slice(0, 2), ['response-sent OK', 'refusal-sent MESSAGE_REPLAYED']);
  t.match((await whoLooked(pair, clock, FANG)).accesses, [{ exchange: id, outcome: 'answered', items: ['gx.name@1'] }]);
  t.same((await whoLooked(pair, clock, LEI)).accesses, [], 'nothing was done about the other');
});

t.test('nothing is answered that could not be noted, and what is old is forgotten', async (t) => {
  const { pair, clock, timers } = await openWorld(t);
  const seen = await lookup(pair, FANG);
  const { accesses } = pair.provider.parts;
  accesses.close();
  for (const over of [{}, { fields: ['gx.income@1'] }, { path: '/others' }]) {
    const { json } = await lookup(pair, FANG, over);
    const isNoted = !('path' in over);
    t.notMatch(JSON.stringify(json), '王芳');
    t.equal(json.outcome, isNoted ? 'unknown' : 'refused', 'also no refusal of a request about a person');
    t.equal(
      entries(pair.provider, json.id).some(({ kind }) => kind !== 'request-received'),
      !isNoted,
    );
  }
  await pair.provider.close(500);
  await pair.reopen('provider');
  const { accesses: rows } = await whoLooked(pair, clock, FANG);
  t.match(rows, [{ exchange: seen.json.id, outcome: 'answered' }], 'what was answered is there after the restart');
  t.equal(rows.length, 1);
  const { link } = pair.consumer.parts;
  let frame: Buffer = Buffer.alloc(0);
  const send: typeof link.send = async (peer, message, timeoutMs) => {
    frame = await recorded(pair, peer, message);
    return link.send(peer, message, timeoutMs);
  };
  pair.consumer.parts.link = { ...link, send };
  // An answer that was never made: the row stands, and says so.
  const { append } = pair.provider.parts.log;
  pair.provider.parts.log.append = (record) =>
    record.kind === 'response-sent'
      ? Promise.reject(new TypeError('no disk'))
      : append.call(pair.provider.parts.log, record);
  const lost = await lookup(pair, FANG);
  pair.consumer.parts.link = link;
  pair.provider.parts.log.append = append.bind(pair.provider.parts.log);
  t.equal(await deliver(pair, frame), 'answered', 'a replay of it is refused, and that is not its answer');
  t.match(entries(pair.provider, lost.json.id)[0], { kind: 'refusal-sent', code: 'MESSAGE_REPLAYED' });
  const [row] = (await whoLooked(pair, clock, FANG)).accesses.filter(({ isOwn }) => !isOwn);
  t.match(row, { exchange: lost.json.id, outcome: 'under-way', code: null, items: [] });

  const bytes = ['accesses.db', 'accesses.db-wal'].map((name) => readFileSync(join(pair.folder, 'provider', name)));
  for (const told of [FANG, 'GET /residents', CLIENT, 'gx.name'])
    t.notOk(
      bytes.some((one) => one.includes(told)),
      `the file does not tell ${told}`,
    );
  clock.aheadMs += ACCESS_KEPT_DAYS * DAY_MS - 60_000;
  timers.tick(HOUR_MS);
  const window = { provider: 'DEV/GOV/2002/provider', fromMs: 0, untilMs: Number.MAX_SAFE_INTEGER };
  const tag = pair.provider.parts.subjectTag({ scheme: 'gx.id@1', value: FANG });
  const kept = () => pair.provider.parts.accesses.page({ ...window, tag }, clock.nowMs(), 100).length;
  t.equal(kept(), 4, 'kept for three years');
  clock.aheadMs += 120_000;
  timers.tick(HOUR_MS);
  for (let wait = 0; kept() > 0 && wait < 2_000; wait += 1) await new Promise((done) => setTimeout(done, 10));
  t.equal(kept(), 0, 'then forgotten');
});

t.test('many of them are shown in pages that fit, the newest first', async (t) => {
  const { pair, clock } = await openWorld(t);
  const { accesses, subjectTag } = pair.provider.parts;
  const tag = subjectTag({ scheme: 'gx.id@1', value: FANG });
  const nowMs = clock.nowMs();
  const asked = Array.from({ length: 200 }, (_, n) => `gx.element_with_a_name_that_is_long_${n}@1`);
  const facts = {
    client: CLIENT,
    service: SERVICE,
    operation: null,
    purpose: null,
    basis: 'open' as const,
    issue: null,
  };
  const nothing = { unit: null, emergency: null, receipt: null, issuer: null, isOwn: false };
  const about = { ...facts, ...nothing, peer: pair.consumer.id, tag, provider: 'DEV/GOV/2002/provider' };
  const count = MAX_ACCESSES + 30;
  const note = (n: number, over: object) => {
    const atMs = nowMs - 10_000 - n;
    return accesses.note({
      ...about,
      retention: 'standard',
      asked: [],
      exchange: newMessageId(atMs),
      atMs,
      visibleFromMs: atMs,
      ...over,
    });
  };
  await Promise.all(Array.from({ length: count }, (_, n) => note(n, n === 3 ? { visibleFromMs: nowMs + DAY_MS } : {})));
  const first = await whoLooked(pair, clock, FANG);
  t.match([first.accesses.length, first.hasMore], [MAX_ACCESSES, true]);
  t.ok(first.accesses.every(({ outcome }) => outcome === 'under-way'));
  const last = first.accesses.at(-1);
  const rest = await whoLooked(pair, clock, FANG, { untilMs: last?.atMs });
  t.match([rest.accesses.length, rest.hasMore], [count - MAX_ACCESSES, false], 'the hidden one is not even counted');
  await Promise.all(Array.from({ length: 60 }, (_, n) => note(n, { asked, exchange: newMessageId(1), atMs: n })));
  const long = await whoLooked(pair, clock, FANG, { untilMs: 1_000 });
  t.ok(long.hasMore && long.accesses.length > 10 && long.accesses.length < 60, `${long.accesses.length} fit`);
});
