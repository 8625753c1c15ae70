// The citizen port with its pages over a desk, for tests: who is signed in is said by a cookie; and what every page keeps to.
import cookie from '@fastify/cookie';
import formbody from '@fastify/formbody';
import type { FastifyRequest } from 'fastify';
import type { Test } from 'tap';
import { cipherKey } from '#certs/record-cipher.ts';
import type { ConsentRequest, Person } from '#consent-service/consents.ts';
import { openDepartments } from '#consent-service/departments.ts';
import type { OwnServer } from '#consent-service/own-server.ts';
import { addPages } from '#consent-service/pages/add-pages.ts';
import { openAskedQuestions } from '#consent-service/pages/asked-question.ts';
import { openReceiptUses } from '#consent-service/receipt-uses.ts';
import { openShownAccesses } from '#consent-service/shown-accesses.ts';
import { checkCsrfToken, csrfTokenOf, requireSameSite } from '#consent-service/sign-in/same-site.ts';
import type { Sessions } from '#consent-service/sign-in/sign-in.ts';
import { addressOf, openServer } from '#core/http/server-frame.ts';
import { AccordError } from '#schemas/problems.ts';
import { Browser, type Shown } from './browser.ts';
import { CLIENT, CONSENT, type Desk, openDesk, PERSON, REQUEST, STRANGER } from './desk.ts';

const PEOPLE: Record<string, Person> = {
  wang: PERSON,
  'wang-4': { ...PERSON, level: 4 },
  'wang-1': { ...PERSON, level: 1 },
  li: STRANGER,
};

interface Port {
  desk: Desk;
  base: string;
  /** A browser in which somebody is signed in. */
  as(who: string | null, language?: string): Browser;
  file(over?: Partial<ConsentRequest>): Promise<{ id: string; link: string }>;
}

/** @param server the own security server; null for none */
export async function openPort(t: Test, server: OwnServer | null = null): Promise<Port> {
  const desk = await openDesk(t);
  const app = openServer({ name: 'citizen' });
  const person = ({ cookies }: FastifyRequest) => {
    const found = PEOPLE[cookies['who'] ?? ''];
    const nonce = cookies['nonce'] ?? '';
    return found === undefined ? null : { ...found, signIn: { ...found.signIn, nonce } };
  };
  const session = ({ cookies }: FastifyRequest) => {
    if (PEOPLE[cookies['who'] ?? ''] === undefined) throw new AccordError('SESSION_REQUIRED');
    return cookies['who'] ?? '';
  };
  const sessions = {
    person,
    requireLevel(request, reply, level) {
      const found = person(request);
      if (found !== null && found.level >= level) return found;
      if (request.method !== 'GET') throw new AccordError(found === null ? 'SESSION_REQUIRED' : 'STEP_UP_REQUIRED');
      const query = new URLSearchParams({ to: request.url, level: String(level) });
      reply.redirect(`${found === null ? '/sign-in' : '/sign-in/step-up'}?${query}`, 303);
      return null;
    },
    // The provider knows the person still and sends them back at once, but for a stronger sign-in.
    async start(request, reply, { to, nonce = '', level = 1 }) {
      if (level <= (person(request)?.level ?? 0))
        return reply.setCookie('nonce', nonce, { path: '/' }).redirect(to, 303);
      return reply.redirect(`/sign-in/step-up?${new URLSearchParams({ to, level: String(level), nonce })}`, 303);
    },
    boundNonce: (request) => person(request)?.signIn.nonce ?? null,
    idToken: (request) => (person(request) === null ? null : `token.of.${request.cookies['who']}`),
    sessionName: (request) => request.cookies['who'] ?? null,
    csrfToken: (request) => csrfTokenOf(session(request)),
    checkCsrf(request) {
      requireSameSite(request, addressOf(app));
      checkCsrfToken(request, session(request));
    },
    requireSameSite: (request) => requireSameSite(request, addressOf(app)),
    formActions: () => ['https://id.example'],
  } satisfies Partial<Sessions> as unknown as Sessions;
  app.register(cookie);
  app.register(formbody);
  const { consents, clock, configuration } = desk;
  addPages(app, {
    ...{ consents, sessions, clock, configuration, utcOffsetMinutes: () => 480, statusOf: desk.statusOf },
    departments: server === null ? null : openDepartments({ server, configuration, clock, self: CONSENT }),
    uses: server === null ? null : openReceiptUses({ server, clock, onFailure: () => {} }),
    questions: openAskedQuestions(cipherKey(Buffer.alloc(32, 5)), false),
    shown: openShownAccesses(clock),
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  t.teardown(() => app.close());
  return {
    desk,
    base: addressOf(app),
    as(who, language = 'en') {
      const browser = new Browser();
      if (who !== null) browser.set('who', who);
      browser.set('accord-language', language);
      return browser;
    },
    file: (over = {}) => desk.consents.file(CLIENT, { ...REQUEST, ...over }),
  };
}

/** What every page keeps to, however it came about. */
export function checkStructure(
  t: Test,
  { text, headers }: Shown,
  language: 'zh' | 'en',
  issuer = 'https://id.example',
): string {
  t.match(text, new RegExp(`^<!doctype html>\n<html lang="${language}">`));
  t.equal(text.match(/<h1>/g)?.length, 1, 'one h1');
  const levels = [...text.matchAll(/<h([1-6])/g)].map(([, level]) => Number(level));
  t.ok(
    levels.every((level, at) => level <= (levels[at - 1] ?? 0) + 1),
    'headings in order',
  );
  t.notMatch(text, /<script|<style|<[a-z][^>]*\s(?:style|on[a-z]+)=|javascript:|<img|undefined|\[object/i);
  for (const [input] of text.matchAll(/<input [^>]*>/g)) {
    const id = / id="([^"]+)"/.exec(input)?.[1];
    t.ok(input.includes('type="hidden"') || text.includes(`<label for="${id}">`), `a label for ${input}`);
  }
  const ids = [...text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
  t.equal(new Set(ids).size, ids.length, 'ids are unique');
  for (const [, refs = ''] of text.matchAll(/ (?:aria-describedby|aria-labelledby|href="#)="?([^"]+)"/g)) {
    for (const ref of refs.split(' ')) t.ok(ids.includes(ref), `${ref} is there`);
  }
  t.match(text, /<a class="skip" href="#content">/);
  const policy = headers.get('content-security-policy') ?? '';
  t.ok(
    policy.startsWith(
      `default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' ${issuer}; frame-ancestors 'none'`,
    ),
    policy,
  );
  t.equal(headers.get('cache-control'), 'no-store');
  t.equal(headers.get('x-content-type-options'), 'nosniff');
  t.ok(headers.get('referrer-policy'));
  return /<title>([^<]+)<\/title>/.exec(text)?.[1] ?? '';
}

export const csrfOf = ({ text }: Shown) => /name="csrf" value="([^"]+)"/.exec(text)?.[1] ?? '';

/** An item of what is asked becomes one of the most sensitive. */
export function raiseIncome(configuration: Desk['configuration']): void {
  const dictionary = configuration.dictionary!;
  const entries = dictionary.entries.map((entry) => (entry.id === 'gx.income' ? { ...entry, level: 4 } : entry));
  configuration.dictionary = { ...dictionary, entries: entries as typeof dictionary.entries };
}

/** Sends the form of a decision as the page does; `items` in the order of ticking. */
export async function decide(
  browser: Browser,
  page: Shown,
  decision: string,
  items: number[],
  stopAt?: string,
): Promise<Shown> {
  const lang = /name="lang" value="(..)"/.exec(page.text)?.[1] ?? '';
  const pairs: [string, string][] = [
    ['csrf', csrfOf(page)],
    ['lang', lang],
    ['decision', decision],
  ];
  for (const item of items) pairs.push(['item', String(item)]);
  return await browser.open(page.url, stopAt, {
    method: 'POST',
    body: new URLSearchParams(pairs),
    headers: { origin: new URL(page.url).origin, 'sec-fetch-site': 'same-origin' },
  });
}
