// The bytes of the framed link (docs/protocol.md, "The framed link"): a length, a type, the payload, nothing between
// two frames. The peer controls every byte and how they are split; a length is judged before its payload is gathered.
//
//   u32 bytes of the payload ‖ u8 type ‖ payload
import { MAX_FRAME_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';

/** Spoken instead of HTTP when both ends chose it in the handshake (RFC 7301). */
export const FRAMES_PROTOCOL = 'accord-frames/1';

/** All frames there are. What a frame means is its owner's business; `control` frames are few, and counted. */
const FRAMES = {
  messages: { type: 1, maxBytes: MAX_FRAME_BYTES, control: false },
  refused: { type: 2, maxBytes: 256, control: false },
  hint: { type: 3, maxBytes: 256, control: true },
  credit: { type: 4, maxBytes: 8, control: true },
  ping: { type: 5, maxBytes: 8, control: true },
  pong: { type: 6, maxBytes: 8, control: true },
  goaway: { type: 7, maxBytes: 64, control: true },
  /** An OCSP answer about a certificate of the sender. */
  status: { type: 8, maxBytes: 16 * 1024, control: true },
} as const;

export type FrameName = keyof typeof FRAMES;

export interface WireFrame {
  name: FrameName;
  payload: Buffer;
}

const FRAME_HEADER_BYTES = 5;
const FIRST_PLACE_BYTES = 16 * 1024;
const BY_TYPE = new Map<number, FrameName>(
  (Object.keys(FRAMES) as FrameName[]).map((name) => [FRAMES[name].type, name]),
);

export function isControl(name: FrameName): boolean {
  return FRAMES[name].control;
}

/** The header of a frame whose payload is `length` bytes. */
export function frameHeader(name: FrameName, length: number): Buffer {
  const { type, maxBytes } = FRAMES[name];
  if (length > maxBytes) throw new TypeError(`a frame ${name} of ${length} bytes`);
  const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
  header.writeUInt32BE(length);
  header.writeUInt8(type, 4);
  return header;
}

/** Frames out of chunks of any length. */
export class FrameReader {
  /** A frame that began in an earlier chunk, header first. */
  #place = Buffer.alloc(0);
  #filled = 0;

  /** Whether a frame has begun and not ended. */
  get isInside(): boolean {
    return this.#filled > 0;
  }

  /**
   * The frames that are whole now; their payloads lie in `chunk` where they could.
   * @throws MESSAGE_MALFORMED for an unknown type or a length beyond its limit
   */
  take(chunk: Buffer): WireFrame[] {
    const frames: WireFrame[] = [];
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#filled === 0 && rest.length >= FRAME_HEADER_BYTES) {
        const { name, end } = readHeader(rest);
        if (rest.length >= end) {
          frames.push({ name, payload: rest.subarray(FRAME_HEADER_BYTES, end) });
          rest = rest.subarray(end);
          continue;
        }
      }
      rest = this.#gather(rest, frames);
    }
    return frames;
  }

  /** Takes what belongs to the frame that began, and returns the rest. */
  #gather(chunk: Buffer, frames: WireFrame[]): Buffer {
    const wanted = this.#filled < FRAME_HEADER_BYTES ? FRAME_HEADER_BYTES : readHeader(this.#place).end;
    const taken = chunk.subarray(0, wanted - this.#filled);
    this.#room(this.#filled + taken.length, wanted);
    taken.copy(this.#place, this.#filled);
    this.#filled += taken.length;
    if (this.#filled >= FRAME_HEADER_BYTES) {
      const { name, end } = readHeader(this.#place);
      if (this.#filled === end) {
        frames.push({ name, payload: this.#place.subarray(FRAME_HEADER_BYTES, end) });
        this.#place = Buffer.alloc(0);
        this.#filled = 0;
      }
    }
    return chunk.subarray(taken.length);
  }

  /** Grows with what came, not with what was promised. */
  #room(needed: number, wanted: number): void {
    if (needed <= this.#place.length) return;
    const length = Math.min(wanted, Math.max(needed, this.#place.length * 2, FIRST_PLACE_BYTES));
    const larger = Buffer.allocUnsafeSlow(length);
    this.#place.copy(larger, 0, 0, this.#filled);
    this.#place = larger;
  }
}

function readHeader(bytes: Buffer): { name: FrameName; end: number } {
  const length = bytes.readUInt32BE(0);
  const name = BY_TYPE.get(bytes.readUInt8(4));
  if (name === undefined) throw new AccordError('MESSAGE_MALFORMED', 'a frame of unknown type');
  if (length > FRAMES[name].maxBytes) throw new AccordError('MESSAGE_MALFORMED', 'a frame is too long');
  return { name, end: FRAME_HEADER_BYTES + length };
}
