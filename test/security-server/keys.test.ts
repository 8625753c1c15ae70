// Keys and certificates renewed while a server runs, from a real data folder: encryption keys that end after 30 days,
// certificates that are used when they are registered and known to the peers.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import t, { type Test } from 'tap';
import { createCsr } from '#certs/csr.ts';
import { sealKey } from '#certs/key-file.ts';
import { generateKeys } from '#certs/keys.ts';
import { certificateHash } from '#certs/path.ts';
import { openSubject, sealSubject } from '#certs/sealed-subject.ts';
import { openTicket } from '#certs/ticket.ts';
import { openThrowAwayAuthority, type ThrowAwayAuthority } from '#cli/dev/throw-away-authority.ts';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import { writeKeyFile } from '#core/key-store.ts';
import { newMessageId } from '#core/message-id.ts';
import type { EncryptionKey } from '#schemas/registrations.ts';
import {
  ADMIN_KEY,
  AUDITOR_KEY,
  CLIENT,
  CONSUMER,
  openPair,
  type Pair,
  PROVIDER,
  SERVICE,
} from '#scripts/campaign/pair.ts';
import { FILES, initServerFolder } from '#security-server/data-folder.ts';
import { folderKeySource, makeBareKey, readRegistration } from '#security-server/folder-keys.ts';
import { auditBoth, post } from './asking.ts';
import { MovingClock, Timers } from './moving-clock.ts';

const DAY_MS = 86_400_000;
const PASSPHRASE = 'twelve characters and more';
const COST = { memoryKib: 8 * 1024, passes: 1, lanes: 1 };
const ASK = { client: CLIENT, service: SERVICE, path: '/a' };

interface Setting {
  pair: Pair;
  clock: MovingClock;
  timers: Timers;
  authority: ThrowAwayAuthority;
  folder: string;
  /** Registers what the folder holds now; what `over` names is registered instead. */
  register(over?: Partial<Awaited<ReturnType<typeof readRegistration>>>): Promise<void>;
  reload(key?: string): Promise<{ status: number; json: Record<string, unknown> }>;
}

/** A pair whose provider lives in a data folder, as `accord server init` makes it. */
async function openSetting(t: Test): Promise<Setting> {
  const clock = new MovingClock();
  const timers = new Timers();
  const folder = mkdtempSync(join(tmpdir(), 'accord-keys-'));
  const authority = await openThrowAwayAuthority(clock);
  const { requests } = await initServerFolder({
    folder,
    settings: { id: PROVIDER, address: 'https://127.0.0.1:5500' },
    anchorText: '{}',
    passphrase: PASSPHRASE,
    nowMs: clock.nowMs(),
    dnsNames: [],
    ipAddresses: ['127.0.0.1'],
    keyFileCost: COST,
  });
  for (const use of ['authentication', 'signing'] as const) {
    await t.rejects(readRegistration(folder, PROVIDER, clock.nowMs()), { code: 'CERTIFICATE_MISSING' });
    const pem = await authority.certify(use, PROVIDER, requests[use] ?? '');
    writeFileSync(join(folder, FILES.certificates, `${use}.pem`), pem);
  }
  const keySource = folderKeySource(folder, PASSPHRASE);
  const provider = { keys: await keySource.open(), keySource, every: timers.every };
  const pair = await openPair({ clock, provider });
  t.teardown(async () => {
    await pair.close();
    rmSync(folder, { recursive: true });
  });
  const { anchors, intermediates } = pair.configuration.trust;
  pair.configuration.trust = {
    anchors: [...anchors, ...authority.trust.anchors],
    intermediates: [...intermediates, ...authority.trust.intermediates],
  };
  // The consumer's own encryption key is not what these tests are about.
  const [id, consumer] = [...pair.configuration.entries].find(([name]) => name !== PROVIDER) as [string, ServerEntry];
  const encryptionKeys = consumer.encryptionKeys.map((key) => ({ ...key, notAfterMs: Number.MAX_SAFE_INTEGER }));
  pair.configuration.entries.set(id, { ...consumer, encryptionKeys });
  const register: Setting['register'] = async (over) => {
    const registration = { ...(await readRegistration(folder, PROVIDER, clock.nowMs())), ...over };
    pair.configuration.register(PROVIDER, pair.provider.urls.peer, ['DEV/GOV/2002/provider'], { registration });
    pair.configuration.changed();
  };
  await register();
  const reload: Setting['reload'] = async (key = ADMIN_KEY) => {
    const headers = { authorization: `Bearer ${key}` };
    const answer = await fetch(`${pair.provider.urls.admin}/keys/reload`, { method: 'POST', headers });
    return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
  };
  return { pair, clock, timers, authority, folder, register, reload };
}

async function outcome(pair: Pair): Promise<string> {
  const { json } = await post(pair, '/lookups', ASK);
  return `${json.outcome} ${json.code}`;
}

/** The kid in the header of the ticket that the consumer uses now. */
async function kidInUse(pair: Pair): Promise<string> {
  const { jwe } = await pair.consumer.parts.channels.to(pair.configuration.entries.get(PROVIDER) as ServerEntry);
  return (JSON.parse(Buffer.from(jwe.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }).kid;
}

t.test('an encryption key is followed by the next and destroyed when its time is over', async (t) => {
  const { pair, clock, timers, folder, register, reload } = await openSetting(t);
  const first = await readRegistration(folder, PROVIDER, clock.nowMs());
  const [firstKey] = first.encryptionKeys;
  const startMs = clock.nowMs();
  t.ok(firstKey && Math.abs(firstKey.notAfterMs - startMs - 30 * DAY_MS) < 60_000, 'ends 30 days after it was made');
  t.equal(await outcome(pair), 'ok OK');
  t.equal(await kidInUse(pair), firstKey?.kid);

  clock.aheadMs = 20 * DAY_MS;
  const again = await readRegistration(folder, PROVIDER, clock.nowMs());
  t.same(again.encryptionKeys, first.encryptionKeys, 'registering later does not make it live longer');
  await t.rejects(makeBareKey(folder, 'encryption', PROVIDER, 'some other passphrase', clock.nowMs(), COST), {
    code: 'KEY_FILE_PASSPHRASE_WRONG',
  });
  const second = await makeBareKey(folder, 'encryption', PROVIDER, PASSPHRASE, clock.nowMs(), COST);
  t.equal(existsSync(join(folder, 'keys/encryption-2.key.json')), true);
  t.equal((await reload(AUDITOR_KEY)).status, 403);
  const { json } = await reload();
  t.same(json['encryption'], [firstKey?.kid, second.kid], 'the running server holds both');
  t.equal(await outcome(pair), 'ok OK');
  t.equal(await kidInUse(pair), firstKey?.kid, 'nobody uses it before it is registered');
  const oldEntry = pair.configuration.entries.get(PROVIDER) as ServerEntry;
  const oldTicket = await pair.consumer.parts.channels.to(oldEntry);
  await register();
  t.equal(await outcome(pair), 'ok OK');
  t.equal(await kidInUse(pair), second.kid);
  const { channels } = pair.provider.parts;
  t.equal((await channels.open(oldTicket.jwe, oldTicket.from)).hash, oldTicket.hash, 'old tickets still open');

  timers.tick(3_600_000);
  await new Promise((resolve) => setTimeout(resolve, 200));
  t.equal(readdirSync(join(folder, 'keys')).filter((name) => name.startsWith('encryption-')).length, 2, 'too early');
  clock.aheadMs = 30 * DAY_MS - 60_000;
  const lastTicket = await pair.consumer.parts.channels.to(oldEntry).catch((error: { code: string }) => error.code);
  t.equal(lastTicket, 'PEER_KEY_MISSING', 'no ticket is made that would outlive its key');
  clock.aheadMs = 30 * DAY_MS + 16 * 60_000;
  timers.tick(3_600_000);
  const { keys } = pair.provider.parts;
  while (keys.encryptionKey(firstKey?.kid ?? '') !== undefined) await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(existsSync(join(folder, 'keys/encryption-1.key.json')), false, 'its private part is gone');
  const keyFor = (kid: string) => keys.encryptionKey(kid);
  const atMs = oldTicket.expiresAtMs - 1_000;
  await t.rejects(
    openTicket(oldTicket.jwe, oldTicket.from, PROVIDER, keyFor, atMs),
    'a recorded ticket never opens again',
  );
  t.equal(await outcome(pair), 'ok OK', 'the exchange goes on under the second');
  await auditBoth(t, pair);

  const source = folderKeySource(folder, PASSPHRASE);
  const { checkpoint } = await source.open();
  t.equal((await source.open()).checkpoint, checkpoint, 'what a file says is opened once');
  const file = join(folder, 'keys/checkpoint.key.json');
  const said = readFileSync(file, 'utf8');
  writeFileSync(file, said.replace(/("createdAtMs": )/, '$11'));
  await t.rejects(source.open(), { code: 'KEY_FILE_PASSPHRASE_WRONG' }, 'and anew when it says something else');
  writeFileSync(file, said);

  clock.aheadMs = 51 * DAY_MS;
  t.same(await folderKeySource(folder, PASSPHRASE).destroyEnded(clock.nowMs()), [second.kid]);
  await t.rejects(readRegistration(folder, PROVIDER, clock.nowMs()), { code: 'KEY_UNUSABLE' });
  t.equal(await outcome(pair), 'not-sent PEER_KEY_MISSING');
});

t.test('a subject key opens what was sealed to it until it ends, also beside the next', async (t) => {
  const { pair, clock, timers, folder, register, reload } = await openSetting(t);
  const { keys } = pair.provider.parts;
  const startMs = clock.nowMs();
  const registered = () => (pair.configuration.entries.get(PROVIDER) as ServerEntry).subjectKeys;
  const [firstKey] = registered();
  t.ok(firstKey && Math.abs(firstKey.notAfterMs - startMs - 5 * 365 * DAY_MS) < 60_000, 'five years');
  t.not(firstKey?.kid, (pair.configuration.entries.get(PROVIDER) as ServerEntry).encryptionKeys[0]?.kid);
  const subject = { jti: newMessageId(startMs), scheme: 'gx.person.id_number@1', value: '110101199003074514' };
  const sealed = sealSubject(subject, firstKey as EncryptionKey);
  t.same(openSubject(sealed, keys.subjectKeys()), subject);

  clock.aheadMs = 4 * 365 * DAY_MS;
  const secondKey = await makeBareKey(folder, 'subject', PROVIDER, PASSPHRASE, clock.nowMs(), COST);
  t.equal(existsSync(join(folder, 'keys/subject-2.key.json')), true);
  t.same((await reload()).json['subject'], [firstKey?.kid, secondKey.kid], 'the running server holds both');
  t.same(openSubject(sealSubject(subject, secondKey), keys.subjectKeys()), subject, 'before anybody knows of it');
  const { subjectKeys } = await readRegistration(folder, PROVIDER, clock.nowMs()).catch(() => ({ subjectKeys: [] }));
  t.same(subjectKeys, [], 'no encryption key lasts so long: nothing is registered without one');
  await makeBareKey(folder, 'encryption', PROVIDER, PASSPHRASE, clock.nowMs(), COST);
  await register();
  t.same(registered(), [firstKey, secondKey]);
  t.same(openSubject(sealed, keys.subjectKeys()), subject);

  clock.aheadMs = 5 * 365 * DAY_MS + 60_000;
  timers.tick(3_600_000);
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.equal(existsSync(join(folder, 'keys/subject-1.key.json')), true, 'clocks differ: not yet');
  clock.aheadMs += 10 * 60_000;
  timers.tick(3_600_000);
  while (keys.subjectKeys().length > 1) await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(existsSync(join(folder, 'keys/subject-1.key.json')), false);
  t.throws(() => openSubject(sealed, keys.subjectKeys()), { code: 'SUBJECT_SEAL_REFUSED' }, 'never again');
  rmSync(join(folder, 'keys/subject-2.key.json'));
  t.match(await reload(), { status: 200, json: { subject: [] } }, 'a folder without one goes on');
});

/** A new key and a certificate for it beside those in use. Returns the certificate's DER. */
async function renew({ folder, authority, clock }: Setting, use: 'authentication' | 'signing', name: string) {
  const { privateKey } = generateKeys('P-256');
  const meta = { use: use === 'signing' ? ('sign' as const) : ('authenticate' as const), createdAtMs: clock.nowMs() };
  await writeKeyFile(join(folder, FILES.keys), name, await sealKey(privateKey, PASSPHRASE, meta, COST));
  const ipAddresses = use === 'authentication' ? ['127.0.0.1'] : [];
  const request = await createCsr(privateKey, { kind: 'server', id: PROVIDER, dnsNames: [], ipAddresses });
  writeFileSync(join(folder, FILES.certificates, `${name}.pem`), await authority.certify(use, PROVIDER, request));
  const { authenticationCertificates, signingCertificates } = await readRegistration(folder, PROVIDER, clock.nowMs());
  const text = (use === 'signing' ? signingCertificates : authenticationCertificates).at(-1) ?? '';
  return { text, hash: certificateHash(Buffer.from(text, 'base64url')) };
}

t.test('a signing certificate is used when it is registered and known, and not before', async (t) => {
  const setting = await openSetting(t);
  const { pair, clock, register, reload, folder } = setting;
  const old = await readRegistration(folder, PROVIDER, clock.nowMs());
  const { keys } = pair.provider.parts;
  const oldHash = keys.signing().certificateHash;
  clock.aheadMs = DAY_MS;
  const renewed = await renew(setting, 'signing', 'signing-2');
  t.equal((await reload()).status, 200);
  t.match(keys.held().signing, [
    { hash: oldHash, registered: true, inUse: true },
    { hash: renewed.hash, registered: false, inUse: false },
  ]);
  clock.aheadMs += 3_600_000;
  t.equal(await outcome(pair), 'ok OK');
  t.equal(keys.signing().certificateHash, oldHash, 'not registered: not used, however long it waits');
  await register();
  t.equal(keys.signing().certificateHash, oldHash, 'registered a moment ago: a peer may not know it');
  clock.aheadMs += 9 * 60_000;
  t.equal(keys.signing().certificateHash, oldHash);
  clock.aheadMs += 61_000;
  t.equal(keys.signing().certificateHash, renewed.hash);
  t.equal(await outcome(pair), 'ok OK');
  await register({ signingCertificates: [renewed.text] });
  t.equal(await outcome(pair), 'ok OK', 'and without the old one');
  // The registry takes the new one back: the old one at once, there is no other.
  await register({ signingCertificates: old.signingCertificates });
  t.equal(keys.signing().certificateHash, oldHash);
  t.equal(await outcome(pair), 'ok OK');
  const stranger = await pair.authority.server(PROVIDER);
  await register({ signingCertificates: stranger.registration.signingCertificates });
  t.throws(() => keys.signing(), { code: 'KEY_UNUSABLE' }, 'none of ours: nothing is signed');
  const { status, json } = await post(pair, '/lookups', ASK);
  t.match({ status, ...json }, { status: 502, outcome: 'unknown', detail: '500 ANSWER_NOT_LOGGED' });
  const ready = await fetch(`${pair.provider.urls.health}/readyz`);
  t.match(await ready.json(), { ok: false, checks: [{ name: 'key', code: 'KEY_UNUSABLE' }] });
});

function shown(url: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false });
    socket.once('error', reject).once('secureConnect', () => {
      const der = socket.getPeerX509Certificate()?.raw ?? Buffer.alloc(0);
      socket.on('error', () => {}).destroy();
      resolve(certificateHash(der));
    });
  });
}

t.test('a TLS certificate changes on both ports without a restart', async (t) => {
  const setting = await openSetting(t);
  const { pair, clock, timers, register, reload, folder } = setting;
  const { peer, systems } = pair.provider.urls;
  const oldHash = await shown(peer);
  clock.aheadMs = DAY_MS;
  const renewed = await renew(setting, 'authentication', 'authentication-2');
  await reload();
  t.equal(await outcome(pair), 'ok OK');
  t.equal(await shown(peer), oldHash, 'not registered');
  // As a client the provider shows the same certificate.
  const consumer = pair.configuration.entries.get(CONSUMER) as ServerEntry;
  const asClient = () => pair.provider.parts.link.send(consumer, Buffer.from('rubbish'), 5_000);
  t.match(await asClient(), { detail: '400 MESSAGE_MALFORMED' });
  await register();
  t.equal(await outcome(pair), 'ok OK');
  clock.aheadMs += 11 * 60_000;
  timers.tick(60_000);
  t.equal(await shown(peer), renewed.hash);
  t.equal(await shown(systems ?? ''), renewed.hash);
  t.equal(await outcome(pair), 'ok OK');
  await register({ authenticationCertificates: [renewed.text] });
  t.equal(await outcome(pair), 'ok OK', 'the consumer dropped what it had open');
  t.match(await asClient(), { detail: '400 MESSAGE_MALFORMED' }, 'known under the new one');
  // A certificate without its key, or a folder that does not open, changes nothing.
  writeFileSync(join(folder, FILES.certificates, 'signing-3.pem'), pair.authority.rootPem);
  t.match(await reload(), { status: 400, json: { code: 'CERTIFICATE_KEY_MISMATCH' } });
  t.equal(await outcome(pair), 'ok OK');
  const headers = { authorization: `Bearer ${ADMIN_KEY}` };
  const handed = await fetch(`${pair.consumer.urls.admin}/keys/reload`, { method: 'POST', headers });
  t.match(await handed.json(), { code: 'KEYS_NOT_RELOADABLE' });
});
