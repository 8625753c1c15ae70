// What campaign `consent` stands on: two real servers, two registered consent services and one that is not, their lists over
// HTTP, a department's backend, and a clock that only the campaign moves.
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportPublicJwk, generateKeys, thumbprint } from '#certs/keys.ts';
import type { NamedKey } from '#certs/registered-key.ts';
import { packStatuses, signStatusList } from '#certs/status-list.ts';
import { type Clock, systemClock } from '#core/clock.ts';
import type { OfficialKeyEntry } from '#schemas/configuration.ts';
import type { EncryptionKey } from '#schemas/registrations.ts';
import type { ListIs } from './consent-cases.ts';
import { CLIENTS, heldOf, ISSUERS, RIGHTS, SERVICES } from './consent-facts.ts';
import { ALL_PURPOSES, accessRightOf, ENTRIES, tableOf } from './consent-registrations.ts';
import { openPair, type Pair, PROVIDER } from './pair.ts';

/** Stands still until it is moved. */
export class HeldClock implements Clock {
  /** The truth, and how far from it this clock is. */
  trueMs: number;
  aheadMs = 0;
  readonly #startMs: number;

  constructor(atMs: number) {
    this.trueMs = this.#startMs = atMs;
  }

  nowMs(): number {
    return this.trueMs + this.aheadMs;
  }

  monotonicMs(): number {
    return this.trueMs - this.#startMs;
  }
}

interface ListOrder {
  is: ListIs;
  signedMs: number | null;
}

export interface ConsentSetting {
  pair: Pair;
  /** The provider's. */
  clock: HeldClock;
  keys: Record<(typeof ISSUERS)[number] | 'stranger', NamedKey>;
  /** Of each department's officials; the stranger's is registered nowhere. */
  officials: Record<(typeof CLIENTS)[number] | 'stranger', NamedKey>;
  subjectKey: EncryptionKey;
  foreignSubjectKey: EncryptionKey;
  statusUrlOf(issuer: string): string;
  /** A list at that address: the first fetch gets it, later ones find nobody, unless it is young. */
  serve(uri: string, order: ListOrder): void;
  close(): Promise<void>;
}

/** Values of a list: place n says n mod 4. */
export const PLACES = Uint8Array.from({ length: 64 }, (_, place) => place % 4);
const KEPT_LISTS = 2_000;

/** What the department answers, as every one of its backends does. */
export function backendAnswer(path: string): { status: number; type: string; body: string } {
  const subject = /\/([0-9]+)$/.exec(path)?.[1];
  if (subject === undefined) return { status: 404, type: 'application/problem+json', body: '{"status":404}' };
  const body = JSON.stringify({ ...heldOf(subject), adult: true, unbound: `secret ${subject}` });
  return { status: 200, type: 'application/json', body };
}

function namedKey(): NamedKey {
  const { privateKey } = generateKeys('P-256');
  return { kid: thumbprint(privateKey), privateKey };
}

function registered({ kid, privateKey }: NamedKey): OfficialKeyEntry {
  const { kty, crv, x, y } = exportPublicJwk(privateKey);
  return { kid, jwk: { kty, crv, x, y } as OfficialKeyEntry['jwk'] };
}

export async function openConsentSetting(): Promise<ConsentSetting> {
  // A whole second: from then on the newest signed time and the clock agree to the millisecond.
  const startMs = Math.floor(systemClock.nowMs() / 1000) * 1000;
  const clock = new HeldClock(startMs);
  const truth: Clock = { nowMs: () => clock.trueMs, monotonicMs: () => clock.monotonicMs() };
  const pair = await openPair({ clock: truth, right: null, provider: { clock } });
  const [first, second, third] = ISSUERS;
  const keys = { [first]: namedKey(), [second]: namedKey(), [third]: namedKey(), stranger: namedKey() };
  const lists = openLists(clock, keys);
  await new Promise<void>((resolve) => lists.server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(lists.server.address() as AddressInfo).port}`;
  const statusUrlOf = (issuer: string) => `${url}/${encodeURIComponent(issuer)}`;
  const officials = { [CLIENTS[0]]: namedKey(), [CLIENTS[1]]: namedKey(), stranger: namedKey() };
  for (const client of CLIENTS) pair.configuration.officials.set(client, [registered(officials[client])]);
  register(pair, keys, statusUrlOf);
  const [subjectKey] = pair.configuration.entries.get(PROVIDER)?.subjectKeys ?? [];
  if (subjectKey === undefined) throw new TypeError('the provider has no subject key');
  const stranger = generateKeys('P-256');
  const foreign = exportPublicJwk(stranger.publicKey) as EncryptionKey['jwk'];
  return {
    ...{ pair, clock, keys, officials, subjectKey, statusUrlOf },
    foreignSubjectKey: { ...subjectKey, kid: thumbprint(stranger.publicKey), jwk: foreign },
    serve: (uri, order) => lists.serve(uri, order),
    async close() {
      await pair.close();
      lists.server.close();
      lists.server.closeAllConnections();
    },
  };
}

function register(pair: Pair, keys: ConsentSetting['keys'], statusUrlOf: (issuer: string) => string): void {
  const { configuration, consumer, provider, identities, backend } = pair;
  configuration.register(consumer.id, consumer.urls.peer, [...CLIENTS], identities.consumer);
  const subsystems = [...new Set(SERVICES.map((service) => service.replace(/\/[^/]+$/, '')))];
  configuration.register(provider.id, provider.urls.peer, subsystems, identities.provider);
  configuration.dictionary = { release: '1.0.0', entries: ENTRIES };
  configuration.purposes = [...ALL_PURPOSES];
  configuration.consentServices = ISSUERS.slice(0, 2).map((subsystem) => {
    const statusUrl = statusUrlOf(subsystem);
    return { subsystem, keys: [registered(keys[subsystem])], statusUrl, citizenUrl: statusUrl };
  });
  for (const id of SERVICES) {
    const facts = { id, title: id, personalData: true, safe: true };
    configuration.services.set(id, { ...facts, type: 'OPENAPI', descriptionHash: null, bindingHash: null });
    configuration.bind(tableOf(id));
    const local = { ...facts, url: backend.url, enabled: true, notice: null, timeoutMs: 5_000 };
    provider.parts.state.putService(local);
  }
  for (const [at, right] of RIGHTS.entries()) provider.parts.state.putRight(accessRightOf(right, at));
  backend.answer = (request, _body, response) => {
    backend.seen.length = 0;
    const { status, type, body } = backendAnswer(request.url ?? '');
    response.writeHead(status, { 'content-type': type }).end(body);
  };
}

/** Every list of every consent service, each signed in the moment in which it is fetched. */
function openLists(clock: HeldClock, keys: ConsentSetting['keys']) {
  const orders = new Map<string, ListOrder>();
  const lst = packStatuses(2, PLACES);
  const send = (response: ServerResponse, uri: string, order: ListOrder): void => {
    const issuer = ISSUERS.find((one) => uri.includes(`/${encodeURIComponent(one)}/`)) ?? ISSUERS[0];
    const nowMs = order.is === 'from tomorrow' ? clock.trueMs + 86_400_000 : clock.trueMs;
    const iatMs = order.signedMs ?? nowMs - (order.is === 'past its end' ? 10_000 : 0);
    const expMs = order.is === 'past its end' ? nowMs - 1_000 : iatMs + 3_600_000;
    const address = order.is === 'for another address' ? `${uri}0` : uri;
    const key = order.is === 'by another key' ? keys.stranger : keys[issuer];
    response.setHeader('content-type', 'application/statuslist+jwt');
    response.end(signStatusList({ uri: address, iatMs, expMs, ttlS: 5, lst }, key));
  };
  const server = createServer((request, response) => {
    const uri = `http://${request.headers.host}${request.url}`;
    const order = orders.get(uri);
    if (order?.is !== 'young') orders.delete(uri);
    if (order === undefined || order.is === 'away') response.writeHead(503).end();
    else send(response, uri, order);
  });
  return {
    server,
    serve(uri: string, order: ListOrder) {
      orders.set(uri, order);
      if (orders.size > KEPT_LISTS) orders.delete(orders.keys().next().value ?? '');
    },
  };
}
