// What the global configuration says of consent: purposes by the day they are in force, consent services without keys that
// nobody trusts, identity providers, the servers' subject keys; and that nothing ambiguous is taken.
import fc from 'fast-check';
import t from 'tap';
import { exportPublicJwk, generateKeys, thumbprint } from '#certs/keys.ts';
import { changesBetween } from '#core/configuration/changes.ts';
import { consentFiles, consentLookups, purposeHashOf } from '#core/configuration/consent-parts.ts';
import { partsOf, readPart } from '#core/configuration/parts.ts';
import { canonicalJson } from '#schemas/canonical-json.ts';
import type { ConsentServiceEntry, IdentityProviderEntry } from '#schemas/configuration.ts';
import type { JsonValue } from '#schemas/json.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { Purpose } from '#schemas/purpose.ts';
import type { EncryptionKey } from '#schemas/registrations.ts';
import { ann, bob, member, setUp } from './configuration-site.ts';

const SERVICE = 'TEST/GOV/1/a';
const ISSUER = 'https://login.example';

function purpose(id: string, version: number, from: string, until: string | null = null): Purpose {
  return {
    id,
    version,
    title: { zh: '补助', en: 'Aid' },
    text: { zh: '用途', en: `Words of version ${version}` },
    bases: ['consent'],
    elements: ['gx.person.name@1'],
    retentionDays: 30,
    quotaPerDay: null,
    from,
    until,
  };
}

type Jwk = EncryptionKey['jwk'];
function newKey(): { kid: string; jwk: Jwk } {
  const key = generateKeys('P-256').publicKey;
  return { kid: thumbprint(key), jwk: exportPublicJwk(key) as Jwk };
}

const ascending = <T extends { kid: string }>(keys: T[]) => keys.toSorted((a, b) => (a.kid < b.kid ? -1 : 1));
const consentService = (subsystem: string, keys = [newKey()]): ConsentServiceEntry => ({
  subsystem,
  keys,
  statusUrl: 'https://consent.example/lists',
  citizenUrl: 'https://consent.example',
});
const identityProvider = (issuer: string, kids = ['one']): IdentityProviderEntry => ({
  issuer,
  clientId: 'accord',
  keys: kids.map((kid) => ({ kid, jwk: newKey().jwk })),
  scheme: 'gx.person.number@1',
  claim: 'sub',
  levels: { 'urn:low': 2, 'urn:high': 4 },
});

t.test('a server holds what was approved', async (t) => {
  const { clock, site, open } = setUp(t);
  const keys = [newKey(), newKey()];
  const [lost] = keys;
  const subjectKey = { ...newKey(), notAfterMs: clock.ms + 1 };
  const one = member('TEST/GOV/1', 0);
  const members = [
    { ...one, servers: one.servers.map((server) => ({ ...server, subjectKeys: [subjectKey] })) },
    member('TEST/GOV/2', 0),
  ];
  site.publish(1, [member('TEST/GOV/1', 0)]);
  const client = await open();
  t.same(client.current().purposes(), []);
  t.equal(client.current().purpose('aid', '2026-01-01'), undefined);
  t.same(client.current().server('TEST/GOV/1/ss1')?.subjectKeys, []);

  const versions = [
    purpose('aid', 1, '2026-01-01'),
    purpose('aid', 2, '2026-06-01'),
    purpose('aid', 3, '2026-12-01', '2026-12-01'),
    purpose('home', 1, '2026-03-01', '2026-04-01'),
  ];
  const more = {
    purposes: versions.toReversed(),
    consentServices: [consentService('TEST/GOV/9/gone'), consentService(SERVICE, keys)],
    identityProviders: [identityProvider(ISSUER, ['b', 'a'])],
  };
  clock.ms += 1;
  site.publish(2, members, [ann, bob], more);
  t.match(await client.refresh(), { outcome: 'updated', version: 2 });
  const held = client.current();
  t.same(held.purposes(), versions);
  const days: [id: string, day: string, version: number | undefined][] = [
    ['aid', '2025-12-31', undefined],
    ['aid', '2026-01-01', 1],
    ['aid', '2026-05-31', 1],
    ['aid', '2026-06-01', 2],
    ['aid', '2026-11-30', 2],
    ['aid', '2026-12-01', undefined],
    ['home', '2026-03-31', 1],
    ['home', '2026-04-01', undefined],
    ['hom', '2026-03-31', undefined],
  ];
  for (const [id, day, version] of days) t.equal(held.purpose(id, day)?.purpose.version, version, `${id} on ${day}`);
  const [first = purpose('x', 1, ''), second = first] = versions;
  t.equal(held.purpose('aid', '2026-02-01')?.hash, purposeHashOf(first));
  t.same(held.purposeByHash(purposeHashOf(second)), second);
  t.equal(held.purposeByHash(purposeHashOf({ ...second, retentionDays: 31 })), undefined);
  t.same(held.consentService(SERVICE)?.keys, ascending(keys));
  t.equal(held.consentService('TEST/GOV/9/gone'), undefined, 'its subsystem is not registered');
  t.equal(held.consentServices().length, 1);
  t.same(
    held.identityProvider(ISSUER)?.keys.map(({ kid }) => kid),
    ['a', 'b'],
  );
  t.equal(held.identityProvider(`${ISSUER}/`), undefined, 'an issuer is compared as it is');
  t.same(held.server('TEST/GOV/1/ss1')?.subjectKeys, [subjectKey]);

  clock.ms += 1;
  site.distrust(lost?.kid ?? '');
  site.distrust(subjectKey.kid, bob);
  await client.refresh();
  t.same(client.current().consentService(SERVICE)?.keys, keys.slice(1), 'a distrusted key signs no receipt');
  t.same(client.current().server('TEST/GOV/1/ss1')?.subjectKeys, []);
  t.equal(client.current().purposes(), held.purposes(), 'the same part is the same list');
  site.distrust(keys[1]?.kid ?? '');
  await client.refresh();
  t.equal(client.current().consentService(SERVICE), undefined, 'without a key it is none');
  t.same(client.current().consentServices(), []);

  await client.close();
  const again = await open([]);
  t.same(again.current().purposes(), versions, 'also after a restart, from the durable copy');
  t.same(again.current().identityProviders(), held.identityProviders());
});

t.test('what is ambiguous or out of form is refused', (t) => {
  const key = newKey();
  const two = ascending([newKey(), newKey()]);
  const purposes = (...list: object[]) => ['purposes', { purposes: list }] as const;
  const consent = (...list: object[]) => ['consent', { services: list }] as const;
  const identity = (...list: object[]) => ['identity', { providers: list }] as const;
  const day = '2026-01-01';
  const good = identityProvider(ISSUER);
  const rsa = exportPublicJwk(generateKeys('RSA-2048').publicKey);
  const cases: [what: string, part: readonly [string, object], code: string][] = [
    ['versions in order', purposes(purpose('a', 1, day), purpose('a', 2, day), purpose('b', 1, day)), 'none'],
    ['a first version that is hidden', purposes(purpose('a', 2, day)), 'CONFIGURATION_INVALID'],
    ['a gap', purposes(purpose('a', 1, day), purpose('a', 3, day)), 'CONFIGURATION_INVALID'],
    ['one version twice', purposes(purpose('a', 1, day), purpose('a', 1, '2026-02-01')), 'CONFIGURATION_INVALID'],
    ['ids out of order', purposes(purpose('b', 1, day), purpose('a', 1, day)), 'CONFIGURATION_INVALID'],
    [
      'an id at two places',
      purposes(purpose('a', 1, day), purpose('b', 1, day), purpose('a', 2, day)),
      'CONFIGURATION_INVALID',
    ],
    ['a member too many', purposes({ ...purpose('a', 1, day), x: 1 }), 'CONFIGURATION_INVALID'],
    ['no elements', purposes({ ...purpose('a', 1, day), elements: [] }), 'CONFIGURATION_INVALID'],
    ['two keys in order', consent(consentService(SERVICE, two)), 'none'],
    ['keys out of order', consent(consentService(SERVICE, two.toReversed())), 'CONFIGURATION_INVALID'],
    ['a key twice', consent(consentService(SERVICE, [key, key])), 'CONFIGURATION_INVALID'],
    ['no key', consent(consentService(SERVICE, [])), 'CONFIGURATION_INVALID'],
    ['five keys', consent(consentService(SERVICE, ascending([1, 2, 3, 4, 5].map(newKey)))), 'CONFIGURATION_INVALID'],
    ['a service twice', consent(consentService(SERVICE), consentService(SERVICE)), 'CONFIGURATION_INVALID'],
    ['another instance', consent(consentService('OTHER/GOV/1/a')), 'CONFIGURATION_INSTANCE'],
    [
      'a slash at the end',
      consent({ ...consentService(SERVICE), statusUrl: 'https://x.example/' }),
      'CONFIGURATION_INVALID',
    ],
    [
      'an RSA key with its algorithm',
      identity({ ...good, keys: [{ kid: 'r', jwk: { ...rsa, alg: 'PS256' } }] }),
      'none',
    ],
    ['an RSA key without', identity({ ...good, keys: [{ kid: 'r', jwk: rsa }] }), 'CONFIGURATION_INVALID'],
    [
      'a private key',
      identity({ ...good, keys: [{ kid: 'r', jwk: { ...key.jwk, d: 'x' } }] }),
      'CONFIGURATION_INVALID',
    ],
    ['an issuer twice', identity(good, identityProvider(ISSUER)), 'CONFIGURATION_INVALID'],
    ['a key name twice', identity(identityProvider(ISSUER, ['a', 'a'])), 'CONFIGURATION_INVALID'],
    ['a level of its own', identity({ ...good, levels: { x: 5 } }), 'CONFIGURATION_INVALID'],
  ];
  for (const [what, [name, value], code] of cases) {
    const read = () => readPart(name, Buffer.from(canonicalJson(value as JsonValue)), 'TEST');
    t.equal(codeOf(read), code, what);
  }
  t.end();
});

t.test('an approver sees every version, service, provider and key', (t) => {
  const state = { members: [], services: [], trust: { anchors: [], intermediates: [], crls: [] }, limits: {} };
  const read = (more: object) =>
    [...partsOf({ ...state, ...more })].map(([name, bytes]) => readPart(name, bytes, 'TEST'));
  const [first, next] = [newKey(), newKey()];
  const provider = identityProvider(ISSUER, ['k']);
  const before = {
    purposes: [purpose('aid', 1, '2026-01-01')],
    consentServices: [consentService(SERVICE, [first])],
    identityProviders: [provider],
  };
  const after = {
    purposes: [...before.purposes, purpose('aid', 2, '2026-02-01')],
    consentServices: [
      {
        ...consentService(SERVICE, [next]),
        citizenUrl: 'https://elsewhere.example',
        mandateRegisters: ['TEST/GOV/1/guardians'],
      },
    ],
    identityProviders: [{ ...provider, levels: { 'urn:low': 4 as const }, keys: identityProvider('x', ['k']).keys }],
  };
  const lines = changesBetween(read(before), read(after)).map(({ change, kind, id }) => `${change} ${kind} ${id}`);
  t.same(lines, [
    ...[`added consent-key ${SERVICE} ${next.kid}`, `removed consent-key ${SERVICE} ${first.kid}`].sort((a, b) =>
      (a.split(' ').at(-1) ?? '') < (b.split(' ').at(-1) ?? '') ? -1 : 1,
    ),
    `changed consent-service ${SERVICE}`,
    `changed identity-key ${ISSUER} k`,
    `changed identity-provider ${ISSUER}`,
    `added mandate-register ${SERVICE} TEST/GOV/1/guardians`,
    'added purpose aid@2',
  ]);
  const one = member('TEST/GOV/1', 0);
  const server = { ...one.servers[0], subjectKeys: [{ ...first, notAfterMs: 1 }] };
  const keyed = changesBetween(read({ members: [one] }), read({ members: [{ ...one, servers: [server] }] }));
  t.same(keyed, [{ change: 'added', kind: 'subject-key', id: `TEST/GOV/1/ss1 ${first.kid}` }]);
  t.same([...partsOf(state).keys()], ['trust', 'limits'], 'nothing of it, no parts');
  t.end();
});

t.test('laws: one state, one set of files; a day has at most one version, the newest that has begun', (t) => {
  const dayOf = (n: number) => `2026-01-${String(n).padStart(2, '0')}`;
  const span = fc.record({ from: fc.integer({ min: 1, max: 9 }), days: fc.option(fc.integer({ min: 0, max: 9 })) });
  const history = fc.array(fc.array(span, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(history, fc.integer({ min: 1, max: 19 }), fc.nat(), (ids, today, seed) => {
      const all = ids.flatMap((spans, id) =>
        spans.map(({ from, days }, at) =>
          purpose(`p${id}`, at + 1, dayOf(from), days === null ? null : dayOf(from + days)),
        ),
      );
      const shuffled = all.toSorted((a, b) => ((a.version * 7 + seed) % 5) - ((b.version * 7 + seed) % 5));
      const [file, other] = [consentFiles({ purposes: all }), consentFiles({ purposes: shuffled })];
      t.ok(file.get('purposes')?.equals(other.get('purposes') ?? Buffer.alloc(0)));
      const read = readPart('purposes', file.get('purposes') ?? Buffer.alloc(0), 'TEST').purposes ?? [];
      const lookups = consentLookups({ purposes: read });
      for (const id of ids.keys()) {
        const begun = all.filter((one) => one.id === `p${id}` && one.from <= dayOf(today));
        const newest = begun.sort((a, b) => b.version - a.version)[0];
        const counts = newest && (newest.until === null || dayOf(today) < newest.until);
        t.same(lookups.purpose(`p${id}`, dayOf(today))?.purpose, counts ? newest : undefined);
      }
      for (const each of all) t.same(lookups.purposeByHash(purposeHashOf(each)), each);
    }),
    { numRuns: 60 },
  );
  t.end();
});

function codeOf(run: () => unknown): string {
  try {
    run();
    return 'none';
  } catch (error) {
    return isAccordError(error) ? error.code : String(error);
  }
}
