// A department whose officials sign, in front of a pair of real servers: two purposes, two bound services, two clients, and
// tokens for whatever the test says.
import { createHash } from 'node:crypto';
import type { Test } from 'tap';
import { signEmergencyEvidence, signOfficialEvidence } from '#certs/evidence.ts';
import type { EmergencyEvidence, OfficialEvidence } from '#schemas/evidence.ts';
import { type Purpose, purposeText } from '#schemas/purpose.ts';
import { accessRight, CLIENT, CONSUMER, openPair, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import { emergencyOf, officialOf, WANG } from '#test/certs/evidence-cases.ts';
import { type TestKey, testKey } from '#test/certs/receipt-cases.ts';
import { type Asked, post } from './asking.ts';
import { DOCUMENT, ENTRIES, tableOf } from './bound-service.ts';
import { MovingClock } from './moving-clock.ts';

export const CLIENT2 = 'DEV/GOV/1001/other';
export const SERVICE2 = `${SERVICE}2`;

const purpose = (id: string): Purpose => ({
  id,
  version: 1,
  title: { zh: '救助', en: 'Rescue' },
  text: { zh: '寻找需要帮助的人。', en: 'To find who needs help.' },
  bases: ['law', 'emergency'],
  elements: ['gx.name@1', 'gx.birth_date@1', 'gx.pred.age_ge_18@1'],
  retentionDays: 30,
  quotaPerDay: null,
  from: '2020-01-01',
  until: null,
});
export const PURPOSES = [purpose('other-aid'), purpose('rescue')];
const hashOf = (one: Purpose) => createHash('sha256').update(purposeText(one)).digest('base64url');
const pins = Object.fromEntries(PURPOSES.map((one) => [one.id, hashOf(one)]));

/** Both methods with a body, and an operation about nobody. */
function document(): object {
  const { get } = DOCUMENT.paths['/residents/{id}'];
  const requestBody = { content: { 'application/json': { schema: { type: 'object' } } } };
  const [, on] = get.parameters;
  const written = { ...get, requestBody };
  const newest = { ...get, parameters: [on] };
  return {
    ...DOCUMENT,
    paths: { '/residents/{id}': { get, post: written, put: written }, '/newest': { get: newest } },
  };
}

/** What every look-up begins with. */
export const LOOKUP = {
  client: CLIENT,
  service: SERVICE,
  path: '/residents/7',
  fields: ['/name'],
  purpose: 'rescue',
  basis: 'law' as const,
  userId: WANG.id,
  issue: 'AB-12',
};
export type Over = Record<string, unknown>;

export interface Desk {
  pair: Pair;
  clock: MovingClock;
  /** Registered for CLIENT and CLIENT2. */
  key: TestKey;
  ask(over: Over): Promise<Asked>;
  /** A token for exactly this look-up, by the digest that the own server computes. */
  token(over?: Over, claims?: Partial<OfficialEvidence>, key?: TestKey): Promise<string>;
  /** Both tokens of an emergency. */
  pairOf(
    opens?: Partial<EmergencyEvidence>,
    confirms?: Partial<EmergencyEvidence>,
    keys?: { opens?: TestKey; confirms?: TestKey },
  ): [string, string];
  close(): Promise<void>;
}

export async function openDesk(t: Test): Promise<Desk> {
  const clock = new MovingClock();
  const right = {
    bases: ['law' as const, 'emergency' as const],
    purposes: Object.keys(pins),
    pins,
    elements: ['gx.name@1', 'gx.birth_date@1'],
    statute: 'Rescue Act, section 1',
    casePattern: 'AA-##',
    evidence: 'official' as const,
    secrecyDays: 10,
  };
  const pair = await openPair({ clock, right: accessRight(right) });
  t.teardown(() => pair.close());
  const { configuration, provider, consumer, identities, backend } = pair;
  const [ids, key] = [[CLIENT, CLIENT2], testKey()];
  configuration.purposes = PURPOSES;
  configuration.dictionary = { release: '1.0.0', entries: ENTRIES };
  configuration.register(CONSUMER, consumer.urls.peer, ids, identities.consumer);
  for (const id of ids) configuration.officials.set(id, [{ kid: key.kid, jwk: key.jwk }]);
  const table = tableOf(document());
  const registered = configuration.services.get(SERVICE);
  const local = provider.parts.state.service(SERVICE);
  if (registered === undefined || local === null) throw new TypeError('the pair has no service');
  configuration.services.set(SERVICE2, { ...registered, id: SERVICE2 });
  provider.parts.state.putService({ ...local, id: SERVICE2 });
  for (const service of [SERVICE, SERVICE2]) configuration.bind({ ...table, service });
  const rights = [
    { client: CLIENT2, service: SERVICE },
    { client: CLIENT, service: SERVICE2 },
  ];
  for (const [at, one] of rights.entries()) {
    provider.parts.state.putRight(accessRight({ ...right, ...one, id: `00000000-0000-4000-8000-00000000010${at}` }));
  }
  backend.answer = (_request, _body, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ name: '王芳', birthDate: '1990-02-03' }));
  };
  return {
    pair,
    clock,
    key,
    ask: (over) => post(pair, '/lookups', { ...LOOKUP, ...over }),
    async token(over = {}, claims = {}, by = key) {
      const { json } = await post(pair, '/lookups/digest', { ...LOOKUP, ...over });
      const request = json['request'];
      if (typeof request !== 'string') throw new TypeError(JSON.stringify(json));
      return signOfficialEvidence({ ...officialOf(CLIENT, request, 'AB-12', clock.nowMs()), ...claims }, by);
    },
    pairOf(opens = {}, confirms = {}, keys = {}) {
      const terms = { purpose: 'rescue', services: [SERVICE] };
      const [first, second] = emergencyOf(CLIENT, terms, clock.nowMs() - 61_000);
      return [
        signEmergencyEvidence({ ...first, ...opens }, keys.opens ?? key),
        signEmergencyEvidence(
          { ...second, emergency: first.emergency, ...opens, role: 'confirms', official: second.official, ...confirms },
          keys.confirms ?? key,
        ),
      ];
    },
    close: () => pair.close(),
  };
}
