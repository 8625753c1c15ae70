// A citizen with an ID token, and a consent service that carries their questions to a provider, as the tests of the
// provider's side need them. The real ones have tests of their own.
import { createHash, type KeyObject, randomBytes } from 'node:crypto';
import { signCompact } from '#certs/jws.ts';
import type { Clock } from '#core/clock.ts';
import {
  ACCESSES_PATH,
  type Accesses,
  type AccessesQuestion,
  CITIZEN_DOUBTS_PATH,
  checkAccesses,
  checkReceiptUses,
  type DoubtQuestion,
  questionText,
  RECEIPT_USES_PATH,
  type ReceiptUses,
} from '#schemas/accesses.ts';
import type { JsonObject } from '#schemas/json.ts';
import { CLIENT, type Pair, PROVIDER, SERVICE } from '#scripts/campaign/pair.ts';
import { readCall } from '#security-server/consumer/call.ts';
import { draft, sealMessage, sign } from '#security-server/envelope/outgoing.ts';
import { testKey } from '#test/certs/receipt-cases.ts';
import { type Asked, post } from './asking.ts';

const ISSUER = 'https://id.example';
export const CARRIER = 'DEV/GOV/9000/consent';
const CLIENT_ID = 'accord-consent';
const key = testKey();

/** Registers the identity provider; its persons are `gx.id@1`. */
export function registerIdentityProvider(pair: Pair): void {
  const keys = [{ kid: key.kid, jwk: key.jwk as never }];
  const levels = { silver: 2, gold: 3 } as const;
  const names = { issuer: ISSUER, clientId: CLIENT_ID, claim: 'resident_id', scheme: 'gx.id@1' };
  pair.configuration.identityProviders = [{ ...names, keys, levels }];
}

/** A token of the identity provider; `over` changes claims, undefined removes one. */
export function idTokenFor(
  person: string,
  nonce: string,
  nowMs: number,
  over: object = {},
  by: KeyObject = key.privateKey,
) {
  const iat = Math.floor(nowMs / 1000);
  const sub = createHash('sha256').update(person).digest('hex');
  const claims = { iss: ISSUER, aud: CLIENT_ID, sub, nonce, iat, exp: iat + 300, acr: 'silver', resident_id: person };
  const text = JSON.stringify({ ...claims, ...over });
  return signCompact(Buffer.from(text), { typ: 'JWT', kid: key.kid }, { alg: 'ES256', key: by });
}

export const nonceOf = (question: AccessesQuestion | DoubtQuestion) =>
  createHash('sha256').update(questionText(question)).digest('base64url');

const begun = (clock: Clock) => ({
  v: 1 as const,
  asker: CARRIER,
  atMs: clock.nowMs(),
  random: randomBytes(32).toString('base64url'),
});

export function accessesQuestion(clock: Clock, over: object = {}): AccessesQuestion {
  const window = { fromMs: 0, untilMs: Number.MAX_SAFE_INTEGER };
  return { ...begun(clock), kind: 'accesses', ...window, ...over };
}

export function doubtQuestion(clock: Clock, exchange: string, over: object = {}): DoubtQuestion {
  const doubted = {
    service: SERVICE,
    exchange,
    element: 'gx.name@1',
    path: null,
    proposed: '王芳芳',
    note: 'misspelt',
  };
  return { ...begun(clock), kind: 'doubt', ...doubted, ...over };
}

/** POST to a reserved path of the provider through the consumer's server, as the consent service. */
export function carry(pair: Pair, path: string, body: unknown, over: object = {}): Promise<Asked> {
  return post(pair, '/lookups', { client: CARRIER, service: SERVICE, method: 'POST', path, body, ...over });
}

/** The citizen asks who looked. @throws TypeError when the answer is none, SCHEMA_MISMATCH when it is malformed */
export async function whoLooked(pair: Pair, clock: Clock, person: string, over: object = {}) {
  const question = accessesQuestion(clock, over);
  const idToken = idTokenFor(person, nonceOf(question), clock.nowMs());
  const { json } = await carry(pair, ACCESSES_PATH, { question, idToken });
  if (json.outcome !== 'ok') throw new TypeError(json.code);
  return { id: json.id, ...checkAccesses(json['body']) } satisfies Accesses & { id: string };
}

/** The citizen reports an error. */
export function report(pair: Pair, clock: Clock, person: string, exchange: string, over: object = {}): Promise<Asked> {
  const question = doubtQuestion(clock, exchange, over);
  const idToken = idTokenFor(person, nonceOf(question), clock.nowMs());
  return carry(pair, CITIZEN_DOUBTS_PATH, { question, idToken });
}

/** @throws TypeError when the answer is none, SCHEMA_MISMATCH when it is malformed */
export async function usesOf(pair: Pair, receipts: string[], over: object = {}): Promise<ReceiptUses['uses']> {
  const { json } = await carry(pair, RECEIPT_USES_PATH, { v: 1, receipts }, over);
  if (json.outcome !== 'ok') throw new TypeError(json.code);
  return checkReceiptUses(json['body'] as JsonObject).uses;
}

/** A message of the consumer's server with an id of the test's choice, as a server that was changed would send it. */
export async function messageOf(pair: Pair, id: string, lookup: object): Promise<Buffer> {
  const { parts } = pair.consumer;
  const caller = { authenticate: () => 'loopback' as const };
  const call = readCall({ client: CLIENT, service: SERVICE, ...lookup }, caller, parts);
  const { version, hash } = parts.configuration.current();
  const drafted = draft(
    {
      id,
      kind: 'request',
      from: parts.self,
      to: PROVIDER,
      client: call.client,
      service: call.service,
      at: parts.clock.nowMs(),
      purpose: call.purpose,
      basis: call.basis,
      configuration: { version, hash },
    },
    call.context,
    call.body,
  );
  const to = pair.configuration.entries.get(PROVIDER);
  if (to === undefined) throw new TypeError('the provider is not registered');
  return sealMessage(await sign(drafted, parts.signer), 'request', id, await parts.channels.to(to)) as Buffer;
}
