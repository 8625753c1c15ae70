// Law and emergency over real servers: tokens of officials that the asking department's own server cannot make, good once
// and for one request; emergencies by two people, for some hours, purposes, services and persons. Whatever is wrong with a
// token is told alike.
import fc from 'fast-check';
import t from 'tap';
import { signCompact } from '#certs/jws.ts';
import { type EmergencyEvidence, EVIDENCE_TYP } from '#schemas/evidence.ts';
import { CLIENT, SERVICE } from '#scripts/campaign/pair.ts';
import { LI, officialOf, WANG, ZHAO } from '#test/certs/evidence-cases.ts';
import { testKey } from '#test/certs/receipt-cases.ts';
import { auditBoth, entries, post } from './asking.ts';
import { CLIENT2, LOOKUP, type Over, openDesk, SERVICE2 } from './official-desk.ts';

const DAY_MS = 86_400_000;
const stranger = testKey();
const day = (atMs: number) => new Date(atMs).toISOString().slice(0, 10);

t.test('a token is for one request, member by member', async (t) => {
  const { pair, ask, token, clock } = await openDesk(t);
  const base = { method: 'POST', query: 'lang=en', body: { why: 'x' } };
  const rows: [string, Over][] = [
    ['method', { method: 'PUT' }],
    ['path', { path: '/residents/8' }],
    ['query', { query: 'lang=zh' }],
    ['no query', { query: undefined }],
    ['fields', { fields: ['/name', '/birthDate'] }],
    ['partial', { partial: true }],
    ['day', { asOf: '2025-01-01' }],
    ['delay', { hiddenUntil: day(clock.nowMs() + DAY_MS) }],
    ['body', { body: { why: 'y' } }],
    ['no body', { body: undefined }],
    ['service', { service: SERVICE2 }],
    ['purpose', { purpose: 'other-aid' }],
    ['client', { client: CLIENT2 }],
    ['case', { issue: 'AB-13' }],
  ];
  for (const [name, over] of rows) {
    const evidence = [await token(base)];
    const { status, json } = await ask({ ...base, ...over, evidence });
    t.same([status, json.code, json['detail']], [403, 'EVIDENCE_REFUSED', undefined], name);
    const { client: iss = CLIENT, issue = 'AB-12' } = over as { client?: string; issue?: string };
    const own = [await token({ ...base, ...over }, { iss, issue })];
    t.equal((await ask({ ...base, ...over, evidence: own })).json.code, 'OK', `${name}, with a token of its own`);
    t.equal((await ask({ ...base, evidence })).json.code, 'OK', `${name}: the first was not spent`);
  }
  t.equal(pair.backend.seen.length, 2 * rows.length, 'the backend saw what was allowed');
  const found = { service: undefined, path: undefined, fields: undefined, elements: ['gx.name@1'] };
  const byElements = { ...found, service: SERVICE, subject: { scheme: 'gx.id@1', value: '7' } };
  t.equal((await ask({ ...byElements, evidence: [await token(byElements)] })).json.code, 'OK', 'found by its elements');
  await auditBoth(t, pair);
});

t.test('whatever is wrong with a token is told alike, and nothing is spent', async (t) => {
  const { pair, ask, token, clock, key } = await openDesk(t);
  const nowS = () => Math.floor(clock.nowMs() / 1000);
  const claims = officialOf(CLIENT, 'A'.repeat(43), 'AB-12', clock.nowMs());
  const raw = (typ: string, over = {}) =>
    signCompact(
      Buffer.from(JSON.stringify({ ...claims, ...over })),
      { typ, kid: key.kid },
      { alg: 'ES256', key: key.privateKey },
    );
  const { json } = await post(pair, '/lookups/digest', LOOKUP);
  const request = json['request'];
  const good = await token();
  const rows: [string, readonly string[], Over?][] = [
    ['forged', [await token({}, {}, { ...stranger, kid: key.kid })]],
    ['a foreign key', [await token({}, {}, stranger)]],
    ['another kind', [raw(EVIDENCE_TYP.review, { request })]],
    ['an emergency’s half', [raw(EVIDENCE_TYP.emergency, { request })]],
    ['longer than ten minutes', [raw(EVIDENCE_TYP.official, { request, exp: claims.iat + 601 })]],
    ['another request', [await token({}, { request: 'A'.repeat(43) })]],
    ['another department', [await token({}, { iss: CLIENT2 })]],
    ['another case', [await token({}, { issue: 'AB-13' })]],
    ['another official', [await token({}, { official: ZHAO })]],
    ['for another official', [good], { userId: ZHAO.id }],
    ['over', [await token({}, { iat: nowS() - 330, exp: nowS() - 30 })]],
    ['not yet', [await token({}, { iat: nowS() + 33, exp: nowS() + 300 })]],
    ['two', [good, await token()]],
    ['an emergency', [raw(EVIDENCE_TYP.emergency), raw(EVIDENCE_TYP.emergency, { v: 1, jti: undefined })]],
  ];
  const told = new Set<string>();
  for (const [name, evidence, over = {}] of rows) {
    const answer = await ask({ ...over, evidence });
    t.match([answer.status, answer.json.code], [403, 'EVIDENCE_REFUSED'], name);
    told.add(JSON.stringify([answer.json['detail'], answer.json['title'], answer.json['next']]));
  }
  const places = fc.tuple(fc.nat(good.length - 1), fc.constantFrom(...'AZaz09-_'));
  for (const [at, character] of fc.sample(places, 30)) {
    if (good[at] === character || good[at] === '.') continue;
    const changed = good.slice(0, at) + character + good.slice(at + 1);
    const answer = await ask({ evidence: [changed] });
    if (answer.json.code !== 'EVIDENCE_REFUSED') t.fail(`${at} ${character}: ${answer.json.code}`);
    told.add(JSON.stringify([answer.json['detail'], answer.json['title'], answer.json['next']]));
  }
  t.equal(told.size, 1, 'nothing says why');
  const others: [string, Over, string][] = [
    ['none', {}, 'EVIDENCE_REQUIRED'],
    ['nobody asks', { userId: undefined, evidence: [good] }, 'OFFICIAL_REQUIRED'],
    ['no case', { issue: undefined, evidence: [good] }, 'CASE_NUMBER_REQUIRED'],
    ['a case of another form', { issue: 'A-123', evidence: [good] }, 'CASE_NUMBER_REQUIRED'],
    ['no token at all', { evidence: ['x'] }, 'SCHEMA_MISMATCH'],
    ['a token on another basis', { basis: 'open', evidence: [good] }, 'SCHEMA_MISMATCH'],
    ['a token as an emergency', { basis: 'emergency', evidence: [good] }, 'EVIDENCE_REFUSED'],
  ];
  for (const [name, over, code] of others) t.equal((await ask(over)).json.code, code, name);
  t.equal(pair.backend.seen.length, 0);
  const late = await token({}, { iat: nowS() - 310, exp: nowS() - 10 });
  const early = await token({}, { iat: nowS() + 25, exp: nowS() + 300 });
  for (const evidence of [[late], [early], [good]]) t.equal((await ask({ evidence })).json.code, 'OK', 'in its time');
  pair.configuration.distrusted.add(key.kid);
  t.equal(
    (await ask({ evidence: [await token()] })).json.code,
    'EVIDENCE_REFUSED',
    'a key that is not trusted any more',
  );
  pair.configuration.distrusted.clear();
  pair.configuration.officials.clear();
  t.equal((await ask({ evidence: [await token()] })).json.code, 'EVIDENCE_REFUSED', 'no keys');
});

t.test('once: after another, side by side, over a restart; and only what ran', async (t) => {
  const { pair, ask, token, clock, key } = await openDesk(t);
  const code = async (evidence: string[], over: Over = {}) => (await ask({ ...over, evidence })).json.code;
  const first = [await token()];
  const effective = await post(pair, '/lookups/effective-access', { ...LOOKUP, evidence: first });
  t.match(effective.json, { allowed: true, code: 'OK' }, 'what one would get spends nothing');
  t.equal(await code(first), 'OK');
  t.equal(await code(first), 'EVIDENCE_USED');
  const asked = await post(pair, '/lookups/effective-access', { ...LOOKUP, evidence: first });
  t.match(asked.json, { allowed: false, code: 'EVIDENCE_USED' });
  const body = { method: 'POST', body: { long: 'x'.repeat(2000) } };
  const withBody = { ...LOOKUP, ...body, evidence: [await token(body)] };
  t.match(
    (await post(pair, '/lookups/effective-access', withBody)).json,
    { allowed: true },
    'with what it is bound to',
  );
  const second = [await token()];
  const codes = await Promise.all([code(second), code(second), code(second), code(second)]);
  t.same(codes.sort(), ['EVIDENCE_USED', 'EVIDENCE_USED', 'EVIDENCE_USED', 'OK']);
  const third = [await token()];
  const service = pair.provider.parts.state.service(SERVICE)!;
  pair.provider.parts.state.putService({ ...service, enabled: false });
  t.equal(await code(third), 'SERVICE_DISABLED');
  pair.provider.parts.state.putService(service);
  const busy = pair.provider.parts.admission.enter;
  pair.provider.parts.admission.enter = (kind, ...rest) => {
    if (kind === 'service') throw new TypeError('no place');
    return busy.call(pair.provider.parts.admission, kind, ...rest);
  };
  t.equal(await code(third), 'SERVER_BUSY');
  pair.provider.parts.admission.enter = busy;
  await pair.provider.close(1_000);
  await pair.reopen('provider');
  pair.configuration.register('DEV/GOV/1001/ss1', pair.consumer.urls.peer, [CLIENT, CLIENT2], pair.identities.consumer);
  t.equal(await code(second), 'EVIDENCE_USED', 'after a restart');
  t.equal(await code(third), 'OK', 'a refusal, or no place, spent nothing');
  const { state } = pair.provider.parts;
  const { jti, exp } = JSON.parse(Buffer.from(third[0]!.split('.')[1]!, 'base64url').toString());
  state.forgetEvidence(exp);
  t.ok(state.evidenceUsed(CLIENT, jti), 'kept while it counts');
  t.notOk(state.evidenceUsed(CLIENT2, jti), 'another department has its own');
  state.forgetEvidence(exp + 1);
  t.notOk(state.evidenceUsed(CLIENT, jti));
  clock.aheadMs -= 200_000;
  const back = [
    await token({}, { iat: Math.floor(clock.nowMs() / 1000) - 400, exp: Math.floor(clock.nowMs() / 1000) + 100 }, key),
  ];
  t.not(await code(back), 'OK', 'a clock that was set back brings nothing back');
  await auditBoth(t, pair);
});

t.test('where the right says so, the word of the server is enough', async (t) => {
  const { pair, ask, token } = await openDesk(t);
  const { state } = pair.provider.parts;
  const [right] = state.rightsFor([CLIENT], SERVICE);
  state.putRight({ ...right!, evidence: 'server' });
  t.equal((await ask({})).json.code, 'OK');
  t.equal((await ask({ evidence: [await token({}, {}, stranger)] })).json.code, 'EVIDENCE_REFUSED', 'not a false word');
  const evidence = [await token()];
  t.equal((await ask({ evidence })).json.code, 'OK');
  t.equal((await ask({ evidence })).json.code, 'EVIDENCE_USED');
  t.equal((await ask({ userId: undefined })).json.code, 'OFFICIAL_REQUIRED');
});

t.test('a delay within the right, and a department that is locked', async (t) => {
  const { pair, ask, token, clock } = await openDesk(t);
  const asked = async (hiddenUntil: string) => {
    return (await ask({ hiddenUntil, evidence: [await token({ hiddenUntil })] })).json;
  };
  const at = (days: number) => day(clock.nowMs() + days * DAY_MS);
  const rows: [string, string, string][] = [
    ['today', at(0), 'OK'],
    ['the last day', at(10), 'OK'],
    ['a day more', at(11), 'SECRECY_NOT_ALLOWED'],
    ['yesterday', at(-1), 'SECRECY_NOT_ALLOWED'],
    ['never', '9999-12-31', 'SECRECY_NOT_ALLOWED'],
  ];
  for (const [name, until, code] of rows) t.equal((await asked(until)).code, code, name);
  pair.configuration.locks.set(CLIENT, '01a204d3-d92d-76c6-a8d9-5c061059a871');
  for (const basis of ['law', 'open', 'emergency', 'consent'] as const) {
    const { code, detail } = (await ask({ basis })).json;
    t.same([code, detail], ['REVIEW_OVERDUE', '01a204d3-d92d-76c6-a8d9-5c061059a871'], basis);
  }
  pair.configuration.locks.clear();
  t.equal((await ask({ evidence: [await token()] })).json.code, 'OK');
});

t.test('an emergency: who, for what, when, at which service', async (t) => {
  const desk = await openDesk(t);
  const { pair, clock, key, pairOf } = desk;
  const ask = (evidence: readonly string[], over: Over = {}) =>
    desk.ask({ basis: 'emergency', issue: undefined, evidence, ...over });
  const nowS = Math.floor(clock.nowMs() / 1000);
  const at = (nbf: number, exp = nbf + 7200) => pairOf({ nbf, exp, iat: nbf }, { iat: nbf + 60 });
  const second = (change: Partial<EmergencyEvidence>) => pairOf({}, change);
  const [half, other] = pairOf();
  const rows: [string, string, readonly string[], Over?][] = [
    ['one token', 'EVIDENCE_REFUSED', [half]],
    ['halves of two emergencies', 'EVIDENCE_REFUSED', [half, pairOf()[1]]],
    ['the same person', 'EVIDENCE_REFUSED', second({ official: { ...LI, id: WANG.id } })],
    [
      'the same unit in another spelling',
      'EVIDENCE_REFUSED',
      second({ official: { ...LI, unit: ' POPULATION  office' } }),
    ],
    ['other terms', 'EVIDENCE_REFUSED', second({ persons: 50 })],
    ['a foreign key', 'EVIDENCE_REFUSED', pairOf({}, {}, { confirms: stranger })],
    ['of another department', 'EVIDENCE_REFUSED', pairOf({ iss: CLIENT2 }), {}],
    ['at another department', 'EVIDENCE_REFUSED', [half, other], { client: CLIENT2 }],
    ['a third person asks', 'EVIDENCE_REFUSED', [half, other], { userId: ZHAO.id }],
    ['another purpose', 'EVIDENCE_REFUSED', [half, other], { purpose: 'other-aid' }],
    ['another service', 'EVIDENCE_REFUSED', [half, other], { service: SERVICE2 }],
    ['nobody asks', 'OFFICIAL_REQUIRED', [half, other], { userId: undefined }],
    ['none', 'EMERGENCY_REQUIRED', []],
    ['delayed', 'SECRECY_NOT_ALLOWED', [half, other], { hiddenUntil: day(clock.nowMs()) }],
    ['beyond the right', 'FIELDS_NOT_PERMITTED', [half, other], { fields: ['gx.pred.age_ge_18@1'] }],
    ['about nobody', 'SUBJECT_MISSING', [half, other], { path: '/newest' }],
    ['before', 'EMERGENCY_ENDED', at(nowS + 60)],
    ['after two hours', 'EMERGENCY_ENDED', at(nowS - 7200)],
    ['after its own end', 'EMERGENCY_ENDED', at(nowS - 600, nowS - 1)],
    ['the last minute', 'OK', at(nowS - 7140)],
    ['the other one asks', 'OK', [other, half], { userId: LI.id }],
  ];
  const told = new Map<string, Set<string>>();
  for (const [name, code, evidence, over = {}] of rows) {
    const { json } = await ask(evidence, over);
    t.equal(json.code, code, name);
    if (code === 'EVIDENCE_REFUSED') {
      told.set(code, (told.get(code) ?? new Set()).add(JSON.stringify([json['detail'], json['title'], json['next']])));
    }
  }
  t.equal(told.get('EVIDENCE_REFUSED')?.size, 1, 'alike');
  const lastly = await ask([half, other]);
  t.equal(lastly.json.code, 'OK');
  const [record] = pair.provider.parts.log
    .find(null, lastly.json.id)
    .filter(({ entry }) => entry.kind === 'response-sent');
  const archived = pair.provider.parts.log.readSealed(record!.seq)!.decisionInputs!.toString();
  t.match(JSON.parse(archived).inputs.evidence, {
    given: 2,
    emergency: {
      officials: [{ id: WANG.id, unit: WANG.unit }, { id: LI.id }],
      reason: /Flood/,
      persons: 2,
      otherPersons: 0,
    },
  });
  t.notMatch(archived, WANG.name, 'names stay with the tokens');
  for (const server of [pair.consumer, pair.provider]) {
    const [request] = server.parts.log
      .find(null, lastly.json.id)
      .filter(({ entry }) => entry.kind.startsWith('request'));
    t.match(server.parts.log.readSealed(request!.seq)!.context!.toString(), half, 'both logs keep the tokens, sealed');
    t.equal(entries(server, lastly.json.id).length, 2);
  }
  t.ok(key.kid);
  await auditBoth(t, pair);
});

t.test('an emergency is for so many persons, side by side and over a restart', async (t) => {
  const desk = await openDesk(t);
  const { pair, pairOf } = desk;
  const ask = async (evidence: readonly string[], person: number, over: Over = {}) =>
    (await desk.ask({ basis: 'emergency', evidence, path: `/residents/${person}`, ...over })).json.code;
  const first = pairOf();
  const { state } = pair.provider.parts;
  const service = state.service(SERVICE)!;
  state.putService({ ...service, enabled: false });
  for (const person of [1, 2, 3]) t.equal(await ask(first, person), 'SERVICE_DISABLED');
  state.putService(service);
  const codes = [];
  for (const person of [7, 8, 7, 9, 8, 10]) codes.push(await ask(first, person));
  const spent = 'EMERGENCY_PERSONS_SPENT';
  t.same(codes, ['OK', 'OK', 'OK', spent, 'OK', spent], 'refusals are not counted, nor the same person twice');
  const second = pairOf();
  const beside = await Promise.all([1, 2, 3, 4].map((person) => ask(second, person)));
  t.same(beside.sort(), [spent, spent, 'OK', 'OK']);
  await pair.provider.close(1_000);
  await pair.reopen('provider');
  t.equal(await ask(first, 9), spent, 'after a restart');
  t.equal(await ask(first, 8), 'OK');
  t.equal(await ask(pairOf(), 9), 'OK', 'another emergency');
});
