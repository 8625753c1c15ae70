// Acting for another through the real pages, with two people signed in, and registers over the filing port.
import type { FastifyInstance } from 'fastify';
import t from 'tap';
import { readReceipt } from '#certs/receipt.ts';
import { openEmergencyNotices } from '#consent-service/emergency-notices.ts';
import { addFilingRoutes, IDENTITY_HEADERS } from '#consent-service/routes-filing.ts';
import { addressOf, openServer } from '#core/http/server-frame.ts';
import type { Browser, Shown } from './browser.ts';
import { CLIENT, CONSENT, PERSON, STRANGER } from './desk.ts';
import { guardianship, REGISTER } from './families.ts';
import { checkStructure, csrfOf, decide, openPort, raiseIncome } from './pages-port.ts';

/** Presses the button of the form whose address ends so. */
async function press(browser: Browser, page: Shown, end: string): Promise<Shown> {
  const action = [...page.text.matchAll(/<form method="post" action="([^"]+)"/g)]
    .map(([, path]) => path ?? '')
    .find((path) => path.endsWith(end));
  if (action === undefined) throw new Error(`no form to ${end} on ${page.url}`);
  return browser.post(new URL(action, page.url).href, { csrf: csrfOf(page) });
}

t.test('asked, accepted, decided for, ended', async (t) => {
  const port = await openPort(t);
  raiseIncome(port.desk.configuration);
  const { base, desk } = port;
  const [wang, li] = [port.as('wang'), port.as('li')];
  for (const language of ['zh', 'en'] as const) {
    const other = port.as('wang', language);
    for (const path of ['/mandates', '/mandates/offer']) {
      const page = await other.open(`${base}${path}`);
      t.equal(page.status, 200);
      checkStructure(t, page, language);
    }
  }
  const form = await wang.open(`${base}/mandates/offer`);
  t.notMatch(form.text, / checked/, 'nothing is ticked beforehand');
  const typed = {
    ...{ csrf: csrfOf(form), name: '王小明', theirName: '<b>李华', scheme: 'gx.id@1', level: '3', days: '30' },
    ...{ value: STRANGER.subjects[0]!.value, which: 'some', purpose: 'social-aid' },
  };
  const { which: _w, purpose: _p, ...bare } = typed;
  const faulty = await wang.post(`${base}/mandates/offer`, { ...bare, name: '', value: '', days: '367' });
  t.equal(faulty.status, 422);
  checkStructure(t, faulty, 'en');
  t.match(faulty.text, /&#60;b&#62;李华/, 'what was typed is still there');
  t.equal(faulty.text.match(/class="error-text"/g)?.length, 5, 'one for each of the fields');
  for (const over of [{ level: '4' }, { level: '9' }, { more: 'x' }, { scheme: 'none' }]) {
    const refused = await wang.post(`${base}/mandates/offer`, { ...typed, ...(over as object) });
    t.match(refused.text, /SCHEMA_MISMATCH|MANDATE_OUT_OF_BOUNDS/, JSON.stringify(over));
  }
  t.match((await wang.post(`${base}/mandates/offer`, { ...typed, csrf: 'x' })).text, /CSRF_REFUSED/);
  const offered = await wang.post(`${base}/mandates/offer`, typed);
  t.match(offered.text, /it ends by itself if it is not accepted until/);
  t.match((await wang.post(`${base}/mandates/offer`, typed)).text, /MANDATE_OPEN_ALREADY/);

  const seen = await li.open(`${base}/mandates`);
  checkStructure(t, seen, 'en');
  t.match(seen.text, /If you do neither, nobody learns/);
  const accepted = await press(li, seen, '/accept');
  const id = /href="\/for\/([0-9a-f-]{36})"/.exec(accepted.text)?.[1] ?? '';

  // What waits for the one stands in a group of its own for the other; the link works for both.
  const filed = await port.file();
  const waiting = await li.open(`${base}/waiting`);
  checkStructure(t, waiting, 'en');
  t.match(waiting.text, /For 王小明, asked by them/);
  t.match(waiting.text, /only 王小明 sees and decides them/);
  const request = await li.open(`${base}/link/${filed.link}`);
  t.equal(request.url, `${base}/for/${id}/requests/${filed.id}`);
  checkStructure(t, request, 'en');
  t.match(request.text, /act for 王小明/);
  t.match(request.text, /You do not see who looked at the data/);
  t.equal(request.text.match(/ disabled>/g)?.length, 1, 'the most sensitive item cannot be ticked');
  t.match(request.text, /Above the level of your mandate: only 王小明/);
  t.notMatch(request.text, /value="refuse"/);
  t.match((await decide(li, request, 'refuse', [])).text, /MANDATE_EXCEEDED/);
  t.match((await decide(li, request, 'give', [0, 2])).text, /MANDATE_EXCEEDED|step-up|sign-in/);
  const given = await decide(li, request, 'give', [0]);
  t.equal(given.url, `${base}/for/${id}/permissions/${filed.id}`);
  checkStructure(t, given, 'en');
  t.notMatch(given.text, /\/receipts"/);
  const everything = await li.open(`${base}/for/${id}`);
  checkStructure(t, everything, 'en');
  t.match(everything.text, new RegExp(`/for/${id}/permissions/${filed.id}`));

  // The person sees who it was, and pauses it; the helper cannot resume.
  for (const path of ['/permissions', `/permissions/${filed.id}`]) {
    const page = await wang.open(`${base}${path}`);
    checkStructure(t, page, 'en');
    t.match(page.text, /Decided by/);
    t.match(page.text, /&#60;b&#62;李华 for 王小明, asked by them/);
  }
  const own = await wang.open(`${base}/permissions/${filed.id}`);
  await press(wang, own, '/pause');
  const paused = await li.open(`${base}/for/${id}/permissions/${filed.id}`);
  t.match(paused.text, /alone can resume it/);
  t.notMatch(paused.text, /\/resume"/);
  const forced = await li.post(`${paused.url}/resume`, { csrf: csrfOf(paused) });
  t.match(forced.text, /CONSENT_TRANSITION_REFUSED/);
  const { receipt } = readReceipt((await desk.consents.one(PERSON, filed.id)).receipts[0]!.jws);
  t.ok(receipt.actor);

  // Who is neither of the two finds nothing, as for a mandate that does not exist.
  const stranger = port.as('wang-4');
  for (const path of [`/for/${id}`, `/for/${id}/requests/${filed.id}`, '/for/none']) {
    const answer = await stranger.open(`${base}${path}`);
    t.match(answer.text, /MANDATE_UNKNOWN|CONSENT_UNKNOWN/, path);
    t.equal(answer.status, 404);
  }
  await press(wang, await wang.open(`${base}/mandates`), '/end');
  t.equal((await li.open(`${base}/for/${id}`)).status, 404);
  t.notMatch((await li.open(`${base}/waiting`)).text, /王小明/);
  t.match((await li.open(`${base}/mandates`)).text, /ended by the one who is represented/);
});

t.test('registers over the filing port', async (t) => {
  const port = await openPort(t);
  const { configuration, consents } = port.desk;
  const app: FastifyInstance = openServer({ name: 'filing', identityHeaders: IDENTITY_HEADERS });
  const notices = openEmergencyNotices(port.desk.store, Buffer.alloc(32, 7), port.desk.clock);
  addFilingRoutes(app, { consents, notices }, CONSENT, () => 'https://consent.example');
  await app.listen({ port: 0, host: '127.0.0.1' });
  t.teardown(() => app.close());
  const ask = async (client: string, method: string, path: string, body?: unknown) => {
    const headers = {
      'accord-client': client,
      'accord-service': `${CONSENT}/requests`,
      'content-type': 'application/json',
    };
    const answer = await fetch(`${addressOf(app)}${path}`, {
      method,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: answer.status, body: (await answer.json()) as { id: string; code?: string } };
  };
  const filing = guardianship(PERSON, STRANGER, port.desk.clock.nowMs(), {});
  t.match(await ask(REGISTER, 'POST', '/mandates', filing), {
    status: 403,
    body: { code: 'MANDATE_REGISTER_REFUSED' },
  });
  configuration.consentServices = configuration.consentServices.map((one) => ({
    ...one,
    mandateRegisters: [REGISTER],
  }));
  t.match(await ask(CLIENT, 'POST', '/mandates', filing), { status: 403, body: { code: 'MANDATE_REGISTER_REFUSED' } });
  for (const over of [
    { more: 1 },
    { kind: 'citizen' },
    { majorityOn: '2040-13-01' },
    { represented: { ...filing.represented, name: 'a\u202eb' } },
  ]) {
    t.match(await ask(REGISTER, 'POST', '/mandates', { ...filing, ...over }), {
      status: 400,
      body: { code: 'SCHEMA_MISMATCH' },
    });
  }
  const { status, body } = await ask(REGISTER, 'POST', '/mandates', filing);
  t.match({ status, body }, { status: 201, body: { state: 'ACTIVE', majorityOn: filing.majorityOn } });
  t.notMatch(JSON.stringify(body), /310101|李华/, 'what it said of persons is not repeated');
  t.match(await ask(REGISTER, 'GET', `/mandates/${body.id}`), { status: 200, body: { state: 'ACTIVE' } });

  const child = port.as('wang', 'zh');
  const page = await child.open(`${port.base}/mandates`);
  checkStructure(t, page, 'zh');
  t.match(page.text, /只有登记该关系的机关可以终止/);
  t.notMatch(page.text, /\/end"/);
  t.match(await ask(REGISTER, 'POST', `/mandates/${body.id}/revoke`, {}), { status: 200, body: { reason: 'revoked' } });
  t.match(await ask(REGISTER, 'POST', `/mandates/${body.id}/revoke`, {}), { status: 409 });
  t.match(await ask(REGISTER, 'GET', '/mandates/01900000-0000-7000-8000-000000000000'), {
    status: 404,
    body: { code: 'MANDATE_UNKNOWN' },
  });
});
