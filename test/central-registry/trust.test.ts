// Revocation lists and distrust at the registry: whose lists it takes, that none goes back, and that what is revoked or
// distrusted is not registered again. Statements of distrust by approvers and by owners, handed in over the admin API.
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openThrowawayRegistry } from '#central-registry/throwaway.ts';
import { generateKeys } from '#certs/keys.ts';
import { openThrowAwayAuthority } from '#cli/dev/throw-away-authority.ts';
import { systemClock } from '#core/clock.ts';
import { signDistrust } from '#core/configuration/sign.ts';
import { DISTRUST_PER_APPROVER } from '#schemas/limits.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-trust-'));
const registry = await openThrowawayRegistry({ folder, instance: 'TEST', clock: systemClock });
const authority = await openThrowAwayAuthority(systemClock);
const stranger = await openThrowAwayAuthority(systemClock);
t.teardown(async () => {
  await registry.close();
  rmSync(folder, { recursive: true, force: true });
});

const HOUR = 3_600_000;
const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('base64url');
/** `ok`, or the code of the refusal. */
const ask = (method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<string> =>
  registry.call(method, path, body).then(
    () => 'ok',
    (error: Error) => error.message.split(': ')[1]?.split(' ')[0] ?? error.message,
  );
const trust = (kind: string, der: Uint8Array) =>
  ask('POST', '/trust', { kind, der: Buffer.from(der).toString('base64url') });
const crl = (number: number, of = authority, more: object = {}) => {
  const nowMs = systemClock.nowMs();
  return of.revocationList({ number, thisUpdateMs: nowMs - HOUR, nextUpdateMs: nowMs + 24 * HOUR, ...more });
};

t.test('revocation lists', async (t) => {
  const first = await crl(5);
  t.equal(await trust('crl', first), 'CRL_REFUSED', 'before its authority is trusted');
  for (const der of authority.trust.anchors) await trust('anchor', der);
  for (const der of authority.trust.intermediates) await trust('intermediate', der);
  const nowMs = systemClock.nowMs();
  const flipped = Buffer.from(first);
  flipped.writeUInt8(flipped.readUInt8(flipped.length - 5) ^ 1, flipped.length - 5);
  const over = await crl(9, authority, { thisUpdateMs: nowMs - 3 * HOUR, nextUpdateMs: nowMs - HOUR });
  const early = await crl(9, authority, { thisUpdateMs: nowMs + HOUR });
  const cases: [string, Uint8Array, string][] = [
    ['rubbish', Buffer.from('rubbish'), 'CRL_REFUSED'],
    ['a certificate', authority.trust.anchors[0] as Buffer, 'CRL_REFUSED'],
    ['of a strange authority of the same name', await crl(9, stranger), 'CRL_REFUSED'],
    ['changed', flipped, 'CRL_REFUSED'],
    ['with bytes behind it', Buffer.concat([first, Buffer.from([0])]), 'CRL_REFUSED'],
    ['over', over, 'CRL_REFUSED'],
    ['from the future', early, 'CRL_REFUSED'],
    ['good', first, 'ok'],
    ['the same again', first, 'ok'],
    ['another one of the same number', await crl(5, authority, { thisUpdateMs: nowMs - 2 * HOUR }), 'CRL_REFUSED'],
    ['an older number', await crl(4), 'CRL_REFUSED'],
  ];
  for (const [name, der, want] of cases) t.equal(await trust('crl', der), want, name);

  const id = 'TEST/GOV/1/ss1';
  const { registration } = await authority.server(id);
  const server = { id, address: 'https://ss1.example:5500', subsystems: [], ...registration };
  await ask('POST', '/members', { id: 'TEST/GOV/1', name: 'x' });
  authority.revoke(Buffer.from(registration.signingCertificates[0] ?? '', 'base64url'));
  const second = await crl(6);
  t.equal(await trust('crl', second), 'ok');
  const held = (await registry.call('GET', '/trust')).body as { crls: string[] };
  t.same(held.crls, [second.toString('base64url')], 'the newer one took the place of the older');
  t.equal(await ask('POST', '/servers', server), 'REGISTRATION_CERTIFICATE_REFUSED', 'a revoked certificate');
  t.equal(await ask('DELETE', `/trust/${hash(second)}`), 'REGISTRATION_IN_USE', 'a list cannot be taken away');
  for (const der of authority.trust.intermediates) t.equal(await ask('DELETE', `/trust/${hash(der)}`), 'ok');
  t.equal(await ask('DELETE', `/trust/${hash(second)}`), 'ok', 'with its authority it can');
  for (const der of authority.trust.intermediates) await trust('intermediate', der);
  t.equal(await trust('crl', first), 'CRL_REFUSED', 'and yet none older comes back');
  t.equal(await trust('crl', await crl(7)), 'ok');
  t.equal(await ask('POST', '/servers', server), 'REGISTRATION_CERTIFICATE_REFUSED', 'still revoked');
});

t.test('rules for OCSP', async (t) => {
  const issuer = hash(authority.trust.intermediates[0] as Buffer);
  const url = 'http://ocsp.example/';
  const rules = { mode: 'require', namedInCertificate: false, freshnessMs: HOUR, graceMs: HOUR };
  const cases: [string, object, string][] = [
    ['no mode', { ...rules, mode: 'always', responders: [] }, 'SCHEMA_MISMATCH'],
    ['no freshness', { ...rules, freshnessMs: 0, responders: [] }, 'SCHEMA_MISMATCH'],
    ['not an address', { ...rules, responders: [{ issuer, url: 'ldap://x' }] }, 'SCHEMA_MISMATCH'],
    ['a strange authority', { ...rules, responders: [{ issuer: 'A'.repeat(43), url }] }, 'REGISTRATION_UNKNOWN'],
    [
      'one authority twice',
      { ...rules, responders: [1, 2].map((n) => ({ issuer, url: `${url}${n}` })) },
      'REGISTRATION_EXISTS',
    ],
    ['good', { ...rules, responders: [{ issuer, url }] }, 'ok'],
  ];
  for (const [name, body, want] of cases) t.equal(await ask('POST', '/ocsp', body), want, name);
  t.match((await registry.call('GET', '/ocsp')).body, { ocsp: { ...rules, responders: [{ issuer, url }] } });
  await registry.publish();
});

t.test('distrust over the admin API', async (t) => {
  const id = 'TEST/GOV/2/ss2';
  const { registration, keys } = await authority.server(id);
  await ask('POST', '/members', { id: 'TEST/GOV/2', name: 'x' });
  const server = { id, address: 'https://ss2.example:5500', subsystems: [], ...registration };
  t.equal(await ask('POST', '/servers', server), 'ok');
  await registry.publish();
  const [ann, bob] = registry.approvers;
  const signing = (keys.signing as { key: typeof ann }).key;
  const say = (value: string, key: typeof ann, as: 'approver' | 'owner', more: object = {}) =>
    signDistrust(
      {
        instance: 'TEST',
        kind: value.includes('/') ? 'server' : 'key',
        value,
        atMs: systemClock.nowMs(),
        reason: 'lost',
        ...more,
      },
      key,
      as,
    );
  const hand = (statement: string) => ask('POST', '/configuration/distrust', { statement });
  const tls = hash(Buffer.from(registration.authenticationCertificates[0] ?? '', 'base64url'));
  const eve = generateKeys('P-256').privateKey;
  const good = say(id, signing, 'owner');
  const cases: [string, string, string][] = [
    ['a stranger as an approver', say(id, eve, 'approver'), 'DISTRUST_REFUSED'],
    ['a stranger as the owner', say(id, eve, 'owner'), 'DISTRUST_REFUSED'],
    ['the owner of another server', say('TEST/GOV/1/ss1', signing, 'owner'), 'DISTRUST_REFUSED'],
    ['an approver, an authority', say(hash(authority.trust.anchors[0] as Buffer), ann, 'approver'), 'DISTRUST_REFUSED'],
    ['of another instance', say(id, ann, 'approver', { instance: 'PROD' }), 'CONFIGURATION_INSTANCE'],
    ['of last week', say(id, ann, 'approver', { atMs: 1 }), 'DISTRUST_REFUSED'],
    ['of tomorrow', say(id, ann, 'approver', { atMs: systemClock.nowMs() + 24 * HOUR }), 'DISTRUST_REFUSED'],
    ['rubbish', 'rubbish', 'JSON_INVALID'],
    ['the owner, its server', good, 'ok'],
    ['the same statement again', good, 'REGISTRATION_EXISTS'],
    ['the owner, its TLS certificate', say(tls, signing, 'owner'), 'ok'],
    ...Array.from({ length: DISTRUST_PER_APPROVER }, (_, at): [string, string, string] => [
      `an approver, ${at}`,
      say(`TEST/GOV/${at}/x`, ann, 'approver'),
      'ok',
    ]),
    ['an approver, one too many', say('TEST/GOV/99/x', ann, 'approver'), 'DISTRUST_REFUSED'],
    ['another approver', say('TEST/GOV/99/x', bob, 'approver'), 'ok'],
  ];
  for (const [name, statement, want] of cases) t.match(await hand(statement), want, name);
  const renewal = { remove: [tls], authenticationCertificates: registration.authenticationCertificates };
  t.equal(
    await ask('POST', `/servers/${id}/renewals`, renewal),
    'REGISTRATION_KEY_REFUSED',
    'a distrusted key is not registered again',
  );
  const list = async () =>
    ((await registry.call('GET', '/configuration/distrust')).body as { items: Record<string, unknown>[] }).items;
  const [one] = await list();
  t.match(one, { value: id, by: 'owner', counts: 'yes', liftedInNextDraft: false });
  t.equal(await ask('POST', `/configuration/distrust/${'A'.repeat(43)}/lifted`), 'REGISTRATION_UNKNOWN');
  t.equal(await ask('POST', `/configuration/distrust/${one?.['hash']}/lifted`), 'ok');
  t.match((await list())[0], { counts: 'yes', liftedInNextDraft: true }, 'not before a content says so');
  await registry.publish();
  t.match((await list())[0], { counts: 'lifted' });
  t.equal(
    await hand(say('TEST/GOV/98/x', ann, 'approver')),
    'ok',
    'confirmed by a content: the approver has a share again',
  );
  t.equal(await ask('DELETE', `/configuration/distrust/${one?.['hash']}/lifted`), 'ok');
  await registry.publish();
  t.match((await list())[0], { counts: 'yes' });
  const spki = new X509Certificate(Buffer.from(registration.signingCertificates[0] ?? '', 'base64url')).publicKey;
  t.equal(
    await hand(say(hash(spki.export({ format: 'der', type: 'spki' })), signing, 'owner')),
    'ok',
    'the key itself',
  );
});
