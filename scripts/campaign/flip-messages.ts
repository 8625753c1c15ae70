// Peer messages for campaign `flip`, made with the real envelope code and the identities of the pair: a genuine request,
// and the same message with a changed plaintext, sealed again as only a peer with a valid ticket could.

import { randomBytes } from 'node:crypto';
import { signBatch } from '#certs/batch.ts';
import { keyAlgorithm } from '#certs/keys.ts';
import { certificateHash } from '#certs/path.ts';
import { pemCertificates } from '#certs/pem.ts';
import { SEAL_SALT_BYTES, seal, unseal } from '#certs/seal.ts';
import type { Ticket } from '#certs/ticket.ts';
import { newMessageId } from '#core/message-id.ts';
import { BARE_REQUEST, encodeRequestContext } from '#schemas/context.ts';
import type { Statement } from '#schemas/statement.ts';
import { decodeFrame, encodeFrame, type Frame } from '#security-server/envelope/frame.ts';
import { draft, type SignedMessage, sealMessage } from '#security-server/envelope/outgoing.ts';
import { CLIENT, CONSUMER, type Pair, PROVIDER, SERVICE } from './pair.ts';

export type Part = 'head' | 'body';

export interface GenuineRequest {
  id: string;
  signed: SignedMessage;
  ticket: Ticket;
  frame: Buffer;
}

export interface RequestPlan {
  body?: Buffer;
  path?: string;
  statement?: Partial<Statement>;
  /** Time of signing; now when absent. */
  issuedAtMs?: number;
  /** Other statements signed in the same batch, around this one. */
  neighbours?: number;
}

/** A request that the provider would answer, not yet sent. */
export async function genuineRequest(pair: Pair, plan: RequestPlan = {}): Promise<GenuineRequest> {
  const { parts } = pair.consumer;
  const nowMs = parts.clock.nowMs();
  const id = newMessageId(nowMs);
  const body = plan.body ?? Buffer.from('{"question":"is it so?"}');
  const context = encodeRequestContext({
    ...BARE_REQUEST,
    method: 'POST',
    path: plan.path ?? '/residents/1',
    query: 'a=1',
    headers: [['x-note', 'n']],
    userId: 'official-7',
    issue: 'case-1',
    caller: 'loopback',
    deadlineMs: 5_000,
    body: { length: body.length, type: body.length === 0 ? null : 'application/json' },
  });
  const { version, hash } = parts.configuration.current();
  const stated = { id, kind: 'request' as const, from: CONSUMER, to: PROVIDER, client: CLIENT, service: SERVICE };
  const told = { at: nowMs, purpose: null, basis: 'open' as const, configuration: { version, hash } };
  const drafted = draft({ ...stated, ...told, ...plan.statement }, context, body);
  const { signing } = pair.identities.consumer.keys;
  const [der] = pemCertificates(signing.certPem);
  if (der === undefined) throw new TypeError('no signing certificate');
  const others = Array.from({ length: plan.neighbours ?? 0 }, () => randomBytes(64));
  const signatures = signBatch(
    [drafted.statementBytes, ...others],
    { alg: keyAlgorithm(signing.key), key: signing.key },
    certificateHash(der),
    Math.floor((plan.issuedAtMs ?? nowMs) / 1000),
  );
  const [signature] = signatures;
  if (signature === undefined) throw new TypeError('no signature');
  const signed = { ...drafted, signature };
  const entry = parts.configuration.current().server(PROVIDER);
  if (entry === undefined) throw new TypeError('the provider is not registered');
  const ticket = await parts.channels.to(entry);
  return { id, signed, ticket, frame: sealMessage(signed, 'request', id, ticket) as Buffer };
}

/** The plaintext of a message's part, as the receiver opens it. */
export function openPart(frame: Frame, ticket: Ticket, part: Part): Buffer {
  const [sealed, salt] = part === 'head' ? [frame.sealedHead, frame.headSalt] : [frame.sealedBody, frame.bodySalt];
  return unseal(sealed, ticket.secret, salt, bindingOf(frame, ticket, part));
}

/** The same message with another plaintext in one part, properly sealed. */
export function resealed(frame: Frame, ticket: Ticket, part: Part, plaintext: Buffer): Buffer {
  const salt = randomBytes(SEAL_SALT_BYTES);
  const sealed = seal(plaintext, ticket.secret, salt, bindingOf(frame, ticket, part));
  if (part === 'head') return encodeFrame({ ...frame, headSalt: salt, sealedHead: sealed });
  return encodeFrame({ ...frame, bodySalt: salt, sealedBody: sealed });
}

function bindingOf(frame: Frame, { hash, from, to }: Ticket, part: Part) {
  return { kind: frame.kind, ticketHash: hash, from, to, id: frame.id, part };
}

/** `bytes` with one bit of one byte changed. */
export function flipped(bytes: Buffer, offset: number, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  const at = offset % copy.length;
  copy.writeUInt8(copy.readUInt8(at) ^ (1 << bit), at);
  return copy;
}

/** Lengths of the parts of a message, so that a campaign knows how many places there are. */
export function lengthsOf(frame: Buffer, ticket: Ticket): { frame: number; head: number; body: number } {
  const decoded = decodeFrame(frame);
  const length = (part: Part) => openPart(decoded, ticket, part).length;
  return { frame: frame.length, head: length('head'), body: length('body') };
}
