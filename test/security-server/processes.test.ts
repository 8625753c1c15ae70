// One server in three processes, by its program: two serve the information systems, one writes the log. Killed one by one
// under load; every change reaches both; what was told stands in both logs, and every open end is settled by either.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import t from 'tap';
import { endWithUs, firstLine, LEAN_SERVER, openDevNetwork, stopProcess } from '#cli/dev/network.ts';
import { systemClock } from '#core/clock.ts';
import { PLAIN_TERMS } from '#schemas/access-right.ts';
import { auditFolder, contradictions, readKinds, type Told } from '#scripts/campaign/kill-verdict.ts';
import { freePort } from '#scripts/free-port.ts';

t.setTimeout(120_000);
const CLIENT = 'DEV/GOV/1001/consumer';
const SERVICE = 'DEV/GOV/2002/provider/deeds';
const PROCESSES = 2;

interface Answer {
  status: number;
  body: Record<string, unknown>;
}

const folder = mkdtempSync(join(tmpdir(), 'accord-processes-'));
const executed = new Map<string, number>();
const backend = createServer((asked, answer) => {
  const id = String(asked.headers['accord-message-id']);
  asked.resume().on('end', () => {
    executed.set(id, (executed.get(id) ?? 0) + 1);
    answer.setHeader('content-type', 'application/json').end('{"done":true}');
  });
});
await once(backend.listen(0, '127.0.0.1'), 'listening');
const network = await openDevNetwork({
  ...{ folder, instance: 'DEV', clock: systemClock, logger: pino({ level: 'silent' }), processes: false },
  members: [
    { id: 'DEV/GOV/1001', name: 'Consumer', subsystem: 'consumer', server: 'ss1' },
    { id: 'DEV/GOV/2002', name: 'Provider', subsystem: 'provider', server: 'ss2' },
  ],
});
const [consumer, provider] = network.servers;
if (consumer === undefined || provider === undefined) throw new TypeError('two servers were asked for');
const url = `http://127.0.0.1:${(backend.address() as AddressInfo).port}`;
await network.addService(provider, { id: SERVICE, title: 'deeds', url, personalData: false, safe: false });
await network.publish();
const endpoints = [{ method: 'POST', path: '/deeds' }];
await provider.call('POST', '/access-rights', {
  ...PLAIN_TERMS,
  client: CLIENT,
  service: SERVICE,
  endpoints,
  bases: ['open'],
});
await consumer.stop();
consumer.stop = async () => {}; // from now on it runs as a program

const ports = { loopback: await freePort(), admin: await freePort(), health: await freePort() };
const said: Record<string, unknown>[] = [];
async function start(count: number): Promise<ChildProcess> {
  const named = Object.entries(ports).flatMap(([name, port]) => [`--port-${name}`, String(port)]);
  const flags = ['--dir', consumer?.folder ?? '', '--consumer-processes', String(count), ...named];
  const child = spawn(process.execPath, ['security-server/main.ts', ...flags], {
    env: {
      ...{ ...process.env, ACCORD_KEY_PASSPHRASE_FILE: network.passphraseFile, ACCORD_SERVER_LOG_LEVEL: 'info' },
      NODE_COMPILE_CACHE: LEAN_SERVER.NODE_COMPILE_CACHE, // other flags: either would throw away what the other compiled
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  endWithUs(child);
  // One that is killed may end in the middle of a line.
  createInterface({ input: child.stderr }).on('line', (line) => /^\{.*\}$/.test(line) && said.push(JSON.parse(line)));
  await firstLine(child);
  return child;
}
let first = await start(PROCESSES);
t.teardown(async () => {
  await stopProcess(first);
  await network.close();
  backend.close().closeAllConnections();
  rmSync(folder, { recursive: true, force: true });
});

/** Each on a connection of its own, which the first process gives to one of the others. */
function ask(port: number, method: string, path: string, body?: object, key?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = {
      ...(body && { 'content-type': 'application/json' }),
      ...(key && { authorization: `Bearer ${key}` }),
    };
    const sent = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, async (answer) => {
      const text = Buffer.concat(await answer.toArray()).toString();
      const isJson = String(answer.headers['content-type']).includes('json');
      resolve({ status: answer.statusCode ?? 0, body: isJson ? JSON.parse(text) : { text } });
    });
    sent.on('error', reject).end(body && JSON.stringify(body));
  });
}
const lookup = (number: number) =>
  ask(ports.loopback, 'POST', '/lookups', {
    client: CLIENT,
    service: SERVICE,
    method: 'POST',
    path: '/deeds',
    body: { number },
  });
const admin = (method: string, path: string, body?: object) => ask(ports.admin, method, path, body, consumer.adminKey);
const several = (count: number) => Promise.all(Array.from({ length: count }, (_, at) => lookup(at)));
const told: Told[] = [];
const tellAll = (answers: readonly Answer[]) =>
  told.push(...answers.map(({ body }) => ({ id: String(body['id']), outcome: String(body['outcome']) })));

/** The processes that serve, of the one that writes. */
function others(): number[] {
  const of = (pid: string) => readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ')[1];
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    try {
      return of(pid) === String(first.pid) ? [Number(pid)] : [];
    } catch {
      return []; // ended meanwhile
    }
  });
}
async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (const endMs = performance.now() + 30_000; performance.now() < endMs; await delay(50)) if (await what()) return;
  throw new Error(`not in time: ${what}`);
}
const processesCheck = async () => {
  const { body } = await ask(ports.health, 'GET', '/readyz');
  return (body['checks'] as { name: string; code: string; detail: string }[]).find(({ name }) => name === 'processes');
};

t.test('both serve, and one log holds what they did', async (t) => {
  t.match(await processesCheck(), { code: 'OK', detail: '2 of 2 serve information systems' });
  const answers = await several(24);
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]));
  tellAll(answers);
  const served = said.filter(({ msg }) => msg === 'exchange').map(({ process }) => process);
  t.same([...new Set(served)].sort(), [1, 2], 'each took some');
  const { body } = await ask(ports.health, 'GET', '/metrics');
  t.match(body['text'], /accord_exchanges_total\{side="consumer",outcome="ok"\} 24\n/, 'counted together');
  t.ok(Number(/accord_log_entries (\d+)\n/.exec(String(body['text']))?.[1]) >= 48);
  const [one] = told;
  const settled = await ask(ports.loopback, 'POST', `/lookups/${one?.id}/settle`);
  t.match(settled, { status: 200, body: { state: 'answered', code: 'OK', answer: { outcome: 'ok' } } }, 'from the log');
});

t.test('a change is in force in both when it is answered', async (t) => {
  for (const [method, body, status, code] of [
    ['PUT', { notice: 'back at noon' }, 503, 'MAINTENANCE_MODE'],
    ['DELETE', undefined, 200, undefined],
  ] as const) {
    t.equal((await admin(method, '/maintenance', body)).status, 200);
    const answers = await several(8);
    t.same(new Set(answers.map((answer) => answer.status)), new Set([status]), method);
    t.same(new Set(answers.map((answer) => answer.body['code'])), new Set([code === undefined ? 'OK' : code]));
    if (status === 200) tellAll(answers);
  }
  t.equal((await admin('PUT', '/connection-modes', { subsystem: CLIENT, mode: 'SSLAUTH', addresses: [] })).status, 200);
  t.same(new Set((await several(8)).map(({ body }) => body['code'])), new Set(['CALLER_UNPROVEN']));
  t.equal((await admin('DELETE', `/connection-modes/${CLIENT}`)).status, 204);
  t.equal((await admin('POST', '/keys/reload')).status, 200);
  tellAll(await several(4));
});

/** Asks without a pause until told to stop; a connection that ends tells nothing. */
function load(): () => Promise<void> {
  let isOn = true;
  const slots = Array.from({ length: 8 }, async (_, slot) => {
    for (let number = 0; isOn; number += 1) {
      await lookup(slot * 1000 + number).then(
        (answer) => tellAll([answer]),
        () => delay(20),
      );
    }
  });
  return async () => {
    isOn = false;
    await Promise.all(slots);
  };
}

/** What no answer told, by whichever process takes the question. */
async function settleTheRest(): Promise<void> {
  const known = new Set(told.map(({ id }) => id));
  for (const [id, kinds] of readKinds(consumer?.folder ?? '')) {
    if (known.has(id) || !kinds.has('request-sent')) continue;
    const { body } = await ask(ports.loopback, 'POST', `/lookups/${id}/settle`);
    told.push({ id, outcome: `settled ${body['state']}` });
  }
}

async function nothingIsLost(): Promise<string[]> {
  const places = [consumer?.folder ?? '', provider?.folder ?? ''] as const;
  const audits = await Promise.all(places.map(auditFolder));
  return [
    ...audits.filter((one) => one !== null),
    ...contradictions(told, readKinds(places[0]), readKinds(places[1]), executed),
  ];
}

t.test('kill -9 of one: the other goes on, it comes back, nothing is lost', async (t) => {
  const stop = load();
  await delay(300);
  const [victim = 0] = others();
  process.kill(victim, 'SIGKILL');
  await until(() => said.some(({ alarm }) => alarm === 'PROCESS_ENDED'));
  t.match(await lookup(0).then(({ status }) => status), 200, 'at once');
  await until(async () => (await processesCheck())?.detail === '2 of 2 serve information systems');
  await stop();
  await settleTheRest();
  t.same(await nothingIsLost(), []);
  t.notOk(others().includes(victim));
});

t.test('kill -9 of the one that writes: both end with it; started anew it goes on where it was', async (t) => {
  const stop = load();
  await delay(300);
  const pids = others();
  t.equal(pids.length, PROCESSES);
  const gone = once(first, 'exit');
  first.kill('SIGKILL');
  await gone;
  const lives = (pid: number) => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  await until(() => !pids.some(lives));
  first = await start(1);
  tellAll(await several(4));
  await stop();
  await settleTheRest();
  t.same(await nothingIsLost(), []);
});

t.test('a signal drains all of them', async (t) => {
  const pids = others();
  const under = Promise.allSettled(Array.from({ length: 16 }, (_, at) => lookup(at)));
  await until(() => executed.size > told.length); // some are under way
  const ended = once(first, 'exit');
  for (const pid of [...pids, first.pid ?? 0]) process.kill(pid, 'SIGTERM'); // as Ctrl-C in a terminal
  const [code] = await ended;
  t.equal(code, 0);
  const answers = (await under).flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  t.ok(answers.length > 0, 'what was under way is answered');
  tellAll(answers.filter(({ status }) => status === 200));
  t.same(others(), []);
  t.same(await nothingIsLost(), []);
});
