// Emergencies over real servers: two people of two units, for some hours, for a purpose, services and so many persons.
// What is wrong with their tokens is told alike. The tests share two servers.
import t from 'tap';
import type { EmergencyEvidence } from '#schemas/evidence.ts';
import { SERVICE } from '#scripts/campaign/pair.ts';
import { LI, WANG, ZHAO } from '#test/certs/evidence-cases.ts';
import { testKey } from '#test/certs/receipt-cases.ts';
import { auditBoth, entries } from './asking.ts';
import { CLIENT2, type Over, openDesk, SERVICE2 } from './official-desk.ts';

const desk = await openDesk(t);
const stranger = testKey();
const day = (atMs: number) => new Date(atMs).toISOString().slice(0, 10);

t.test('an emergency: who, for what, when, at which service', async (t) => {
  const { pair, clock, pairOf } = desk;
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
  await auditBoth(t, pair);
});

t.test('an emergency is for so many persons, side by side and over a restart', async (t) => {
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
