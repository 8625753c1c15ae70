// A provider with a bound service, a consent service and an identity provider, and requests on every basis: the world in
// which the tests ask who looked.
import { createHash } from 'node:crypto';
import type { Test } from 'tap';
import { type Purpose, purposeText } from '#schemas/purpose.ts';
import { accessRight, CLIENT, openPair, type Pair, SERVICE } from '#scripts/campaign/pair.ts';
import { post } from './asking.ts';
import { ENTRIES, tableOf } from './bound-service.ts';
import { CARRIER, registerIdentityProvider } from './citizen.ts';
import { PURPOSE as CONSENT_PURPOSE, type ConsentGiver, openConsentGiver } from './consent-giver.ts';
import { MovingClock, Timers } from './moving-clock.ts';

export const FANG = '460102199001010011';
export const LEI = '460102198505052222';
export const AGE = 'gx.pred.age_ge_18@1';
const BASES = ['consent', 'law', 'emergency'] as const;
export const PURPOSE: Purpose = { ...CONSENT_PURPOSE, bases: [...BASES] };
const HASH = createHash('sha256').update(purposeText(PURPOSE)).digest('base64url');
export const FOR = { purpose: { id: PURPOSE.id, version: PURPOSE.version, hash: HASH } };
export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

export interface World {
  pair: Pair;
  giver: ConsentGiver;
  clock: MovingClock;
  timers: Timers;
}

export async function openWorld(t: Test, secrecyDays: number | null = null): Promise<World> {
  const clock = new MovingClock();
  const timers = new Timers();
  const elements = ['gx.name@1', 'gx.birth_date@1', AGE];
  const pair = await openPair({ clock, right: accessRight({ elements }), provider: { every: timers.every } });
  pair.provider.parts.state.putRight(
    accessRight({
      id: '00000000-0000-4000-8000-000000000002',
      bases: [...BASES],
      purposes: [PURPOSE.id],
      pins: { [PURPOSE.id]: HASH },
      statute: 'Residents Act § 7',
      secrecyDays,
      elements,
    }),
  );
  const giver = await openConsentGiver(pair, clock);
  t.teardown(() => giver.close());
  t.teardown(() => pair.close());
  const { configuration } = pair;
  configuration.purposes = [PURPOSE];
  configuration.dictionary = { release: '1.0.0', entries: ENTRIES };
  configuration.bind(tableOf());
  configuration.register(pair.consumer.id, pair.consumer.urls.peer, [CLIENT, CARRIER], pair.identities.consumer);
  registerIdentityProvider(pair);
  pair.backend.answer = (request, _body, response) => {
    if (request.url?.includes('nobody')) {
      response.writeHead(404, { 'content-type': 'application/problem+json' });
      return void response.end('{"code":"NO_SUCH_RESIDENT","status":404}');
    }
    if (request.url?.includes('broken')) return void response.destroy();
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ name: '王芳', birthDate: '1990-02-03' }));
  };
  return { pair, giver, clock, timers };
}

export const lookup = (pair: Pair, person: string, over: object = {}) =>
  post(pair, '/lookups', {
    client: CLIENT,
    service: SERVICE,
    path: `/residents/${person}`,
    fields: ['/name'],
    ...over,
  });

export const numberOf = (receipt: string): string =>
  JSON.parse(Buffer.from(receipt.split('.')[1] ?? '', 'base64url').toString('utf8')).jti;
export const law = { basis: 'law', purpose: PURPOSE.id, userId: 'clerk-7', issue: 'YB-2026-1' };
