// An emergency is told to the citizen without their asking: a provider that answers on one, a consent service behind its own
// security server, all real. And the caps and the keeping of notices, in both stores.
import t from 'tap';
import { signEmergencyEvidence } from '#certs/evidence.ts';
import { openEmergencyNotices } from '#consent-service/emergency-notices.ts';
import { NOTICE_WORDS } from '#consent-service/pages/notice-words.ts';
import { EN } from '#consent-service/pages/words-en.ts';
import { purposeHashOf } from '#core/configuration/consent-parts.ts';
import { newMessageId } from '#core/message-id.ts';
import { MAX_NOTICES_A_DAY_OF_PERSON, NOTICE_KEPT_DAYS } from '#schemas/limits.ts';
import { type EmergencyNotice, NOTICES_PATH } from '#schemas/notice.ts';
import { accessRight, SERVICE } from '#scripts/campaign/pair.ts';
import { exchange } from '#security-server/consumer/exchange.ts';
import { ownRequest } from '#security-server/consumer/own-request.ts';
import { emergencyOf, WANG as OFFICIAL } from '#test/certs/evidence-cases.ts';
import { testKey } from '#test/certs/receipt-cases.ts';
import { post } from '#test/security-server/asking.ts';
import { MovingClock } from '#test/security-server/moving-clock.ts';
import { LI, openAccessesWorld, sendForm, WANG } from './accesses-world.ts';
import { CIVIL, CLIENT, CONSENT, DAY_MS, PERSON, PURPOSE, REQUEST, STRANGER } from './desk.ts';
import { checkStructure } from './pages-port.ts';
import { engines } from './stores.ts';

t.setTimeout(90_000);

const TOLD = NOTICE_WORDS.en;
const FILING = `${CONSENT}/requests`;
const PROVIDER = 'DEV/GOV/2002/provider';

const noticeOf = (over: Partial<EmergencyNotice> = {}): EmergencyNotice => ({
  v: 1,
  subject: REQUEST.subject,
  client: CLIENT,
  service: CIVIL,
  exchange: newMessageId(1_000),
  emergency: { id: newMessageId(1_000), reason: 'A flood' },
  atMs: 1_000,
  ...over,
});

t.test('an emergency, told to whom it was about', async (t) => {
  const clock = new MovingClock();
  const { base, issuer, pair, service, signIn } = await openAccessesWorld(t, clock);
  const { configuration, consumer, provider } = pair;
  const rescue = { ...PURPOSE, id: 'rescue', bases: ['emergency' as const] };
  configuration.purposes = [PURPOSE, rescue];
  const pins = { purposes: ['rescue'], pins: { rescue: purposeHashOf(rescue) }, elements: [...rescue.elements] };
  provider.parts.state.putRight(
    accessRight({ id: '00000000-0000-4000-8000-000000000003', bases: ['emergency'], ...pins }),
  );
  const key = testKey();
  configuration.officials.set(CLIENT, [{ kid: key.kid, jwk: key.jwk }]);
  // The consent service's own server knows two of its services; behind the first nobody answers.
  const [echo, local] = [configuration.services.get(CIVIL)!, provider.parts.state.service(CIVIL)!];
  configuration.services.set(FILING, { ...echo, id: FILING, bindingHash: null, personalData: false });
  const away = { ...local, id: FILING, url: 'http://127.0.0.1:9', personalData: false };
  consumer.parts.state.putService(away);

  const ask = (person: string) => {
    const tokens = emergencyOf(CLIENT, { purpose: 'rescue', services: [SERVICE] }, clock.nowMs() - 61_000);
    const lookup = { client: CLIENT, service: CIVIL, path: `/residents/${person}`, fields: ['/name'] };
    const evidence = tokens.map((claims) => signEmergencyEvidence(claims, key));
    return post(pair, '/lookups', { ...lookup, basis: 'emergency', purpose: 'rescue', userId: OFFICIAL.id, evidence });
  };
  const { notices } = provider.parts.emergencies;
  const first = await ask(WANG);
  t.match(first.json, { code: 'OK', body: { name: '王芳' } }, 'nobody waits for the notice');
  await notices.send();
  t.equal(notices.waiting().count, 1);
  const browser = await signIn(WANG);
  t.notMatch((await browser.open(`${base}/`)).text, TOLD.toRead);

  await pair.provider.close(1_000);
  const again = await pair.reopen('provider');
  const reopened = again.parts.emergencies.notices;
  clock.aheadMs += 60_000;
  consumer.parts.state.putService({ ...away, url: service.urls.filing });
  await reopened.send();
  t.equal(reopened.waiting().count, 0, 'delivered after a restart, when the consent service is back');
  const waiting = await browser.open(`${base}/waiting`);
  checkStructure(t, waiting, 'en', issuer);
  t.match(waiting.text, TOLD.line(1), 'a line at the top of every page');
  const home = await browser.open(`${base}/`);
  checkStructure(t, home, 'en', issuer);
  for (const text of ['Flood at the river', first.json.id, CLIENT, CIVIL, TOLD.whatNow]) t.match(home.text, text);
  t.notMatch(home.text, TOLD.line(1));
  const other = await signIn(LI);
  t.notMatch((await other.open(`${base}/`)).text, 'Flood');
  const id = /name="notice" value="([^"]+)"/.exec(home.text)?.[1] ?? '';
  const csrf = /name="csrf" value="([^"]+)"/.exec((await other.open(`${base}/`)).text)?.[1] ?? '';
  await other.post(`${base}/`, { csrf, notice: id });
  t.match((await browser.open(`${base}/`)).text, 'Flood', 'put away by nobody else');
  const after = await sendForm(browser, home);
  t.equal(after.url, `${base}/`);
  t.notMatch(after.text, 'Flood');
  t.match(after.text, EN.homeText);

  const notice = noticeOf({ subject: { scheme: REQUEST.subject.scheme, value: WANG } });
  const carry = async (service: string, value: object) => {
    const body = Buffer.from(JSON.stringify(value));
    const facts = { length: body.length, type: 'application/json' };
    const context = ownRequest({ method: 'POST', path: NOTICES_PATH, body: facts, settles: null });
    const call = {
      client: PROVIDER,
      service,
      purpose: null,
      basis: 'open' as const,
      deadlineMs: 10_000,
      context,
      body,
    };
    const { answer, code } = await exchange(again.parts, call);
    return [code, answer?.context.status, JSON.parse(String(answer?.body)).code];
  };
  const foreign = { ...notice, service: `${CLIENT}/desk` };
  t.same(await carry(FILING, notice), ['OK', 200, undefined], 'a department tells of what it answered itself');
  t.same(await carry(FILING, foreign), ['OK', 403, 'NOTICE_REFUSED'], 'and not of what others did');
  t.same(await carry(FILING, { ...notice, v: 2 }), ['OK', 400, 'SCHEMA_MISMATCH']);
  const here = await consumer.parts.emergencies;
  here.notices.note(CLIENT, { ...foreign, exchange: newMessageId(2_000), atMs: clock.nowMs() });
  await here.notices.send();
  t.equal(here.notices.waiting().count, 0, 'a consent service on the same server');
  t.match((await browser.open(`${base}/`)).text, TOLD.heading(2));
});

t.test('taken once, so many, for so long', async (t) => {
  const clock = new MovingClock();
  for (const engine of await engines(t)) {
    const store = await engine.open();
    const open = () => openEmergencyNotices(store, Buffer.alloc(32, 7), clock);
    const notices = open();
    const notice = noticeOf();
    await Promise.all([notices.take(PROVIDER, notice), notices.take(PROVIDER, notice)]);
    await open().take(PROVIDER, { ...notice, emergency: { ...notice.emergency, reason: 'Another' } });
    t.match(await notices.unread(PERSON), [{ notice }], `${engine.name}: the first is kept`);
    t.equal(await notices.countUnread(PERSON), 1);
    t.same(await notices.unread(STRANGER), []);
    await t.rejects(notices.take('DEV/GOV/4004/tax', notice), { code: 'NOTICE_REFUSED' });
    await notices.take('DEV/GOV/4004/tax', { ...notice, service: 'DEV/GOV/4004/tax/income' });
    t.equal(await notices.countUnread(PERSON), 2, 'the same number at another department is another request');
    for (let count = 1; count < MAX_NOTICES_A_DAY_OF_PERSON; count++) await notices.take(PROVIDER, noticeOf());
    await t.rejects(notices.take(PROVIDER, noticeOf()), { code: 'NOTICE_LIMIT' });
    await notices.take(PROVIDER, notice);
    await notices.take(PROVIDER, noticeOf({ subject: STRANGER.subjects[0]! }));
    clock.aheadMs += DAY_MS;
    await notices.take(PROVIDER, noticeOf());
    const [newest] = await notices.unread(PERSON);
    await notices.putAway(STRANGER, newest!.id);
    const before = await notices.countUnread(PERSON);
    await notices.putAway(PERSON, newest!.id);
    t.equal(await notices.countUnread(PERSON), before - 1);
    const later = noticeOf();
    clock.aheadMs += (NOTICE_KEPT_DAYS - 1) * DAY_MS;
    await notices.take(PROVIDER, later);
    clock.aheadMs += DAY_MS + 60_000;
    await notices.forget();
    t.match(await notices.unread(PERSON), [{ notice: later }]);
    t.equal(await notices.countUnread(PERSON), 1, 'forgotten when their time is over');
    await store.close();
  }
});
