// A registry with a witness and an aggregate log on real ports, servers' logs and department witnesses, for the tests of the
// aggregate log.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openThrowawayRegistry, type ThrowawayOptions } from '#central-registry/throwaway.ts';
import { systemClock } from '#core/clock.ts';
import { openClient } from '#core/http/client.ts';
import { addressOf, openServer } from '#core/http/server-frame.ts';
import { type AggregateWitnessOptions, openAggregateWitness } from '#core/witness/aggregate-witness.ts';
import { cosigner, formatCosignerKey } from '#core/witness/cosignature.ts';
import { openWitnessStoreSqlite } from '#core/witness/witness-store-sqlite.ts';
import { WitnessedLog } from '#test/core/witnessed-log.ts';

export const ed25519 = () => generateKeyPairSync('ed25519').privateKey;
const mlDsa = () => (generateKeyPairSync as (type: string) => { privateKey: KeyObject })('ml-dsa-44').privateKey;
export const INSTANCE = 'XA';
const MEMBER = `${INSTANCE}/GOV/1001`;
export const http = openClient();
export const root = mkdtempSync(join(tmpdir(), 'accord-aggregate-'));
t.teardown(async () => {
  await http.close();
  rmSync(root, { recursive: true, force: true });
});

export const logs = ['SS1', 'SS2', 'SS3'].map((code) => new WitnessedLog(`accord/${MEMBER}/${code}`));
export const [one, two, three] = logs as [WitnessedLog, WitnessedLog, WitnessedLog];

export const REGISTRY_KEYS = {
  name: 'registry.example/witness',
  cosigners: [ed25519(), mlDsa()],
  aggregate: ed25519(),
};
/** What the tests change: whether authorities answer, which servers are registered; and what was told. */
export const now = { tokens: true, servers: logs, alarms: [] as string[] };

/** As at the beginning: test files run one after the other in one process. */
export function anew(): void {
  for (const log of logs) log.empty();
  Object.assign(now, { tokens: true, servers: logs, alarms: [] });
}

export async function site(folder: string, more: Partial<ThrowawayOptions> = {}) {
  const registry = await openThrowawayRegistry({
    folder: join(root, folder),
    instance: INSTANCE,
    clock: systemClock,
    witness: REGISTRY_KEYS,
    aggregateEveryMs: 3_600_000,
    stamp: async (imprint) => {
      if (!now.tokens) throw new Error('away');
      return { token: Buffer.concat([Buffer.from('token '), imprint]), authority: 'test' };
    },
    onAlarm: (what) => now.alarms.push(what),
    ...more,
  });
  if (registry.witness === null) throw new TypeError('there are keys');
  return { registry, witness: registry.witness };
}

export async function register({ registry }: Awaited<ReturnType<typeof site>>): Promise<void> {
  await registry.call('POST', '/members', { id: MEMBER, name: 'Department' });
  for (const { origin, registered } of now.servers) {
    await registry.call('POST', '/servers', {
      id: origin.slice('accord/'.length),
      address: 'https://ss.example:5500',
      ...{ authenticationCertificates: [], signingCertificates: [], encryptionKeys: [], subjectKeys: [] },
      subsystems: [],
      log: registered,
    });
  }
}

/** A department's witness of the aggregate log, on a port of its own. */
export async function department(
  name: string,
  verifier: WitnessedLog['verifier'] | (() => WitnessedLog['verifier']),
  url: () => string,
  more: Pick<AggregateWitnessOptions, 'stepLeaves'> = {},
) {
  const cosigners = [cosigner(name, ed25519()), cosigner(name, mlDsa())];
  const store = openWitnessStoreSqlite(join(root, `${name}.db`));
  const wrong: string[] = [];
  const witness = openAggregateWitness({
    ...{ store, cosigners, clock: systemClock, http },
    aggregate: () => ({ verifier: typeof verifier === 'function' ? verifier() : verifier, url: url() }),
    rules: {
      instance: INSTANCE,
      verifierOf: (origin) => logs.find((log) => log.origin === origin)?.verifier,
      contentHash: () => undefined,
    },
    onWrong: (detail) => wrong.push(detail),
    ...more,
  });
  const app = openServer({ name });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  const state = { isUp: true };
  app.post('/add-checkpoint', async (request, reply) => {
    if (!state.isUp) return reply.code(503).send();
    const answer = await witness.add(request.body as Buffer);
    return reply.code(answer.status).type(answer.type).send(answer.body);
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.teardown(async () => {
    await app.close();
    store.close();
  });
  return {
    name,
    url: addressOf(app),
    verifierKeys: cosigners.map(({ key }) => formatCosignerKey(key)),
    state,
    wrong,
    store,
  };
}

export async function ask(
  url: string,
): Promise<{ status: number; type: string; text: string; body: Buffer; retry: string }> {
  const { status, headers, body } = await http.request({ method: 'GET', url });
  const header = (name: string) => headers.find(([each]) => each.toLowerCase() === name)?.[1] ?? '';
  return { status, type: header('content-type'), text: body.toString(), body, retry: header('retry-after') };
}
