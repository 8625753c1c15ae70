// Health and metrics, on a port of its own that listens on loopback by default. `/readyz` probes for real: it signs with
// the signing key, asks the log whether it can write, looks at the age of the configuration and at the clock.
import type { FastifyInstance } from 'fastify';
import AggregatorRegistry from 'prom-client/lib/cluster.js';
import { keysMatch } from '#certs/key-match.ts';
import { publicKeyOf } from '#certs/keys.ts';
import { openServer } from '#core/http/server-frame.ts';
import { sayAnchoring } from '#core/witness/anchoring-facts.ts';
import { CLOCK_WINDOW_MS } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import type { ServerParts } from './server-parts.ts';

type Check =
  | ('key' | 'certificate-status' | 'configuration' | 'registration')
  | ('maintenance' | 'log' | 'anchoring' | 'time-stamps' | 'archive' | 'clock' | 'processes');

export interface Probe {
  ok: boolean;
  /** One line per thing that was looked at; `code` is OK or what is wrong. */
  checks: {
    name: Check;
    ok: boolean;
    code: string;
    detail: string;
  }[];
}

const PROBE_BYTES = Buffer.from('accord-probe/1');

/** Looks at everything an exchange needs. Synchronous and cheap enough to run on every request to `/readyz`. */
export function probe(server: ServerParts): Probe {
  const checks: Probe['checks'] = [];
  const check = (name: Probe['checks'][number]['name'], look: () => string) => {
    try {
      checks.push({ name, ok: true, code: 'OK', detail: look() });
    } catch (error) {
      const code = isAccordError(error) ? error.code : 'INTERNAL';
      checks.push({ name, ok: false, code, detail: isAccordError(error) ? error.detail : String(error) });
    }
  };
  const nowMs = server.clock.nowMs();
  check('key', () => checkKeys(server, nowMs));
  check('certificate-status', () => checkStatus(server));
  check('configuration', () => {
    const freshness = server.configuration.freshness();
    const { version } = server.configuration.current();
    if (freshness === 'too-old') throw new AccordError('CONFIGURATION_TOO_OLD');
    return `version ${version}, ${freshness}`;
  });
  check('registration', () => {
    if (server.configuration.current().server(server.self) === undefined) {
      throw new AccordError('SERVER_NOT_REGISTERED', server.self);
    }
    return server.self;
  });
  check('maintenance', () => {
    const maintenance = server.state.maintenance();
    if (maintenance !== null) throw new AccordError('MAINTENANCE_MODE', maintenance.notice);
    return 'none';
  });
  check('log', () => {
    const state = server.log.state();
    if (!state.ok) throw new AccordError(state.code, state.detail);
    return `${server.log.size()} entries`;
  });
  check('anchoring', () => checkAnchoring(server));
  check('time-stamps', () => checkTimeStamps(server));
  check('archive', () => sayArchive(server));
  if (server.others !== null) check('processes', () => sayProcesses(server.others?.state()));
  check('clock', () => {
    // The log's last entry is the newest time this server ever saw; a clock behind it was set back.
    const last = server.log.read(Math.max(0, server.log.size() - 1), 1)[0];
    const behindMs = last === undefined ? 0 : last.entry.t - nowMs;
    if (behindMs > CLOCK_WINDOW_MS) throw new AccordError('CLOCK_OUT_OF_WINDOW', `${behindMs} ms behind the log`);
    return 'in step with the log';
  });
  return { ok: checks.every((one) => one.ok), checks };
}

/** What is late is for the alarms to say; a log that others know otherwise is not to be written on. */
function checkAnchoring({ anchoring }: ServerParts): string {
  const { registryWitness, newest, trouble } = anchoring.state();
  if (trouble?.code === 'LOG_NOT_AS_WITNESSED') throw new AccordError(trouble.code, trouble.detail);
  if (registryWitness === null) return 'no witness is named';
  const facts = anchoring.newestFacts();
  const known = newest === null || facts === null ? 'nothing yet' : `${sayAnchoring(facts)}; ${iso(newest.atMs)}`;
  return trouble === null ? known : `${known}; ${trouble.code}`;
}

function checkKeys({ keys }: ServerParts, nowMs: number): string {
  const { key } = keys.signing();
  if (!keysMatch(key, publicKeyOf(key), PROBE_BYTES)) throw new AccordError('KEY_UNUSABLE', 'the signing key');
  const { authentication, signing, encryption } = keys.held();
  const [tls, sign] = [authentication, signing].map((held) => held.find(({ inUse }) => inUse));
  if (tls === undefined || sign === undefined || !tls.registered) {
    throw new AccordError('CERTIFICATE_NOT_REGISTERED', 'the TLS certificate of this server');
  }
  if (nowMs >= tls.notAfterMs) throw new AccordError('CERTIFICATE_INVALID', 'the TLS certificate has expired');
  if (encryption.length === 0) throw new AccordError('KEY_UNUSABLE', 'no encryption key');
  return `signing until ${new Date(sign.notAfterMs).toISOString()}`;
}

/** What runs out is for the alarms to say; a certificate that is revoked serves nobody. */
function checkStatus({ certificateStatus }: ServerParts): string {
  const own = certificateStatus.own();
  const revoked = own.find(({ status }) => status === 'revoked');
  if (revoked !== undefined) throw new AccordError('CERTIFICATE_INVALID', `revoked: ${revoked.certificate}`);
  const ends = own.flatMap(({ endsMs }) => endsMs ?? []);
  const since = own.flatMap(({ thisUpdateMs }) => thisUpdateMs ?? []);
  if (ends.length === 0) return 'no OCSP answer';
  return `OCSP answers until ${iso(Math.min(...ends))}, the oldest of ${iso(Math.min(...since))}`;
}

/** Never a reason to stop: nothing is let go that is not there. The alarms say what is late. */
function sayArchive({ archive }: ServerParts): string {
  const { destination, archivedUntil, newest, overdue, trouble, closed } = archive.state();
  if (destination === null) return 'none is set';
  const last = newest === null ? '' : `, last ${iso(newest.atMs)}`;
  const before = closed.map((one) => {
    const said = one.trouble === null ? '' : ` ${one.trouble.code}`;
    return `; ${one.origin} ${one.archivedUntil} of ${one.entries}${said}`;
  });
  const wrong = `${overdue ? '; overdue' : ''}${trouble === null ? '' : `; ${trouble.code}`}`;
  return `${archivedUntil} entries${last}${before.join('')}${wrong}`;
}

/** While one of them serves, information systems are served. */
function sayProcesses({ wanted, running } = { wanted: 0, running: 0 }): string {
  const said = `${running} of ${wanted} serve information systems`;
  if (running === 0) throw new AccordError('PROCESS_ENDED', said);
  return said;
}

function checkTimeStamps({ anchoring }: ServerParts): string {
  anchoring.grace.requireInTime();
  const { graceMs, waiting } = anchoring.grace.state();
  if (graceMs === null) return 'no authority is named';
  const trouble = anchoring.authorities().map(sayAuthority).join('');
  if (waiting === null) return `nothing waits${trouble}`;
  return `entry ${waiting.seq} waits for ${minutes(waiting.waitedMs)} of ${minutes(graceMs)} minutes${trouble}`;
}

/** What this server met itself; the newest anchoring names who stamped for the registry. */
function sayAuthority({ name, failures, lastProblem, certificate }: AuthorityNow): string {
  const problems = [...(failures > 0 ? [lastProblem] : []), ...(certificate.status === 'revoked' ? ['revoked'] : [])];
  return problems.length === 0 ? '' : `; ${name}: ${problems.join(', ')}`;
}
type AuthorityNow = ReturnType<ServerParts['anchoring']['authorities']>[number];

const iso = (atMs: number) => new Date(atMs).toISOString();
const minutes = (ms: number) => Math.floor(ms / 60_000);

export function openHealthPort(server: ServerParts): FastifyInstance {
  const app = openServer({ name: 'health', logger: server.logger, bodyLimit: 1024 });
  app.get('/livez', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const result = probe(server);
    return reply.code(result.ok ? 200 : 503).send(result);
  });
  app.get('/metrics', async (_request, reply) => {
    const { registry } = server.metrics;
    if (server.others === null) return reply.type(registry.contentType).send(await registry.metrics());
    const all = [await registry.getMetricsAsJSON(), ...(await server.others.metrics())];
    return reply.type(registry.contentType).send(await AggregatorRegistry.aggregate(all).metrics());
  });
  return app;
}
