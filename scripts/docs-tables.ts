// The tables of the documentation that are made from the code's own tables: errors, settings, limits, metrics. Pure but
// for reading the sources they are made from; `scripts/docs.ts` writes them into their places, and a test fails when what
// stands there is another text.
import { readFileSync } from 'node:fs';
import { pino } from 'pino';
import * as limits from '#schemas/limits.ts';
import { PROBLEMS, type ProblemCode, type ProblemRow } from '#schemas/problems.ts';
import { openMetrics } from '#security-server/metrics.ts';
import { DEFAULT_SETTINGS, OVERRIDES, Settings } from '#security-server/settings.ts';
import { xroadError } from '#security-server/xroad/errors.ts';

const ROOT = new URL('../', import.meta.url);

/** Codes of schemas/problems.ts under the headings that stand above them there. */
function problemSections(): { title: string; codes: ProblemCode[] }[] {
  const sections: { title: string; codes: ProblemCode[] }[] = [];
  const tables = ['schemas/problems.ts', 'schemas/problems-evidence.ts'];
  for (const line of tables.flatMap((file) => readFileSync(new URL(file, ROOT), 'utf8').split('\n'))) {
    const title = /^ {2}\/\/ --- (.+)$/.exec(line)?.[1];
    if (title !== undefined) sections.push({ title: title.charAt(0).toUpperCase() + title.slice(1), codes: [] });
    const code = /^ {2}([A-Z][A-Z0-9_]*): row\(/.exec(line)?.[1];
    if (code !== undefined) sections.at(-1)?.codes.push(code as ProblemCode);
  }
  const written = sections.flatMap(({ codes }) => codes);
  const missing = Object.keys(PROBLEMS).filter((code) => !written.includes(code as ProblemCode));
  if (missing.length > 0) throw new TypeError(`not read from schemas/problems*.ts: ${missing.join(', ')}`);
  return sections;
}

/** docs/errors.md as a whole: every row of schemas/problems.ts. */
export function errorsDocument(): string {
  const sections = problemSections();
  const parts = sections
    .filter(({ codes }) => codes.length > 0)
    .map(({ title, codes }) => `## ${title}\n\n${ERROR_HEAD}\n${codes.map(errorRow).join('\n')}\n`);
  return `${ERRORS_INTRODUCTION}\n${parts.join('\n')}`;
}

const ERRORS_INTRODUCTION = `# Errors

Made by \`node scripts/docs.ts\` from \`schemas/problems.ts\`; change that table, not this page.

Every error is an RFC 9457 problem document with the members \`type\`, \`title\`, \`status\`, \`code\`, \`next\` and, where there is
one, \`detail\`. Codes are stable; titles may be reworded. On the command line the same code, title and next step stand on
standard error.

Who sees a code as it is: **public** anyone who reaches the port; **caller** an authenticated information system or
administrator; **peer** another security server; **operator** only the own log and the command line. To everybody else it
is \`INTERNAL\`.
`;
const ERROR_HEAD = '| code | status | title | who sees it | next |\n|---|---|---|---|---|';

function errorRow(code: ProblemCode): string {
  const { status, title, audience, next } = PROBLEMS[code];
  return `| \`${code}\` | ${status} | ${cell(title)} | ${audience} | ${cell(next)} |`;
}

/** Said to administrators, or by routes that X-Road's protocol does not have. */
const NOT_BELOW_R1: ReadonlySet<ProblemCode> = new Set<ProblemCode>([
  'ACCESS_RIGHT_REFUSED',
  'SERVICE_CODE_RESERVED',
  'EMERGENCY_UNKNOWN',
  'EMERGENCY_LASTS',
  'ELEMENTS_NOT_OFFERED',
  'AS_OF_NOT_SUPPORTED',
  'SUBJECT_MISMATCH',
  'OUTCOME_VOID',
  'NOTHING_TO_SETTLE',
]);
const DECIDED = "Decisions of the provider's server";
const AT_CONSUMER = "Outcomes at the consumer's server";

/** Codes of X-Road's protocol, and which of ours each of them stands for; first whatever the caller did wrong. */
export function xroadTable(): string {
  const rows = new Map<string, Set<ProblemCode>>();
  for (const { title, codes } of problemSections()) {
    for (const code of codes) {
      const { status, audience, xroad }: ProblemRow = PROBLEMS[code];
      const isTold = xroad !== undefined || ((title === DECIDED || title === AT_CONSUMER) && audience !== 'operator');
      if (!isTold || NOT_BELOW_R1.has(code)) continue;
      const isClients = code.startsWith('XROAD_') || (title === AT_CONSUMER && status < 500);
      const fault = isClients ? 'client' : title === DECIDED || code.startsWith('BACKEND_') ? 'provider' : 'consumer';
      const { type } = xroadError(code, fault);
      rows.set(type, (rows.get(type) ?? new Set()).add(code));
    }
  }
  const lines = [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([type, codes]) => xroadRow(type, [...codes]));
  return ['| `X-Road-Error` | what happened | with `accord-status` | next |', '|---|---|---|---|', ...lines].join('\n');
}

function xroadRow(type: string, codes: readonly ProblemCode[]): string {
  const of = (member: 'title' | 'status' | 'next') => [...new Set(codes.map((code) => String(PROBLEMS[code][member])))];
  // Of what has many causes the message of the error says which, and what to do stands with the code.
  const isOne = codes.length === 1;
  const titles = codes.length > 4 ? codes.map((code) => `\`${code}\``) : of('title');
  const next = isOne ? of('next') : ['see the message, and [errors.md](errors.md)'];
  return `| \`${type}\` | ${cell(titles.join('; '))} | ${of('status').join(', ')} | ${cell(next.join(' '))} |`;
}

const SETTING_NOTES: Readonly<Record<string, string>> = {
  v: 'version of the file',
  id: 'INSTANCE/CLASS/MEMBER/SERVER; set by `accord server init`',
  address: 'how peers reach it; must be what is registered',
  host: 'where the ports for peers and systems listen; admin and health are on 127.0.0.1 always',
  plainHost:
    'where plain HTTP listens; another address than loopback is for subsystems of mode NOSSL, see "Information systems"',
  'ports.peer': 'peers, mutual TLS 1.3',
  'ports.systems': 'information systems, TLS 1.3 (see `systemsMinTls`); a client certificate is asked for',
  'ports.loopback': 'information systems on this machine, plain HTTP',
  'ports.admin': 'admin API, 127.0.0.1 only',
  'ports.health': 'health and metrics, 127.0.0.1 only',
  configurationPollMs: 'how often the registry is asked for news',
  configurationMaxStaleMs: "stale configuration is used this long; the instance's approved limit wins when it is lower",
  maxBodyBytes: 'largest body of a call in either direction, X-Road’s protocol; the disk of the spool bounds it too',
  maxSpooledBytes: 'memory and disk that all large bodies under way take together; more is refused',
  spoolMemoryBytes: 'memory for those of them that come first, taken with the first and kept; 0: all lie on the disk',
  xroadErrorCodes:
    'spelling of error codes in X-Road’s protocol: `Server.ServerProxy.AccessDenied`, or `server.server_proxy.access_denied` as of its version 7.8',
  xroadDeadlineMs:
    'how long a call in X-Road’s protocol may take to the first byte of its answer; the time of the provider’s service may end it sooner',
  anchoringEveryMs: 'how often the checkpoint of a log that grew goes to the registry’s witness; see "Witnesses"',
  witnessPort:
    'plain HTTP for the registry alone, on `host`: this server is a witness of the aggregate log; null: it is none; see "Witnesses"',
  'archive.destination':
    'where old parts of the message log go: a folder, from the data folder on unless it begins with `/`, or `s3://BUCKET/PREFIX`; null: nowhere; see "Archive"',
  'archive.s3Endpoint': 'address of the S3-compatible store; the credentials stand in `archive-s3.json`',
  'archive.s3Region': 'region that requests to it are signed for',
  'archive.afterDays': 'what is older goes to the archive',
  'archive.keepEntries': 'and what is more than so many entries, however young; 0: any number stays',
  'archive.lockDays':
    'so long the store lets nobody delete what was put there (object lock); 0: no lock; a folder has none',
  'archive.lockMode': 'who may lift that lock: those with a special permission, or nobody',
  consumerProcesses:
    'so many processes serve information systems beside the one that writes the log; 0: that one does; see "Several processes"',
  peerLink:
    'how peers are spoken to: `frames` where their port speaks them too, or `http1` alone, which is slower and the same in all else',
  systemsMinTls:
    'oldest TLS on the port for information systems: `1.2` is for systems that speak nothing newer, with ECDHE and AEAD suites only; see "Information systems"',
  logLevel: 'of the structured log on standard error',
  restoredAtMs: 'time of a restore from a backup; see "Backup and restore"',
};

interface SchemaNode {
  properties?: Record<string, SchemaNode>;
  anyOf?: SchemaNode[];
  const?: unknown;
  type?: string;
  pattern?: string;
  minimum?: number;
  maximum?: number;
}

/** Every setting of a security server: file, environment, flag, default, what is allowed. */
export function settingsTable(): string {
  const rows = settingPaths(Settings as SchemaNode).map(([path, schema]) => {
    const note = SETTING_NOTES[path];
    if (note === undefined) throw new TypeError(`scripts/docs-tables.ts: say what the setting ${path} is for`);
    const flag = Object.entries(OVERRIDES).find(([, target]) => target === path)?.[0];
    const variable = flag === undefined ? '' : `\`ACCORD_SERVER_${flag.toUpperCase().replaceAll('-', '_')}\``;
    const given = defaultOf(path);
    const fallback = given === undefined ? 'required' : `\`${JSON.stringify(given)}\``;
    return `| \`${path}\` | ${fallback} | ${allowed(schema)} | ${variable} | ${flag ? `\`--${flag}\`` : ''} | ${note} |`;
  });
  return ['| `server.json` | default | allowed | environment | flag | |', '|---|---|---|---|---|---|', ...rows].join(
    '\n',
  );
}

function settingPaths(schema: SchemaNode, prefix = ''): [string, SchemaNode][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, each]): [string, SchemaNode][] =>
    each.properties === undefined ? [[`${prefix}${name}`, each]] : settingPaths(each, `${prefix}${name}.`),
  );
}

function defaultOf(path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], DEFAULT_SETTINGS);
}

function allowed({ anyOf, const: only, minimum, maximum, type, pattern }: SchemaNode): string {
  if (anyOf !== undefined) return anyOf.map(allowed).join(', ');
  if (only !== undefined) return String(only);
  if (type === 'null') return 'null';
  if (type === 'integer') return `${minimum ?? ''} to ${maximum ?? 'any'}`;
  return pattern?.startsWith('^https') ? 'https origin' : 'text';
}

/** schemas/limits.ts with the comments that stand there. A comment counts for the rows until the next one. */
export function limitsTable(): string {
  const lines = readFileSync(new URL('schemas/limits.ts', ROOT), 'utf8').split('\n');
  const rows: string[] = [];
  let comment: string[] = [];
  let open = false;
  for (const line of lines) {
    const said = /^(\/\*\*)? ?\*? ?(.*?)(\*\/)?$/.exec(line);
    if (line.startsWith('/**') || open) {
      comment = line.startsWith('/**') ? [said?.[2] ?? ''] : [...comment, said?.[2] ?? ''];
      open = !line.includes('*/');
      continue;
    }
    const name = /^export const ([A-Z0-9_]+)/.exec(line)?.[1];
    if (name === undefined) continue;
    const value = (limits as Readonly<Record<string, unknown>>)[name];
    if (typeof value !== 'number') continue;
    rows.push(`| \`${name}\` | ${amount(name, value)} | ${cell(comment.join(' ').trim())} |`);
    comment = [];
  }
  const numbers = Object.values(limits).filter((value) => typeof value === 'number').length;
  if (rows.length !== numbers || numbers === 0) throw new TypeError('a limit was not read from schemas/limits.ts');
  return ['| limit | value | |', '|---|---|---|', ...rows].join('\n');
}

function amount(name: string, value: number): string {
  if (name.endsWith('_BYTES')) return value % 1024 === 0 ? `${value / 1024} KiB` : `${value} bytes`;
  if (name.endsWith('_MS') && value % 86_400_000 === 0) return `${value / 86_400_000} days`;
  if (name.endsWith('_MS')) return value % 60_000 === 0 ? `${value / 60_000} min` : `${value / 1000} s`;
  return value.toLocaleString('en');
}

/** The metrics that Accord adds to those of Node, from a registry made for the purpose. */
export async function metricsTable(): Promise<string> {
  const zero = () => 0;
  const metrics = openMetrics(
    {
      inFlight: zero,
      logSize: zero,
      ready: zero,
      openDoubts: zero,
      waitingReports: zero,
      waitingNotices: zero,
      dueReviews: zero,
      maintenance: zero,
      overdueDestruction: zero,
      archivedEntries: zero,
      archiveOverdue: zero,
      archiveTrouble: zero,
      waitingDestructions: zero,
      destructionsUnderWay: zero,
      holds: zero,
      framed: zero,
      answerEndsMs: zero,
      anchoredEntries: zero,
      anchoredAtMs: zero,
      anchoringTrouble: zero,
      timeStampWaitedMs: zero,
      timeStampGraceMs: zero,
      timeStampOverdue: zero,
      timeStampAuthoritiesFailing: zero,
    },
    pino({ level: 'silent' }),
  );
  const all = await metrics.registry.getMetricsAsJSON();
  const rows = all
    .filter(({ name }) => name.startsWith('accord_'))
    .map(({ name, help, type }) => `| \`${name}\` | ${String(type)} | ${cell(help)} |`);
  if (rows.length === 0) throw new TypeError('no metric of Accord was found');
  return ['| metric | type | |', '|---|---|---|', ...rows].join('\n');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}
