// Runs the cases against one server and says of each: passed, failed (what was expected, what came) or not testable here.
import { createHash, randomBytes } from 'node:crypto';
import { type Case, type Need, type Told, valuesOf } from './case.ts';
import { addressing } from './cases-addressing.ts';
import { answers } from './cases-answers.ts';
import { bodies } from './cases-bodies.ts';
import { errors } from './cases-errors.ts';
import { metaservices } from './cases-metaservices.ts';
import { requestHeaders } from './cases-request-headers.ts';
import { ARRIVED_PATH, CASE_HEADER, SEEN_HEADER, type Seen } from './echo.ts';
import { judge } from './judge.ts';
import { type Came, type Header, type Place, send } from './wire.ts';

export const CASES: readonly Case[] = [
  ...addressing,
  ...requestHeaders,
  ...answers,
  ...errors,
  ...metaservices,
  ...bodies,
];

export interface Setting extends Place {
  /** INSTANCE/CLASS/MEMBER/SUBSYSTEM that asks. */
  client: string;
  /** INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE: the echo of this suite, or any service that answers GET with 2xx. */
  service: string;
  /** A registered service that the client has no right to. */
  denied: string | null;
  /** One that it may use and that is disabled. */
  disabled: string | null;
  /** Where the echo is asked what arrived, without a security server. */
  echo: URL | null;
  largeBytes: number;
  /** Largest body that the server takes; null when nobody said. */
  limitBytes: number | null;
}

export interface Verdict {
  rule: string;
  words: string;
  result: 'passed' | 'failed' | 'not testable here';
  /** What was sent, in one line. */
  sent: string;
  expected: string[];
  came: string;
}

/** @param only rules whose number begins like one of these; all when empty */
export async function runCases(setting: Setting, only: readonly string[] = []): Promise<Verdict[]> {
  const suite = await openSuite(setting);
  const verdicts: Verdict[] = [];
  for (const each of CASES) {
    if (only.length > 0 && !only.some((number) => `${each.rule}.`.startsWith(`${number}.`))) continue;
    verdicts.push(await runCase(suite, each));
  }
  return verdicts;
}

interface Suite {
  setting: Setting;
  /** Path of the backend's base URL as it is; null when the service is not the echo. */
  base: string | null;
  large: Buffer;
  /** Distinguishes this run at an echo that others ask too. */
  run: string;
  earlier: Map<string, Came>;
}

async function openSuite(setting: Setting): Promise<Suite> {
  const { largeBytes } = setting;
  const large = Buffer.alloc(largeBytes, createHash('sha256').update('conformance').digest());
  const suite: Suite = { setting, base: null, large, run: randomBytes(6).toString('hex'), earlier: new Map() };
  const ask = { rule: '0', words: '', ask: {}, expect: {} };
  const { seen } = await tell(suite, ask, 'first');
  if (seen !== null) suite.base = seen.target.replace(/\/conformance\/echo$/, '');
  return suite;
}

async function runCase(suite: Suite, each: Case): Promise<Verdict> {
  const { rule, words } = each;
  const name = `${suite.run}-${rule}`;
  const verdict = { rule, words, sent: '', expected: [], came: '' };
  const lacking = (each.needs ?? []).find((need) => lacks(suite, need));
  if (lacking !== undefined) return { ...verdict, result: 'not testable here', came: HINTS[lacking] };
  try {
    const told = await tell(suite, each, name);
    const faults = each.anyError ? refusalFaults(each, told) : judge(each, told);
    if (each.expect.error !== undefined || each.anyError) faults.push(...(await arrivalFaults(suite, name)));
    if (told.sent.method === 'GET' && told.came.status === 200) suite.earlier.set(told.sent.target, told.came);
    const sent = `${told.sent.method} ${told.sent.target}`;
    return {
      rule,
      words,
      result: faults.length === 0 ? 'passed' : 'failed',
      sent,
      expected: faults,
      came: shown(told),
    };
  } catch (error) {
    const came = error instanceof Error ? error.message : String(error);
    return { ...verdict, result: 'failed', expected: ['an answer'], came };
  }
}

function refusalFaults({ expect }: Case, { came }: Told): string[] {
  return came.status === expect.status ? [] : [`status ${String(expect.status)}`];
}

const HINTS: Readonly<Record<Need, string>> = {
  echo: 'the service is not the echo of this suite: start it with --echo PORT and register it',
  denied: 'name a service without an access right: --denied ID',
  disabled: 'name a service that is disabled: --disabled ID',
  described: 'the service has no OpenAPI description: listMethods calls it REST',
  limit: "name the server's limit: --limit BYTES",
};

function lacks({ setting, base, earlier }: Suite, need: Need): boolean {
  if (need === 'echo') return base === null;
  if (need === 'denied') return setting.denied === null;
  if (need === 'disabled') return setting.disabled === null;
  if (need === 'limit') return setting.limitBytes === null;
  const code = setting.service.split('/').at(-1);
  const listed = earlier.get(`/r1/${setting.service.split('/').slice(0, 4).join('/')}/listMethods`);
  const text = listed?.body.toString('utf8') ?? '';
  const row = text.split('{').find((each) => each.includes(`"service_code":"${code}"`)) ?? '';
  return !row.replaceAll(' ', '').includes('"service_type":"OPENAPI"');
}

/** Sends one case and reads what came. @throws Error when nothing readable came */
async function tell(suite: Suite, { ask }: Case, name: string): Promise<Told> {
  const { setting } = suite;
  const fill = filler(suite);
  const method = ask.method ?? 'GET';
  const target = fill(ask.target ?? '/r1/{service}/conformance/echo');
  const body = ask.body === 'large' ? suite.large : (ask.body ?? Buffer.alloc(0));
  const asked = (ask.headers ?? []).map(([each, value]): Header => [each, fill(value)]);
  const isFramed = asked.some(([each]) => /^(?:content-length|transfer-encoding)$/i.test(each));
  const needsLength = ask.body !== undefined || !['GET', 'HEAD', 'TRACE', 'OPTIONS', 'DELETE'].includes(method);
  const framing: Header[] = ask.chunked
    ? [['Transfer-Encoding', 'chunked']]
    : needsLength && !isFramed
      ? [['Content-Length', String(body.length)]]
      : [];
  const headers: Header[] = [
    ['Host', setting.url.host],
    ...((ask.client ?? true) ? ([['X-Road-Client', setting.client]] as Header[]) : []),
    [CASE_HEADER, name],
    ...asked,
    ...framing,
    ['Connection', 'close'],
  ];
  const head = [`${method} ${target} HTTP/1.1`, ...headers.map(([each, value]) => `${each}: ${value}`)].join('\r\n');
  const came = await send(setting, head, ask.chunked ? chunks(body) : body);
  const [told] = valuesOf(came.headers, SEEN_HEADER.toLowerCase());
  const seen = told === undefined ? null : (JSON.parse(Buffer.from(told, 'base64url').toString('utf8')) as Seen);
  const earlier = (text: string) => suite.earlier.get(fill(text));
  return { came, seen, sent: { method, target, headers, body }, fill, earlier };
}

function filler({ setting, base }: Suite): (text: string) => string {
  const { service, client, denied, disabled, limitBytes } = setting;
  const parts = service.split('/');
  const known: Readonly<Record<string, string>> = {
    service,
    client,
    provider: parts.slice(0, 4).join('/'),
    instance: parts[0] ?? '',
    'service code': parts[4] ?? '',
    'escaped service': parts.map((part) => [...part].map((char) => `%${hex(char)}`).join('')).join('/'),
    base: (base ?? '').replace(/\/$/, ''),
    denied: denied ?? '',
    disabled: disabled ?? '',
    'over the limit': String((limitBytes ?? 0) + 1),
  };
  return (text) => text.replace(/\{([a-z ]+)\}/g, (all, name: string) => known[name] ?? all);
}

function hex(char: string): string {
  return char.charCodeAt(0).toString(16).padStart(2, '0');
}

/** Two chunks, one with an extension, so that it is no one's favourite spelling. */
function chunks(body: Buffer): Buffer {
  const middle = Math.ceil(body.length / 2);
  const chunk = (part: Buffer) => [Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')];
  const parts = [body.subarray(0, middle), body.subarray(middle)].filter((part) => part.length > 0);
  return Buffer.concat([...parts.flatMap(chunk), Buffer.from('0\r\n\r\n')]);
}

/** What was refused must not have reached the backend; only an echo that can be asked directly knows. */
async function arrivalFaults({ setting }: Suite, name: string): Promise<string[]> {
  if (setting.echo === null) return [];
  const place = { ...setting, url: setting.echo };
  const { body } = await send(
    place,
    `GET ${ARRIVED_PATH} HTTP/1.1\r\nHost: ${place.url.host}\r\nConnection: close`,
    Buffer.alloc(0),
  );
  const arrived: unknown = JSON.parse(body.toString('utf8'));
  return Array.isArray(arrived) && !arrived.includes(name) ? [] : ['the backend sees nothing of it'];
}

function shown({ came }: Told): string {
  const [type] = valuesOf(came.headers, 'x-road-error');
  const text = came.body
    .subarray(0, 200)
    .toString('utf8')
    .replace(/[^\x20-\x7e]/g, '?');
  return `${came.status}${type === undefined ? '' : ` ${type}`} ${text}`.trim();
}
