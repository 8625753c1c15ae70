// Everything that is measured, side by side on one machine: the exchange, the bare chain of two nginx, the same two hops
// in fastify and undici, one backend behind all, one load in front. Towards the load every variant is plain HTTP on
// loopback, as for an information system that runs beside its security server.
import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openThrowAwayAuthority } from '#cli/dev/throw-away-authority.ts';
import { systemClock } from '#core/clock.ts';
import { CONSUMER, PROVIDER } from './assistance.ts';
import type { OpenedNetwork } from './network.ts';
import { nginxMissing, openNginx } from './nginx.ts';
import type { PlainHop } from './plain.ts';
import { type Started, startScript, type Talking } from './processes.ts';

export type VariantName = 'nginx' | 'plain' | 'safe' | 'write';

export interface Variant {
  name: VariantName;
  url: string;
  service: 'safe' | 'write' | null;
  pids: { consumer: number[]; provider: number[]; backend: number[] };
}

export interface Variants {
  /** In the order in which they take turns. */
  all: Variant[];
  /** Why there is no nginx; null when there is. */
  withoutNginx: string | null;
  network: OpenedNetwork;
  load: Talking;
  /** Where the servers' structured logs go. */
  logFile: string;
  close(): Promise<void>;
}

interface Hop {
  pem: { cert: string; key: string; ca: string };
  files: { cert: string; key: string; ca: string; name: string };
}

interface VariantsOptions {
  /** Where the servers put their profiles, if they shall be able to make some. */
  profileFolder: string | null;
  /** How much of the dictionary the servers hold. */
  dictionary: 'whole' | 'asked';
}

export async function openVariants(folder: string, options: VariantsOptions): Promise<Variants> {
  const { profileFolder, dictionary } = options;
  const opened: { stop(): Promise<void> }[] = [];
  const close = async () => void (await Promise.all(opened.map((one) => one.stop())));
  const keep = async <T extends { stop(): Promise<void> }>(starting: Promise<T>): Promise<T> => {
    const one = await starting;
    opened.push(one);
    return one;
  };
  const logFile = join(folder, 'servers.log');
  try {
    const backend = await keep(startScript('backend.ts', []));
    const openNetwork = keep(
      startScript('network.ts', [join(folder, 'network'), backend.line, dictionary], {
        stderr: openSync(logFile, 'a'),
        environment: serverEnvironment(profileFolder),
      }),
    );
    const openLoad = keep(startScript('load.ts', [], { silent: true }));
    const hops = await makeHops(folder);
    const withoutNginx = nginxMissing();
    const nginx =
      withoutNginx === null
        ? await openNginx(join(folder, 'nginx'), backend.line, [hops[0].files, hops[1].files])
        : null;
    if (nginx !== null) opened.push(nginx.front, nginx.back);
    const plainBack = await keep(startPlain({ listen: hops[1].pem, to: backend.line, connect: null }));
    const plainFront = await keep(startPlain({ listen: null, to: plainBack.line, connect: hops[0].pem }));
    const [started, load] = await Promise.all([openNetwork, openLoad]);
    const network = JSON.parse(started.line) as OpenedNetwork;
    const pids = (consumer: number[], provider: number[]) => ({ consumer, provider, backend: backend.pids });
    const servers = pids([network.pids.consumer], [network.pids.provider]);
    const all: Variant[] = [
      { name: 'plain', url: plainFront.line, service: null, pids: pids(plainFront.pids, plainBack.pids) },
      { name: 'safe', url: network.consumerUrl, service: 'safe', pids: servers },
      { name: 'write', url: network.consumerUrl, service: 'write', pids: servers },
    ];
    if (nginx !== null) {
      const { url, front, back } = nginx;
      all.unshift({ name: 'nginx', url, service: null, pids: pids(front.pids, back.pids) });
    }
    return { all, withoutNginx, network, load, logFile, close };
  } catch (cause) {
    await close();
    const said = existsSync(logFile) ? serverComplaints(logFile).join('\n') : '';
    throw new Error(`not everything started: ${cause instanceof Error ? cause.message : cause}\n${said}`, { cause });
  }
}

/** As a new server runs: one structured line for each exchange, here into a file. */
function serverEnvironment(profileFolder: string | null): Record<string, string> {
  const environment = { ACCORD_SERVER_LOG_LEVEL: 'info' };
  if (profileFolder === null) return environment;
  const preload = new URL('./profiled.ts', import.meta.url).href;
  return { ...environment, NODE_OPTIONS: `--import ${preload}`, ACCORD_BENCH_PROFILES: profileFolder };
}

const startPlain = (hop: PlainHop): Promise<Started> => startScript('plain.ts', [JSON.stringify(hop)]);

/** A certificate for each hop, of the same kind as the servers' (P-256), and the authority that both trust. */
async function makeHops(folder: string): Promise<[Hop, Hop]> {
  const authority = await openThrowAwayAuthority(systemClock);
  const ca = authority.rootPem;
  const hop = async (member: typeof CONSUMER | typeof PROVIDER): Promise<Hop> => {
    const { authentication } = (await authority.server(`${member.id}/${member.server}`)).keys;
    const key =
      'key' in authentication
        ? authentication.key.export({ type: 'pkcs8', format: 'pem' }).toString()
        : authentication.keyPem;
    const place = join(folder, member.server);
    mkdirSync(place, { recursive: true, mode: 0o700 });
    const pem = { cert: authentication.certPem, key, ca };
    const write = (name: keyof typeof pem) => {
      writeFileSync(join(place, `${name}.pem`), pem[name], { mode: 0o600 });
      return join(place, `${name}.pem`);
    };
    return { pem, files: { cert: write('cert'), key: write('key'), ca: write('ca'), name: member.server } };
  };
  return [await hop(CONSUMER), await hop(PROVIDER)];
}

/** The end of what the servers said beyond one line an exchange. */
export function serverComplaints(logFile: string): string[] {
  const lines = readFileSync(logFile, 'utf8').split('\n');
  return lines.filter((line) => line !== '' && !/^\{"level":[123]0,/.test(line)).slice(0, 10);
}
