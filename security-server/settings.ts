// The settings of one security server: `server.json` in its data folder, over it ACCORD_SERVER_* from the environment,
// over that the command line. Unknown names are refused with their place, and `origins` says where each value came from.
// The server's administrator controls all of it.
import { SUBSYSTEM_ID_PATTERN } from '#schemas/identifiers.ts';
import { parseJson } from '#schemas/json.ts';
import {
  DEFAULT_MAX_STREAMED_BYTES,
  MAX_DEADLINE_MS,
  MAX_SPOOLED_BYTES,
  MAX_STREAMED_BYTES,
  SPOOL_MEMORY_BYTES,
} from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';
import { ArchiveSettings, DEFAULT_ARCHIVE } from './archive/settings.ts';

/** The longest time between two checkpoints of a growing log that are sent. */
export const ANCHORING_EVERY_MS = 60_000;

const closed = { additionalProperties: false };
const Port = Type.Integer({ minimum: 0, maximum: 65_535 });

export const Settings = Type.Object(
  {
    v: Type.Literal(1),
    /** INSTANCE/CLASS/MEMBER/SERVER */
    id: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }),
    /** How peers reach it, as registered. */
    address: Type.String({ pattern: '^https://[^/?#\\s]{1,255}$' }),
    /** Where the peers' and the systems' ports listen. Admin and health stay on loopback. */
    host: Type.String({ minLength: 1, maxLength: 255 }),
    /** Where plain HTTP listens for information systems; another address than loopback only when it is said here. */
    plainHost: Type.String({ minLength: 1, maxLength: 255 }),
    ports: Type.Object({ peer: Port, systems: Port, loopback: Port, admin: Port, health: Port }, closed),
    configurationPollMs: Type.Integer({ minimum: 1_000, maximum: 3_600_000 }),
    configurationMaxStaleMs: Type.Integer({ minimum: 60_000, maximum: 7 * 86_400_000 }),
    maxBodyBytes: Type.Integer({ minimum: 1024, maximum: MAX_STREAMED_BYTES }),
    maxSpooledBytes: Type.Integer({ minimum: 1024 ** 2, maximum: 2 ** 50 }),
    spoolMemoryBytes: Type.Integer({ minimum: 0, maximum: 2 ** 30 }),
    xroadErrorCodes: Type.Union([Type.Literal('camel'), Type.Literal('snake')]),
    xroadDeadlineMs: Type.Integer({ minimum: 1_000, maximum: MAX_DEADLINE_MS }),
    /** A growing log's checkpoint goes to the registry's witness so often. */
    anchoringEveryMs: Type.Integer({ minimum: 1_000, maximum: 60_000 }),
    /** Where this server is a witness of the aggregate log (`accord server init-witness`); null: it is none. */
    witnessPort: Type.Union([Port, Type.Null()]),
    /** Where old parts of the message log go, and when. */
    archive: ArchiveSettings,
    /** So many processes serve information systems beside the first one; 0: it does so itself. */
    consumerProcesses: Type.Integer({ minimum: 0, maximum: 64 }),
    /** How peers are spoken to: in frames where they speak them, or over HTTP/1.1 alone. */
    peerLink: Type.Union([Type.Literal('frames'), Type.Literal('http1')]),
    systemsMinTls: Type.Union([Type.Literal('1.3'), Type.Literal('1.2')]),
    logLevel: Type.Union(['silent', 'fatal', 'error', 'warn', 'info', 'debug'].map((level) => Type.Literal(level))),
    /** Set after a restore from a backup, to the time of the restore; see the operations manual. */
    restoredAtMs: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
  },
  closed,
);
export type Settings = Static<typeof Settings>;

export const DEFAULT_SETTINGS = {
  v: 1 as const,
  host: '0.0.0.0',
  plainHost: '127.0.0.1',
  ports: { peer: 5500, systems: 8443, loopback: 8080, admin: 4000, health: 9100 },
  configurationPollMs: 60_000,
  configurationMaxStaleMs: 86_400_000,
  maxBodyBytes: DEFAULT_MAX_STREAMED_BYTES,
  maxSpooledBytes: MAX_SPOOLED_BYTES,
  spoolMemoryBytes: SPOOL_MEMORY_BYTES,
  xroadErrorCodes: 'camel' as const,
  xroadDeadlineMs: MAX_DEADLINE_MS,
  anchoringEveryMs: ANCHORING_EVERY_MS,
  witnessPort: null,
  archive: DEFAULT_ARCHIVE,
  consumerProcesses: 0,
  peerLink: 'frames' as const,
  systemsMinTls: '1.3' as const,
  logLevel: 'info',
  restoredAtMs: null,
};

const check = compile(Settings, 'SETTINGS_INVALID');
const MAX_SETTINGS_BYTES = 64 * 1024;

/** Names in the environment and on the command line, and the member of the settings each one sets. */
export const OVERRIDES: Readonly<Record<string, string>> = {
  host: 'host',
  'plain-host': 'plainHost',
  address: 'address',
  'port-peer': 'ports.peer',
  'port-systems': 'ports.systems',
  'port-loopback': 'ports.loopback',
  'port-admin': 'ports.admin',
  'port-health': 'ports.health',
  'configuration-poll-ms': 'configurationPollMs',
  'configuration-max-stale-ms': 'configurationMaxStaleMs',
  'max-body-bytes': 'maxBodyBytes',
  'max-spooled-bytes': 'maxSpooledBytes',
  'spool-memory-bytes': 'spoolMemoryBytes',
  'xroad-error-codes': 'xroadErrorCodes',
  'xroad-deadline-ms': 'xroadDeadlineMs',
  'anchoring-every-ms': 'anchoringEveryMs',
  'witness-port': 'witnessPort',
  'archive-destination': 'archive.destination',
  'archive-s3-endpoint': 'archive.s3Endpoint',
  'archive-s3-region': 'archive.s3Region',
  'archive-after-days': 'archive.afterDays',
  'archive-keep-entries': 'archive.keepEntries',
  'archive-lock-days': 'archive.lockDays',
  'archive-lock-mode': 'archive.lockMode',
  'consumer-processes': 'consumerProcesses',
  'peer-link': 'peerLink',
  'systems-min-tls': 'systemsMinTls',
  'log-level': 'logLevel',
  'restored-at-ms': 'restoredAtMs',
};

/**
 * defaults < file < environment < flags.
 * @param fileText the text of server.json
 * @param environment variables by name; those that start with ACCORD_SERVER_ count
 * @param flags by the names of OVERRIDES
 * @throws SETTINGS_INVALID naming the setting and where it came from; JSON_*
 */
export function resolveSettings(
  fileText: string,
  environment: Readonly<Record<string, string | undefined>>,
  flags: Readonly<Record<string, string>>,
): { settings: Settings; origins: Record<string, string> } {
  const merged = new Map<string, unknown>();
  const origins: Record<string, string> = {};
  const put = (path: string, value: unknown, origin: string) => {
    merged.set(path, value);
    origins[path] = origin;
  };
  for (const [path, value] of leaves(DEFAULT_SETTINGS)) put(path, value, 'default');
  const file = parseJson(fileText, { maxBytes: MAX_SETTINGS_BYTES, maxDepth: 4, maxValues: 100 });
  for (const [path, value] of leaves(file as object)) put(path, value, 'server.json');
  for (const [name, path] of Object.entries(OVERRIDES)) {
    const variable = `ACCORD_SERVER_${name.toUpperCase().replaceAll('-', '_')}`;
    const fromEnvironment = environment[variable];
    if (fromEnvironment !== undefined) put(path, typed(fromEnvironment), variable);
    const fromFlag = flags[name];
    if (fromFlag !== undefined) put(path, typed(fromFlag), `--${name}`);
  }
  for (const name of Object.keys(flags)) {
    if (!(name in OVERRIDES)) throw new AccordError('SETTINGS_INVALID', `unknown setting --${name}`);
  }
  try {
    return { settings: Object.freeze(check(nested(merged))), origins };
  } catch (error) {
    if (!(error instanceof AccordError)) throw error;
    const path = error.detail.split(' ', 1)[0]?.slice(1).replaceAll('/', '.') ?? '';
    throw new AccordError('SETTINGS_INVALID', `${error.detail}; it came from ${origins[path] ?? 'server.json'}`);
  }
}

function typed(text: string): unknown {
  return /^\d{1,15}$/.test(text) ? Number(text) : text;
}

/** Paths and values of everything that is not an object; the settings have no arrays. */
function leaves(value: object, prefix = ''): [string, unknown][] {
  return Object.entries(value).flatMap(([name, member]): [string, unknown][] =>
    typeof member === 'object' && member !== null
      ? leaves(member, `${prefix}${name}.`)
      : [[`${prefix}${name}`, member]],
  );
}

function nested(flat: ReadonlyMap<string, unknown>): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const [path, value] of flat) {
    const [first = '', second] = path.split('.');
    if (second === undefined) out[first] = value;
    else out[first] = { ...(out[first] as object | undefined), [second]: value };
  }
  return out;
}
