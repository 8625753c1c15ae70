// `npm run conformance -- --url URL --client ID --service ID`: asks a server that speaks X-Road's REST message protocol by
// every rule of docs/xroad.md. The last line with --json is one JSON object; exit 0 when nothing failed, 1 when something
// did, 2 for a wrong call. `--echo PORT` is the test service instead, until it is stopped.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { openEcho } from './echo.ts';
import { CASES, runCases, type Setting, type Verdict } from './run.ts';

const USE = `use: npm run -s conformance -- --url http://HOST:PORT --client I/C/M/SUBSYSTEM --service I/C/M/SUBSYSTEM/CODE
  [--backend-echo URL]   where the echo is reached directly: refused calls must not have arrived there
  [--denied ID] [--disabled ID]   services that the client has no right to, and that are disabled
  [--limit BYTES] [--large BYTES] [--timeout MS]   largest body of the server; size of the large body; for one case
  [--ca FILE] [--cert FILE --key FILE]   for https: authorities of the server; certificate of the caller
  [--only 2.1,3]   rules
  [--json]   one line for machines
npm run -s conformance -- --echo PORT [--host ADDRESS]   the test service
npm run -s conformance -- --list   the rules`;

const OPTIONS = {
  url: { type: 'string' },
  client: { type: 'string' },
  service: { type: 'string' },
  'backend-echo': { type: 'string' },
  denied: { type: 'string' },
  disabled: { type: 'string' },
  limit: { type: 'string' },
  large: { type: 'string', default: String(100 * 1024 * 1024) },
  timeout: { type: 'string', default: '60000' },
  ca: { type: 'string' },
  cert: { type: 'string' },
  key: { type: 'string' },
  only: { type: 'string', default: '' },
  json: { type: 'boolean', default: false },
  echo: { type: 'string' },
  host: { type: 'string', default: '127.0.0.1' },
  list: { type: 'boolean', default: false },
} as const;

function usage(detail: string): never {
  console.error(`${detail}\n${USE}`);
  process.exit(2);
}

function readArguments() {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error));
  }
}

type Values = ReturnType<typeof readArguments>;

function wholeNumber(name: string, text: string): number {
  if (!/^[0-9]{1,12}$/.test(text)) usage(`--${name} is not a whole number`);
  return Number(text);
}

function identifier(name: string, text: string | undefined, parts: number): string {
  if (text?.split('/').length !== parts) usage(`--${name} has ${parts} parts`);
  return text;
}

function address(name: string, text: string | undefined): URL {
  if (text === undefined || !URL.canParse(text)) usage(`--${name} is not a URL`);
  return new URL(text);
}

function settingOf(values: Values): Setting {
  const { ca, cert, key, denied, disabled, limit } = values;
  return {
    url: address('url', values.url),
    client: identifier('client', values.client, 4),
    service: identifier('service', values.service, 5),
    denied: denied === undefined ? null : identifier('denied', denied, 5),
    disabled: disabled === undefined ? null : identifier('disabled', disabled, 5),
    echo: values['backend-echo'] === undefined ? null : address('backend-echo', values['backend-echo']),
    largeBytes: wholeNumber('large', values.large),
    limitBytes: limit === undefined ? null : wholeNumber('limit', limit),
    timeoutMs: wholeNumber('timeout', values.timeout),
    tls: {
      ...(ca === undefined ? {} : { ca: readFileSync(ca) }),
      ...(cert === undefined ? {} : { cert: readFileSync(cert) }),
      ...(key === undefined ? {} : { key: readFileSync(key) }),
    },
  };
}

function print({ rule, words, result, sent, expected, came }: Verdict): void {
  console.log(`${result.padEnd(17)} ${rule.padEnd(7)} ${words}`);
  if (result === 'passed') return;
  if (sent !== '') console.log(`    sent      ${sent}`);
  for (const each of expected) console.log(`    expected  ${each}`);
  console.log(`    came      ${came}`);
}

async function conform(values: Values): Promise<void> {
  const verdicts = await runCases(settingOf(values), values.only === '' ? [] : values.only.split(','));
  const count = (result: Verdict['result']) => verdicts.filter((each) => each.result === result).length;
  const totals = { passed: count('passed'), failed: count('failed'), notTestable: count('not testable here') };
  if (values.json) console.log(JSON.stringify({ ...totals, cases: verdicts }));
  else {
    for (const each of verdicts) print(each);
    console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.notTestable} not testable here`);
  }
  process.exitCode = totals.failed === 0 && totals.passed > 0 ? 0 : 1;
}

const values = readArguments();
if (values.list) {
  for (const { rule, words } of CASES) console.log(`${rule.padEnd(7)} ${words}`);
} else if (values.echo !== undefined) {
  const { url } = await openEcho(wholeNumber('echo', values.echo), values.host);
  console.log(JSON.stringify({ ready: true, url, description: `${url}/openapi.json` }));
} else {
  await conform(values).catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  });
}
