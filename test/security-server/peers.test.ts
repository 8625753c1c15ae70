// Between two servers: who is believed, when, under which configuration, and what is told when a peer is away or busy.
import { connect, type TLSSocket } from 'node:tls';
import t from 'tap';
import { sha256 } from '#certs/commitment.ts';
import { openThrowAwayAuthority } from '#cli/dev/throw-away-authority.ts';
import { systemClock } from '#core/clock.ts';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import { openClient } from '#core/http/client.ts';
import { MAX_IN_FLIGHT_PER_PEER } from '#schemas/limits.ts';
import { genuineRequest } from '#scripts/campaign/flip-messages.ts';
import { HeldConfiguration } from '#scripts/campaign/held-configuration.ts';
import {
  CLIENT,
  CONSUMER,
  openPair as openAnyPair,
  type Pair,
  type PairOptions,
  PROVIDER,
  SERVICE,
} from '#scripts/campaign/pair.ts';
import { openHttp1Link } from '#security-server/peer/http1-link.ts';
import { auditBoth, deliver, entries, kinds, post } from './asking.ts';

t.setTimeout(120_000);
const ASK = { client: CLIENT, service: SERVICE, path: '/x' };
const MINUTE_MS = 60_000;

function change(pair: Pair, id: string, over: Partial<ServerEntry>): void {
  const entry = pair.configuration.entries.get(id);
  if (entry !== undefined) pair.configuration.entries.set(id, { ...entry, ...over });
}

// The same over both forms of the link.
for (const peerLink of ['frames', 'http1'] as const) {
  const openPair = (options: PairOptions = {}) => {
    const [consumer, provider] = [options.consumer, options.provider].map((over) => ({ peerLink, ...over }));
    return openAnyPair({ ...options, ...(consumer && { consumer }), ...(provider && { provider }) });
  };

  t.test(`${peerLink}: statements that do not hold are refused unsigned, and leave nothing`, async (t) => {
    const pair = await openPair();
    t.teardown(() => pair.close());
    const { version } = pair.configuration;
    const now = () => Date.now();
    const rows: [string, Parameters<typeof genuineRequest>[1], string][] = [
      ['4 min 59 s old', { statement: { at: now() - 5 * MINUTE_MS + 1_000 } }, 'answered'],
      ['5 min old', { statement: { at: now() - 5 * MINUTE_MS - 1_000 } }, '400 CLOCK_OUT_OF_WINDOW'],
      ['4 min 59 s ahead', { statement: { at: now() + 5 * MINUTE_MS - 5_000 } }, 'answered'],
      ['5 min ahead', { statement: { at: now() + 5 * MINUTE_MS + 5_000 } }, '400 CLOCK_OUT_OF_WINDOW'],
      [
        'signed and stated 5 min ago',
        { statement: { at: now() - 301_000 }, issuedAtMs: now() - 301_000 },
        '400 CLOCK_OUT_OF_WINDOW',
      ],
      ['signed long before it was stated', { issuedAtMs: now() - 302_000 }, '400 CLOCK_OUT_OF_WINDOW'],
      ['signed long after', { issuedAtMs: now() + 305_000 }, '400 CLOCK_OUT_OF_WINDOW'],
      ['from another server', { statement: { from: 'DEV/GOV/3003/ss3' } }, '403 SENDER_WRONG'],
      ['to another server', { statement: { to: 'DEV/GOV/3003/ss3' } }, '403 ADDRESSEE_WRONG'],
      ["another server's client", { statement: { client: 'DEV/GOV/2002/provider' } }, '403 CLIENT_NOT_ON_SERVER'],
      ["another server's service", { statement: { service: 'DEV/GOV/3003/x/echo' } }, '403 SERVICE_NOT_ON_SERVER'],
      ['an answer as a request', { statement: { kind: 'response' } }, '400 STATEMENT_MALFORMED'],
      [
        'the same version, another hash',
        { statement: { configuration: { version, hash: sha256('x') } } },
        '409 CONFIGURATION_CONFLICT',
      ],
      [
        'an older version is evidence only',
        { statement: { configuration: { version: version + 1, hash: sha256('x') } } },
        'answered',
      ],
      ['a path with dots', { path: '/a/../b' }, 'answered'],
    ];
    for (const [name, plan, says] of rows) {
      const { id, ...sent } = await genuineRequest(pair, plan);
      const size = pair.provider.parts.log.size();
      t.equal(await deliver(pair, peerLink === 'frames' ? sent.signed : sent.frame), says, name);
      if (says !== 'answered') t.equal(pair.provider.parts.log.size(), size, `${name}: nothing logged`);
      else t.match(kinds(pair.provider, id), /^request-received,re(?:sponse|fusal)-sent$/);
      if (plan?.path !== undefined)
        t.equal(entries(pair.provider, id)[0]?.code, 'PATH_REFUSED', 'the peer is not trusted to check');
    }
    for (const [name, bytes, says] of [
      ['nothing', Buffer.alloc(0), '400'],
      ['not a message', Buffer.from('hello'), '400 MESSAGE_MALFORMED'],
      ['too large', Buffer.alloc(600_000), '413 BODY_TOO_LARGE'],
    ] as const) {
      t.match(await deliver(pair, bytes), says, name);
    }
    await auditBoth(t, pair);
  });

  t.test(`${peerLink}: certificates: foreign, expired, distrusted, not chaining`, async (t) => {
    const pair = await openPair();
    t.teardown(() => pair.close());
    const past = { ...systemClock, nowMs: () => Date.now() - 3 * 365 * 86_400_000 };
    const sign = async (keys: Pair['identities']['consumer']['keys']) => {
      const real = pair.identities.consumer.keys.signing;
      pair.identities.consumer.keys.signing = keys.signing;
      const { frame } = await genuineRequest(pair);
      pair.identities.consumer.keys.signing = real;
      return await deliver(pair, frame);
    };
    const register = ({ registration }: Pair['identities']['consumer']) => {
      const other = new HeldConfiguration();
      other.register(CONSUMER, '', [], { registration });
      const known = pair.configuration.entries.get(CONSUMER)?.signingCertificates ?? [];
      const added = other.entries.get(CONSUMER)?.signingCertificates ?? [];
      change(pair, CONSUMER, { signingCertificates: [...known, ...added] });
    };
    const again = await pair.authority.server(CONSUMER);
    t.equal(await sign(again.keys), '403 CERTIFICATE_NOT_REGISTERED', 'of the right authority, not registered');
    register(again);
    t.equal(await sign(again.keys), 'answered', 'registered');
    const foreign = await (await openThrowAwayAuthority(systemClock)).server(CONSUMER);
    register(foreign);
    t.equal(await sign(foreign.keys), '403 CERTIFICATE_INVALID', 'registered, of a foreign authority');
    const old = await openThrowAwayAuthority(past);
    const { trust } = pair.configuration;
    pair.configuration.trust = {
      anchors: [...trust.anchors, ...old.trust.anchors],
      intermediates: [...trust.intermediates, ...old.trust.intermediates],
    };
    const expired = await old.server(CONSUMER);
    register(expired);
    pair.configuration.hash = sha256('with the old authority');
    t.equal(await sign(expired.keys), '403 CERTIFICATE_INVALID', 'registered, expired');
    const [first] = pair.configuration.entries.get(CONSUMER)?.signingCertificates ?? [];
    pair.configuration.distrusted.add(first?.hash ?? '');
    t.equal(await deliver(pair, (await genuineRequest(pair)).frame), '403 CERTIFICATE_NOT_REGISTERED', 'distrusted');
    // TLS: whoever is not registered gets one answer that says nothing, and does not get as far as a message.
    const client = openClient();
    t.teardown(() => client.close());
    const link = openHttp1Link(
      client,
      () => foreign.keys.authentication,
      () => true,
    );
    const peer = pair.configuration.entries.get(PROVIDER) as ServerEntry;
    const delivery = await link.send(peer, (await genuineRequest(pair)).frame, 5_000);
    t.match(delivery, { state: 'unknown', detail: '403 PEER_UNKNOWN' });
    // The other way round: a provider that shows another certificate hears nothing.
    const doubting = openHttp1Link(
      client,
      () => pair.identities.consumer.keys.authentication,
      () => false,
    );
    t.match(await doubting.send(peer, Buffer.from('x'), 5_000), { state: 'not-sent', code: 'PROVIDER_UNREACHABLE' });
  });

  t.test(`${peerLink}: distrust closes live links within a second and stops what is under way`, async (t) => {
    const pair = await openPair();
    t.teardown(() => pair.close());
    const { certPem, ...secret } = pair.identities.consumer.keys.authentication;
    const key = 'key' in secret ? secret.key.export({ type: 'pkcs8', format: 'pem' }) : secret.keyPem;
    const { hostname, port } = new URL(pair.provider.urls.peer);
    const socket = await new Promise<TLSSocket>((resolve, reject) => {
      const made = connect({ host: hostname, port: Number(port), cert: certPem, key, rejectUnauthorized: false });
      made.once('secureConnect', () => resolve(made)).once('error', reject);
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    t.equal(socket.destroyed, false);
    // The provider loses its registration while its answer is on its way: the answer is not believed.
    const { parts } = pair.consumer;
    const { link } = parts;
    const provider = pair.configuration.entries.get(PROVIDER) as ServerEntry;
    parts.link = {
      close: () => link.close(),
      send: async (...given) => {
        const delivery = await link.send(...given);
        pair.configuration.entries.delete(PROVIDER);
        return delivery;
      },
    };
    const { json, status } = await post(pair, '/lookups', ASK);
    t.match({ ...json, http: status }, { outcome: 'unknown', http: 504, detail: 'PEER_UNKNOWN' });
    t.equal(kinds(pair.consumer, json.id), 'request-sent', 'no answer was logged');
    parts.link = link;
    pair.configuration.entries.set(PROVIDER, provider);
    const closed = new Promise((resolve) => socket.on('error', () => {}).once('close', resolve));
    const startedMs = performance.now();
    pair.configuration.distrusted.add(CONSUMER);
    pair.configuration.changed();
    await closed;
    t.ok(performance.now() - startedMs < 1_000);
    t.match((await post(pair, '/lookups', ASK)).json.outcome, /unknown|not-sent/, 'and no new one is accepted');
    pair.configuration.distrusted.clear();
    t.equal(
      (await post(pair, `/lookups/${json.id}/settle`)).json['state'],
      'answered',
      'registered again, it is settled',
    );
  });

  t.test(`${peerLink}: a provider that is away, busy, without a key, or behind`, async (t) => {
    const pair = await openPair();
    t.teardown(() => pair.close());
    const { parts } = pair.provider;
    const notSent = (id: string, code: string) => {
      t.equal(kinds(pair.consumer, id), 'request-sent,summary');
      t.equal(entries(pair.consumer, id)[0]?.code, `NOT_SENT_${code}`);
    };
    const places = Array.from({ length: MAX_IN_FLIGHT_PER_PEER }, () => parts.admission.enter('sender', CONSUMER));
    const busy = await post(pair, '/lookups', { ...ASK, deadlineMs: 900 });
    t.match({ ...busy.json, http: busy.status }, { outcome: 'not-sent', code: 'PROVIDER_BUSY', http: 503 });
    t.equal(busy.headers.get('retry-after'), '1');
    notSent(busy.json.id, 'PROVIDER_BUSY');
    setTimeout(() => {
      for (const leave of places) leave();
    }, 300);
    const later = await post(pair, '/lookups', ASK);
    t.equal(later.json.outcome, 'ok', 'sent again under the same id once there is a place');
    t.equal(kinds(pair.provider, later.json.id), 'request-received,response-sent');

    const entry = pair.configuration.entries.get(PROVIDER) as ServerEntry;
    change(pair, PROVIDER, { encryptionKeys: [] });
    const keyless = await post(pair, '/lookups', { ...ASK, deadlineMs: 200 });
    t.match({ ...keyless.json, http: keyless.status }, { outcome: 'not-sent', code: 'PEER_KEY_MISSING', http: 503 });
    notSent(keyless.json.id, 'PEER_KEY_MISSING');
    change(pair, PROVIDER, { encryptionKeys: entry.encryptionKeys });

    // A consumer that cannot be answered is refused before anything runs for it, and so may send again.
    const consumer = pair.configuration.entries.get(CONSUMER) as ServerEntry;
    change(pair, CONSUMER, { encryptionKeys: [] });
    const ran = pair.backend.seen.length;
    const mute = await post(pair, '/lookups', { ...ASK, deadlineMs: 900 });
    t.match(mute.json, { outcome: 'not-sent', code: 'PROVIDER_BUSY', detail: '503 PEER_KEY_MISSING' });
    t.equal(pair.backend.seen.length, ran);
    change(pair, CONSUMER, { encryptionKeys: consumer.encryptionKeys });

    // A signing key that fails after the backend ran must not look like a request that was not sent.
    const { signer } = parts;
    parts.signer = { ...signer, sign: () => Promise.reject(new Error('the token is gone')) };
    const unsigned = await post(pair, '/lookups', ASK);
    t.match({ ...unsigned.json, http: unsigned.status }, { outcome: 'unknown', detail: '500 ANSWER_NOT_LOGGED' });
    t.equal(pair.backend.seen.length, ran + 1);
    parts.signer = signer;
    t.equal((await post(pair, `/lookups/${unsigned.json.id}/settle`)).json['state'], 'received');

    pair.configuration.state = 'stale';
    t.equal((await post(pair, '/lookups', ASK)).json.outcome, 'ok', 'stale is usable');
    pair.configuration.state = 'too-old';
    const size = pair.consumer.parts.log.size();
    t.equal((await post(pair, '/lookups', ASK)).json.code, 'CONFIGURATION_TOO_OLD');
    t.equal(pair.consumer.parts.log.size(), size);
    const { frame } = await genuineRequest(pair);
    t.equal(await deliver(pair, frame), '503 CONFIGURATION_TOO_OLD', 'the provider stops as well');
    pair.configuration.state = 'fresh';

    await pair.provider.close();
    const away = await post(pair, '/lookups', { ...ASK, deadlineMs: 1_000 });
    t.match({ ...away.json, http: away.status }, { outcome: 'not-sent', code: 'PROVIDER_UNREACHABLE', http: 502 });
    notSent(away.json.id, 'PROVIDER_UNREACHABLE');
    await pair.reopen('provider');
    t.equal((await post(pair, `/lookups/${away.json.id}/settle`)).json['state'], 'void');
    await auditBoth(t, pair);
  });
}
