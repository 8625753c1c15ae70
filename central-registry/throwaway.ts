// A registry for development, the demo and tests, whose root, approver and online keys are made on the spot and held in
// this one process. In a real instance they are held by different persons and the approvers' never come near the registry;
// whoever opens this says so.
import type { KeyObject } from 'node:crypto';
import { generateKeys, type KeyKind } from '#certs/keys.ts';
import type { Clock } from '#core/clock.ts';
import { anchorOf, planRoot, signFile, signOne } from '#core/configuration/sign.ts';
import { fileHash } from '#core/configuration/verify.ts';
import { type BoundedClient, openClient } from '#core/http/client.ts';
import type { ConfigurationAnchor } from '#schemas/configuration.ts';
import { parseJson } from '#schemas/json.ts';
import { MAX_DICTIONARY_BYTES } from '#schemas/limits.ts';
import { openRegistry, type Registry, type RegistryOptions } from './registry.ts';
import { type WitnessKeys, witnessName } from './witness-keys.ts';

export interface ThrowawayOptions extends Omit<RegistryOptions, 'rootFile' | 'anchor' | 'freshnessKey' | 'clock'> {
  instance: string;
  clock: Clock;
}

export interface ThrowawayRegistry extends Registry {
  anchor: ConfigurationAnchor;
  rootFile: Buffer;
  /** An API key with the role registry-admin. */
  apiKey: string;
  /** One call of the admin API. @throws Error with the problem's code when it refuses */
  call(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<{ status: number; body: unknown }>;
  /** Draft, both approvals, publication: everything registered so far is in force. Returns the version. */
  publish(): Promise<number>;
  /** The two approvers' private keys. */
  approvers: readonly [KeyObject, KeyObject];
}

/** A year: a throw-away instance does not outlive it. */
const ROOT_LIFETIME_MS = 365 * 86_400_000;

/** Port 0 by default, so that several can live side by side. */
export async function openThrowawayRegistry(options: ThrowawayOptions): Promise<ThrowawayRegistry> {
  const { instance, clock } = options;
  const make = () => generateKeys('P-256').privateKey;
  const [rootKey, online] = [make(), make()];
  const approvers = [make(), make()] as const;
  const payload = planRoot({
    instance,
    rootKeys: [{ key: rootKey, person: 'throw-away root holder' }],
    rootThreshold: 1,
    approvers: approvers.map((key, at) => ({ key, person: `throw-away approver ${at + 1}` })),
    freshness: [{ key: online, person: 'registry' }],
    expiresAtMs: clock.nowMs() + ROOT_LIFETIME_MS,
  });
  const rootFile = signFile('root', payload, [rootKey]);
  const root = { document: parseJson(payload) as never, file: rootFile, hash: fileHash(rootFile) };
  const registry = await openRegistry({
    witness: throwAwayWitness(instance),
    configuration: { host: '127.0.0.1', port: 0 },
    admin: { host: '127.0.0.1', port: 0 },
    ...options,
    rootFile,
    anchor: anchorOf(root, ['http://127.0.0.1/']),
    freshnessKey: online,
  });
  const apiKey = registry.makeApiKey('throw-away', 'registry-admin');
  const client = openClient();
  const call: ThrowawayRegistry['call'] = (method, path, body) =>
    ask(client, registry.adminUrl, apiKey, method, path, body);
  return {
    ...registry,
    anchor: anchorOf(root, [registry.configurationUrl]),
    rootFile,
    apiKey,
    approvers,
    call,
    async publish() {
      const { version, payload: draft } = (await call('POST', '/configuration/drafts')).body as {
        version: number;
        payload: string;
      };
      for (const key of approvers) {
        const signature = signOne('content', Buffer.from(draft, 'base64url'), key);
        await call('POST', `/configuration/drafts/${version}/signatures`, signature);
      }
      return version;
    },
    async close() {
      await client.close();
      await registry.close();
    },
  };
}

function throwAwayWitness(instance: string): WitnessKeys {
  const make = (kind: KeyKind) => generateKeys(kind).privateKey;
  return { name: witnessName(instance), cosigners: [make('Ed25519'), make('ML-DSA-44')], aggregate: make('Ed25519') };
}

async function ask(
  client: BoundedClient,
  origin: string,
  apiKey: string,
  method: string,
  path: string,
  body: object | undefined,
): Promise<{ status: number; body: unknown }> {
  const answer = await client.request({
    method,
    url: `${origin}${path}`,
    headers: [
      ['authorization', `Bearer ${apiKey}`],
      ...(body ? ([['content-type', 'application/json']] as const) : []),
    ],
    ...(body && { body: Buffer.from(JSON.stringify(body)) }),
    maxResponseBytes: 2 * MAX_DICTIONARY_BYTES,
  });
  const limits = { maxBytes: 2 * MAX_DICTIONARY_BYTES, maxValues: MAX_DICTIONARY_BYTES / 8 };
  const parsed = parseJson(answer.body, limits) as { code?: string; detail?: string };
  if (answer.status >= 400) throw new Error(`${method} ${path}: ${parsed.code} ${parsed.detail ?? ''}`);
  return { status: answer.status, body: parsed };
}
