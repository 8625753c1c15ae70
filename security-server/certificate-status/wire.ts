// How OCSP answers go beside messages (docs/protocol.md): in frames of their own on the framed link, once on each
// connection; in headers on HTTP/1.1, where each end also says which answers of the other it holds, so that bytes that are
// known are not sent again. They are public and signed by the authority, so they stand outside the seal.
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import type { FramedConnection } from '#core/http/frames/connection.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import type { HeldAnswer } from './answers.ts';
import type { PeerAnswers } from './peer-answers.ts';

export interface StatusNews extends PeerAnswers {
  /** Of this server's own certificates; the same array until one changes. */
  mine(): readonly HeldAnswer[];
}

/**
 * Sends what the other end of a framed connection was not told yet.
 * @returns what it was told now; to be handed in the next time
 */
export function tellAnswers(
  connection: Pick<FramedConnection, 'send'>,
  status: StatusNews | undefined,
  told: readonly HeldAnswer[],
): readonly HeldAnswer[] {
  const mine = status?.mine() ?? told;
  if (mine === told) return told;
  for (const answer of mine) if (!told.includes(answer)) connection.send('status', answer.der);
  return mine;
}

const ANSWERS_HEADER = 'accord-certificate-status';
const HELD_HEADER = 'accord-certificate-status-held';
/** Of all answers in one header; what is longer goes over the framed link only. */
const MAX_HEADER_LENGTH = 8 * 1024;
const MAX_ANSWERS = 4;

/**
 * What a message or an answer says of certificates.
 * @param theyHold what the peer said that it holds, as `hearStatus` gave it
 */
export function statusHeaders(status: StatusNews, peer: ServerEntry, theyHold: string | undefined): [string, string][] {
  const mine = status.mine();
  const held = status.heldOf(peer).join();
  const wanted: string[] = [];
  let length = 0;
  for (const { hash, der } of mine) {
    if (theyHold?.includes(hash)) continue;
    const text = der.toString('base64url');
    length += text.length + 1;
    if (length <= MAX_HEADER_LENGTH && wanted.length < MAX_ANSWERS) wanted.push(text);
  }
  return [
    ...(wanted.length === 0 ? [] : [[ANSWERS_HEADER, wanted.join()] as [string, string]]),
    ...(held === '' ? [] : [[HELD_HEADER, held] as [string, string]]),
  ];
}

/**
 * Takes what a peer sent.
 * @param header a header's value by its name in lower case
 * @returns which answers the peer holds, for `statusHeaders`
 * @throws MESSAGE_MALFORMED
 */
export function hearStatus(
  status: StatusNews,
  peer: ServerEntry,
  header: (name: string) => string | undefined,
): string | undefined {
  const answers = header(ANSWERS_HEADER);
  if (answers !== undefined) {
    const texts = answers.length > MAX_HEADER_LENGTH ? [] : answers.split(',');
    if (texts.length < 1 || texts.length > MAX_ANSWERS) throw new AccordError('MESSAGE_MALFORMED', ANSWERS_HEADER);
    for (const text of texts) status.heard(peer, decoded(text));
  }
  return header(HELD_HEADER);
}

function decoded(text: string): Buffer {
  try {
    return fromBase64url(text);
  } catch (error) {
    if (isAccordError(error)) throw new AccordError('MESSAGE_MALFORMED', ANSWERS_HEADER);
    throw error;
  }
}
