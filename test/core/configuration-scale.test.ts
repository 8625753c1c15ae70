// Thousands of members: what a version says is the same whether it was read whole or follows others whose parts it shares,
// and in however many pieces a part was read; and a change of one member costs the reading of one part, in short turns.
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { openThrowAwayAuthority } from '#cli/dev/throw-away-authority.ts';
import { systemClock } from '#core/clock.ts';
import { buildSnapshot } from '#core/configuration/build-snapshot.ts';
import { openConfigurationClient } from '#core/configuration/client.ts';
import type { VerifiedDistrust } from '#core/configuration/distrust.ts';
import { fetchOverHttp } from '#core/configuration/fetch.ts';
import { readEntries } from '#core/configuration/part-entries.ts';
import { type PartIndex, partShardOf, partsOf, readPart, readPartInSteps } from '#core/configuration/parts.ts';
import { ShortNames, shortNamed, shortNameOf } from '#core/configuration/short-names.ts';
import type { ConfigurationSnapshot, ServerEntry } from '#core/configuration/snapshot.ts';
import { fileHash, type VerifiedContent, type VerifiedRoot } from '#core/configuration/verify.ts';
import { openClient } from '#core/http/client.ts';
import { base64url, fromBase64url } from '#schemas/base64url.ts';
import { canonicalJson } from '#schemas/canonical-json.ts';
import { type JsonValue, parseJson } from '#schemas/json.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { RegisteredMember, RegisteredServer, RegisteredService } from '#schemas/registrations.ts';
import { makeConfiguration } from '#scripts/configuration/made-configuration.ts';
import { watchLoop } from '#scripts/configuration/watch-loop.ts';

const authority = await openThrowAwayAuthority(systemClock);
const issued = await Promise.all(['ss1', 'ss2'].map((code) => authority.server(`GX/GOV/0/${code}`)));
/** Four that can be read and two that nobody can. */
const CERTIFICATES = [
  ...issued.flatMap(({ registration: one }) => [...one.authenticationCertificates, ...one.signingCertificates]),
  ...['one', 'two'].map((text) => base64url(Buffer.from(`not a certificate ${text}`))),
];
const jwk = issued[0]?.registration.encryptionKeys[0]?.jwk ?? {
  kty: 'EC' as const,
  crv: 'P-256' as const,
  x: '',
  y: '',
};
const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('base64url');
const KIDS = ['first', 'second', 'third'].map(sha256);
const MEMBERS = ['GX/GOV/1', 'GX/GOV/2', 'GX/COM/3', 'GX/GOV/44'];
const SUBSYSTEMS = MEMBERS.flatMap((id) => [`${id}/a`, `${id}/b`]);
const SERVERS = MEMBERS.flatMap((id) => [`${id}/ss1`, `${id}/ss2`]);

function spki(der: Buffer): string | undefined {
  try {
    return sha256(new X509Certificate(der).publicKey.export({ format: 'der', type: 'spki' }));
  } catch {
    return undefined;
  }
}
const SPKIS = CERTIFICATES.flatMap((text) => spki(fromBase64url(text)) ?? []);

interface State {
  members: RegisteredMember[];
  services: RegisteredService[];
  listed: string[];
}

/** The rules, without a thought for how long it takes. */
function oracle({ members, services, listed: list }: State) {
  const listed = new Set(list);
  const registered = new Set(members.flatMap(({ id, subsystems }) => subsystems.map(({ code }) => `${id}/${code}`)));
  const byKey = new Set<string>();
  const isTrusted = (text: string): boolean => {
    const der = fromBase64url(text);
    if (listed.size === 0) return true;
    if (listed.has(sha256(der))) return false;
    const key = spki(der);
    if (key !== undefined && !listed.has(key)) return true;
    byKey.add(sha256(der));
    return false;
  };
  const servers = members.flatMap(({ id, servers: own }) =>
    own
      .map((server) => ({ ...server, id: `${id}/${server.code}` }))
      .filter((server) => !listed.has(server.id))
      .map((server) => ({
        ...server,
        authenticationCertificates: server.authenticationCertificates.filter(isTrusted),
        signingCertificates: server.signingCertificates.filter(isTrusted),
        encryptionKeys: server.encryptionKeys.filter(({ kid }) => !listed.has(kid)),
        subjectKeys: server.subjectKeys.filter(({ kid }) => !listed.has(kid)),
      })),
  );
  const isService = ({ id }: RegisteredService) => registered.has(id.slice(0, id.lastIndexOf('/')));
  const holders = (hash: string) =>
    servers.flatMap(({ id, authenticationCertificates: own }) =>
      own.flatMap((text) => (sha256(fromBase64url(text)) === hash ? [id] : [])),
    );
  return {
    members: members
      .map(({ id, name, subsystems }) => ({ id, name, subsystems }))
      .sort((a, b) => (a.id < b.id ? -1 : 1)),
    services: services.filter(isService).sort((a, b) => (a.id < b.id ? -1 : 1)),
    servers: SERVERS.map((id) => {
      const found = servers.find((one) => one.id === id);
      return found === undefined ? null : shown(found);
    }),
    byHash: CERTIFICATES.map((text) => {
      const found = holders(sha256(fromBase64url(text)));
      return found.length === 1 ? found[0] : null;
    }),
    serversOf: SUBSYSTEMS.map((id) =>
      registered.has(id) ? servers.flatMap((one) => (one.subsystems.includes(id) ? [one.id] : [])).sort() : [],
    ),
    has: SUBSYSTEMS.map((id) => registered.has(id)),
    distrusted: [...CERTIFICATES.map((text) => sha256(fromBase64url(text))), ...KIDS, ...SERVERS, ...SPKIS].map(
      (value) => listed.has(value) || byKey.has(value),
    ),
  };
}

function shown(server: Omit<RegisteredServer, 'code'> & { id: string }) {
  const { authenticationCertificates, signingCertificates, subsystems, ...rest } = server;
  const { id, address, encryptionKeys, subjectKeys, log, maintenance = null } = rest;
  const hashes = (list: readonly string[]) => list.map((text) => sha256(fromBase64url(text))).sort();
  return {
    ...{ id, address, log, maintenance, subsystems: [...subsystems].sort() },
    ...{ encryptionKeys: inOrder(encryptionKeys), subjectKeys: inOrder(subjectKeys) },
    ...{ authentication: hashes(authenticationCertificates), signing: hashes(signingCertificates) },
  };
}

const inOrder = <T extends { kid: string }>(keys: readonly T[]) => [...keys].sort((a, b) => (a.kid < b.kid ? -1 : 1));

function seen(server: ServerEntry | undefined) {
  if (server === undefined) return null;
  for (const { der, hash } of [...server.authenticationCertificates, ...server.signingCertificates]) {
    if (sha256(der) !== hash) throw new Error('the bytes are not those of the hash');
  }
  const texts = (list: ServerEntry['signingCertificates']) => list.map(({ der }) => base64url(der));
  return shown({
    ...server,
    authenticationCertificates: texts(server.authenticationCertificates),
    signingCertificates: texts(server.signingCertificates),
    encryptionKeys: [...server.encryptionKeys],
    subjectKeys: [...server.subjectKeys],
    subsystems: [...server.subsystems],
  });
}

/** Everything that can be asked, in the form of the oracle. Twice the same question gives the same object. */
function asked(snapshot: ConfigurationSnapshot): ReturnType<typeof oracle> {
  const once = {
    members: [...snapshot.members()],
    services: [...snapshot.services()],
    servers: SERVERS.map((id) => seen(snapshot.server(id))),
    byHash: CERTIFICATES.map((text) => snapshot.serverByAuthenticationHash(sha256(fromBase64url(text)))?.id ?? null),
    serversOf: SUBSYSTEMS.map((id) =>
      snapshot
        .serversOf(id)
        .map((one) => one.id)
        .sort(),
    ),
    has: SUBSYSTEMS.map((id) => snapshot.hasSubsystem(id)),
    distrusted: [...CERTIFICATES.map((text) => sha256(fromBase64url(text))), ...KIDS, ...SERVERS, ...SPKIS].map(
      (value) => snapshot.isDistrusted(value),
    ),
  };
  const twice = [0, 1].map(() => SERVERS.map((id) => snapshot.server(id)));
  if (!SERVERS.every((_, at) => twice[0]?.[at] === twice[1]?.[at])) throw new Error('another object');
  for (const one of once.services) if (snapshot.service(one.id) !== one) throw new Error('another service');
  for (const one of once.members) if (snapshot.memberName(one.id) !== one.name) throw new Error('another name');
  return once as ReturnType<typeof oracle>;
}

const NO_PARTS = { members: [], services: [], trust: { anchors: [], intermediates: [], crls: [] }, limits: {} };
const root = { document: { keys: {} } } as unknown as VerifiedRoot;

/** The state as the client builds it; parts whose hash is in `known` are not read again. */
function built(state: State, known: Map<string, PartIndex>): ConfigurationSnapshot {
  const files = partsOf({ ...NO_PARTS, members: state.members, services: state.services });
  const parts = [...files].map(([name, bytes]) => {
    const hash = fileHash(bytes);
    const index = known.get(hash) ?? readPart(name, bytes, 'GX');
    known.set(hash, index);
    return index;
  });
  const entries = state.listed.map((value) => ({
    ...{ jws: value, hash: sha256(value), statement: { value }, by: '', ownKey: null, proven: true },
  }));
  const version = entries.length;
  const distrust = { instance: 'GX', version, entries, hash: '' } as unknown as VerifiedDistrust;
  const document = { instance: 'GX', version: 1, distrust: { version, hash: '' }, distrustLifted: [] };
  return buildSnapshot({ document, hash: '' } as unknown as VerifiedContent, parts, distrust, root);
}

const some = <T>(values: readonly T[], maxLength = 2) => fc.uniqueArray(fc.constantFrom(...values), { maxLength });
const key = fc.constantFrom(...KIDS).map((kid) => ({ kid, jwk, notAfterMs: 1 }));
const serverOf = (code: string) =>
  fc.record({
    code: fc.constant(code),
    address: fc.constantFrom('https://a.example', 'https://b.example:5500'),
    authenticationCertificates: fc.array(fc.constantFrom(...CERTIFICATES), { maxLength: 2 }),
    signingCertificates: some(CERTIFICATES),
    encryptionKeys: fc.array(key, { maxLength: 2 }),
    subjectKeys: fc.array(key, { maxLength: 1 }),
    subsystems: some(SUBSYSTEMS, 4),
    log: fc.constant({ origin: 'accord/测试', key: 'A'.repeat(43) }),
    maintenance: fc.constantFrom(null, { notice: '维护', untilMs: 5 }),
  }) as fc.Arbitrary<RegisteredServer>;
const memberOf = (id: string) =>
  fc.record({
    id: fc.constant(id),
    name: fc.constantFrom('民政局', 'Civil affairs'),
    subsystems: some(['a', 'b']).map((codes) => codes.sort().map((code) => ({ code, name: code }))),
    servers: fc
      .tuple(fc.boolean(), fc.boolean())
      .chain(([one, two]) => fc.tuple(...[...(one ? [serverOf('ss1')] : []), ...(two ? [serverOf('ss2')] : [])])),
  }) as unknown as fc.Arbitrary<RegisteredMember>;
const serviceOf = (subsystem: string): RegisteredService => ({
  ...{ id: `${subsystem}/x`, title: 'x', type: 'REST', descriptionHash: null, bindingHash: null },
  ...{ personalData: false, safe: true },
});
const state: fc.Arbitrary<State> = fc.record({
  members: fc.tuple(...MEMBERS.map((id) => fc.option(memberOf(id)))).map((all) => all.filter((one) => one !== null)),
  services: some(SUBSYSTEMS, 3).map((ids) => ids.map(serviceOf)),
  listed: some([...CERTIFICATES.map((text) => sha256(fromBase64url(text))), ...SPKIS, ...KIDS, ...SERVERS], 2),
});

t.test('a version that shares parts with others says what it says alone', async (t) => {
  fc.assert(
    fc.property(fc.array(state, { minLength: 1, maxLength: 4 }), (versions) => {
      const known = new Map<string, PartIndex>();
      for (const version of versions) {
        const grown = asked(built(version, known));
        const expected = oracle(version);
        if (canonicalJson(grown as never) !== canonicalJson(expected as never)) t.same(grown, expected);
        if (canonicalJson(asked(built(version, new Map())) as never) !== canonicalJson(expected as never)) {
          t.fail('built from nothing it says something else');
        }
      }
      return t.passing();
    }),
    { numRuns: 100 },
  );
});

t.test('a list is read in pieces only where that is reading it whole', async (t) => {
  const read = (bytes: Buffer) => {
    const steps = readEntries<JsonValue>(
      bytes,
      'members',
      (value) => value,
      () => (parseJson(bytes) as { members: JsonValue[] }).members,
    );
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
    }
  };
  const outcome = (run: () => unknown) => {
    try {
      return JSON.stringify(run());
    } catch (error) {
      return isAccordError(error) ? error.code : String(error);
    }
  };
  const whole = (bytes: Buffer) => (parseJson(bytes) as { members: JsonValue[] }).members;
  const same = (text: string) => {
    const bytes = Buffer.from(text);
    return outcome(() => read(bytes)) === outcome(() => whole(bytes));
  };
  const hostile = fc.constantFrom(
    '},{"id":',
    '"},{"id":"',
    ']}\n',
    '{"members":[',
    '\\',
    '"',
    ',',
    '},',
    '{"id":',
    '，',
  );
  const text = fc.array(fc.oneof(hostile, fc.string({ maxLength: 3 })), { maxLength: 5 }).map((all) => all.join(''));
  const entry = fc.record({ id: text, inner: fc.array(fc.record({ id: text }), { maxLength: 2 }), name: text });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 4 }), fc.nat(), hostile, (members, at, put) => {
      const spelled = `${canonicalJson({ members } as JsonValue)}\n`;
      const cut = at % spelled.length;
      return same(spelled) && same(spelled.slice(0, cut) + put + spelled.slice(cut)) && same(spelled.slice(0, cut));
    }),
    { numRuns: 300 },
  );
  const entryOf = (id: string) => `{"id":"${id}","name":"n"}`;
  for (const text of [
    `{"members":[${entryOf('a')},${entryOf('b')}],"members":[]}\n`,
    `{"members":[${entryOf('a')}${entryOf('b')}]}\n`,
    `{"members":[{"id":1,"id":2}]}\n`,
    `{"members":[{"id":1},{"id":2,"__proto__":{}}]}\n`,
    `{"members":[${'{"id":['.repeat(20)}${']}'.repeat(20)}]}\n`,
    `{"members":[{"id":"\\ud800"}]}\n`,
    `\ufeff{"members":[{"id":1}]}\n`,
  ]) {
    t.ok(same(text), text.slice(0, 60));
  }
});

t.test('a large part is read with pauses', async (t) => {
  const ids = Array.from({ length: 60_000 }, (_, at) => `GX/GOV/${at}`).filter((id) => partShardOf(id) === '00');
  const subsystems = Array.from({ length: 6 }, (_, at) => ({ code: `s${at}`, name: '名'.repeat(100) }));
  const members = ids.map((id) => ({ id, name: id, subsystems, servers: [] }));
  const [name, grown] = [...partsOf({ ...NO_PARTS, members })][0] ?? ['', Buffer.alloc(0)];
  const steps = readPartInSteps(name, grown, 'GX');
  let pauses = 0;
  let step = steps.next();
  for (; step.done !== true; step = steps.next()) pauses += 1;
  t.ok(
    pauses > 3 && pauses >= Math.floor(grown.toString().length / 40_000),
    `${pauses} pauses for ${grown.length} bytes`,
  );
  t.same(step.value.members, readPart(name, grown, 'GX').members);
});

t.test('short names find every name', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string({ maxLength: 3 }), fc.nat(2 ** 21 - 1)), { maxLength: 50 }), (named) => {
      const names = new ShortNames(named.map(([name, value]) => shortNamed(name, value)));
      return named.every(([name, value]) => names.find(shortNameOf(name)).includes(value));
    }),
  );
  t.same(new ShortNames([]).find(0), []);
});

t.test('one member changed: one part is fetched, read and indexed, and nobody waits long', async (t) => {
  const made = await makeConfiguration(300, systemClock);
  const folder = mkdtempSync(join(tmpdir(), 'accord-scale-'));
  const http = openClient();
  t.teardown(async () => {
    await Promise.all([made.close(), http.close()]);
    rmSync(folder, { recursive: true, force: true });
  });
  made.publish();
  const options = {
    folder,
    anchor: made.anchor,
    clock: systemClock,
    fetch: [fetchOverHttp(http, made.url)],
    pollMs: 0,
  };
  const client = await openConfigurationClient(options);
  const ids = made.members.map(({ id }) => id);
  const before = client.current();
  const entries = new Map(ids.map((id) => [id, before.server(`${id}/ss1`)]));
  const services = before.services();
  const changed = ids[5] ?? '';
  made.members[5] = { ...(made.members[5] as RegisteredMember), name: 'renamed' };
  made.publish();
  made.asked();
  const loop = watchLoop();
  t.match(await client.refresh(), { outcome: 'updated', version: 2 });
  const { longestTurnMs } = loop.stop();
  const after = client.current();
  t.equal(after.memberName(changed), 'renamed');
  t.same([...made.asked().keys()].filter((path) => path.startsWith('parts/')).length, 1, 'one part was asked for');
  const shard = partShardOf(changed);
  const again = ids.filter((id) => after.server(`${id}/ss1`) !== entries.get(id));
  t.same(
    again,
    ids.filter((id) => partShardOf(id) === shard),
    'entries of the other shards are the same objects',
  );
  t.ok(
    services.every((one) => after.service(one.id) === one),
    'services are the same objects',
  );
  t.ok(longestTurnMs < 120, `the longest turn took ${longestTurnMs} ms of processor time`);
  const fromDisk = await openConfigurationClient({ ...options, fetch: [] });
  for (const id of [...ids.slice(0, 20), ...ids.slice(-5)]) {
    t.same(seen(fromDisk.current().server(`${id}/ss2`)), seen(after.server(`${id}/ss2`)));
  }
  t.same(fromDisk.current().members(), after.members());
  await Promise.all([client.close(), fromDisk.close()]);
});
