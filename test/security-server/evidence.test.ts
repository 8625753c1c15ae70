// Law over real servers: tokens of officials that the asking department's own server cannot make, good once and for one
// request. Whatever is wrong with a token is told alike. The tests share two servers and leave them as they were.
import fc from 'fast-check';
import t from 'tap';
import { signCompact } from '#certs/jws.ts';
import { EVIDENCE_TYP } from '#schemas/evidence.ts';
import { CLIENT, SERVICE } from '#scripts/campaign/pair.ts';
import { officialOf, ZHAO } from '#test/certs/evidence-cases.ts';
import { testKey } from '#test/certs/receipt-cases.ts';
import { auditBoth, post } from './asking.ts';
import { CLIENT2, LOOKUP, type Over, openDesk, SERVICE2 } from './official-desk.ts';

const DAY_MS = 86_400_000;
const desk = await openDesk(t);
const stranger = testKey();
const day = (atMs: number) => new Date(atMs).toISOString().slice(0, 10);

t.test('a token is for one request, member by member', async (t) => {
  const { pair, ask, token, clock } = desk;
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
  const { pair, ask, token, clock, key } = desk;
  const before = pair.backend.seen.length;
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
  t.equal(pair.backend.seen.length, before);
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
  const registered = pair.configuration.officials.get(CLIENT);
  pair.configuration.officials.delete(CLIENT);
  t.equal((await ask({ evidence: [await token()] })).json.code, 'EVIDENCE_REFUSED', 'no keys');
  pair.configuration.officials.set(CLIENT, registered!);
});

t.test('where the right says so, the word of the server is enough', async (t) => {
  const { pair, ask, token } = desk;
  const { state } = pair.provider.parts;
  const [right] = state.rightsFor([CLIENT], SERVICE);
  state.putRight({ ...right!, evidence: 'server' });
  t.equal((await ask({})).json.code, 'OK');
  t.equal((await ask({ evidence: [await token({}, {}, stranger)] })).json.code, 'EVIDENCE_REFUSED', 'not a false word');
  const evidence = [await token()];
  t.equal((await ask({ evidence })).json.code, 'OK');
  t.equal((await ask({ evidence })).json.code, 'EVIDENCE_USED');
  t.equal((await ask({ userId: undefined })).json.code, 'OFFICIAL_REQUIRED');
  state.putRight(right!);
});

t.test('a delay within the right, and a department that is locked', async (t) => {
  const { pair, ask, token, clock } = desk;
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

t.test('once: after another, side by side, over a restart; and only what ran', async (t) => {
  const { pair, ask, token, clock, key } = desk;
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
