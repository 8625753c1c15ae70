// The unsigned refusal on the framed link: of one message, or of a batch that could not be opened; what an HTTP status
// and a problem document are on the other form. The peer controls what stands in it: it is shown, never believed.
//
//   u8 (0 message, 1 batch) ‖ text its id ‖ u16 status ‖ text code ‖ u32 retry after, seconds
import { ByteReader, ByteWriter } from '#schemas/bytes.ts';
import { AccordError, PROBLEMS, type ProblemCode } from '#schemas/problems.ts';
import { MESSAGE_ID_PATTERN } from '#schemas/statement.ts';
import type { Delivery } from './link.ts';

export interface RefusedFrame {
  of: 'message' | 'batch';
  id: string;
  status: number;
  code: string;
  retryAfterSeconds: number;
}

const OF = ['message', 'batch'] as const;
const MESSAGE_ID = new RegExp(MESSAGE_ID_PATTERN);
const CODE = /^[A-Z][A-Z0-9_]{1,63}$/;
const MAX_RETRY_AFTER_SECONDS = 3_600;

export function encodeRefused(of: RefusedFrame['of'], id: string, code: ProblemCode): Buffer {
  const { status } = PROBLEMS[code];
  const writer = new ByteWriter()
    .u8(OF.indexOf(of))
    .text(id)
    .u8(status >> 8)
    .u8(status & 255)
    .text(code);
  return writer.u32(status === 503 ? 1 : 0).end();
}

/** @throws MESSAGE_MALFORMED */
export function decodeRefused(bytes: Uint8Array): RefusedFrame {
  const reader = new ByteReader(bytes);
  const of = OF[reader.u8()];
  const id = reader.text(64);
  const status = reader.raw(2).readUInt16BE();
  const code = reader.text(64);
  const retryAfterSeconds = reader.u32();
  reader.end();
  const fits = status >= 400 && status <= 599 && CODE.test(code) && MESSAGE_ID.test(id);
  if (of === undefined || !fits || retryAfterSeconds > MAX_RETRY_AFTER_SECONDS) {
    throw new AccordError('MESSAGE_MALFORMED', 'a refusal that is none');
  }
  return { of, id, status, code, retryAfterSeconds };
}

/** 503: nothing was done; everything else leaves it open. */
export function deliveryOf({ status, code, retryAfterSeconds }: RefusedFrame): Delivery {
  const detail = `${status} ${code}`;
  if (status !== 503) return { state: 'unknown', code: 'PROVIDER_REFUSED_MESSAGE', detail };
  return { state: 'not-sent', code: 'PROVIDER_BUSY', detail, retryAfterMs: retryAfterSeconds * 1_000 };
}
