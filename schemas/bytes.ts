// Binary framing with a length before every field, so that nothing has two readings. The peer controls the bytes.
import { AccordError } from './problems.ts';

/** Collects length-prefixed fields, big-endian. */
export class ByteWriter {
  readonly #parts: Buffer[] = [];

  raw(bytes: Uint8Array): this {
    this.#parts.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    return this;
  }

  u8(value: number): this {
    return this.raw(Uint8Array.of(value));
  }

  u32(value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return this.raw(bytes);
  }

  /** 32-bit length, then the bytes. */
  field(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes);
  }

  text(value: string): this {
    return this.field(Buffer.from(value, 'utf8'));
  }

  end(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

const PRINTABLE = /^[\x21-\x7e]*$/;

/** Reads what ByteWriter wrote; every short or over-long field is MESSAGE_MALFORMED. */
export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  raw(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new AccordError('MESSAGE_MALFORMED', 'ends inside a field');
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }

  u8(): number {
    return this.raw(1).readUInt8();
  }

  u32(): number {
    return this.raw(4).readUInt32BE();
  }

  field(maxBytes: number): Buffer {
    const length = this.u32();
    if (length > maxBytes) throw new AccordError('MESSAGE_MALFORMED', 'a field is too long');
    return this.raw(length);
  }

  /** Printable ASCII only: identifiers, hashes and compact JWS or JWE. */
  text(maxBytes: number): string {
    // Latin 1 has one character for each byte, so the pattern sees them all.
    const text = this.field(maxBytes).toString('latin1');
    if (!PRINTABLE.test(text)) throw new AccordError('MESSAGE_MALFORMED', 'text outside printable ASCII');
    return text;
  }

  /** Nothing may follow the last field. */
  end(): void {
    if (this.#at !== this.#bytes.length) throw new AccordError('MESSAGE_MALFORMED', 'bytes after the end');
  }
}
