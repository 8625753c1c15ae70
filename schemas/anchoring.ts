// An anchoring: what others said about one checkpoint of a message log (DESIGN: the message log, witnesses). The note of an
// entry `anchored`, and what an evidence pack carries. Canonical JSON in its one spelling. Who controls it: the log's own
// server wrote it, from what the registry, witnesses and time-stamp authorities sent; an auditor believes only the
// signatures in it (core/witness/verify-anchoring.ts).
import { readSpelled, spelled } from './one-spelling.ts';
import { type Static, Type } from './schema-builder.ts';
import { compile } from './validate.ts';

const closed = { additionalProperties: false };
/** Largest note of an entry `anchored`. */
export const MAX_ANCHORING_BYTES = 64 * 1024;
/** A tree of 2^53 leaves has paths of 53 hashes. */
const MAX_PATH = 53;
const MAX_TOKENS = 8;

/** A signed note (C2SP signed-note): the log's own signature line first, cosignature lines behind it. */
const Note = Type.String({ minLength: 1, maxLength: MAX_ANCHORING_BYTES });

export const AggregateAnchoring = Type.Object(
  {
    checkpoint: Note,
    /** Place of the own checkpoint in the aggregate log. */
    index: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
    /** RFC 9162 section 2.1.3, from the leaf upwards, base64url. */
    path: Type.Array(Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }), { maxItems: MAX_PATH }),
  },
  closed,
);

export const AnchoringToken = Type.Object(
  {
    /** Whose text it was made for: the imprint is SHA-256 of that note's text, without its signature lines. */
    over: Type.Union([Type.Literal('aggregate'), Type.Literal('checkpoint')]),
    /** DER of an RFC 3161 TimeStampToken, base64url. */
    token: Type.String({ pattern: '^[A-Za-z0-9_-]+$', maxLength: MAX_ANCHORING_BYTES }),
  },
  closed,
);

export const Anchoring = Type.Object(
  {
    v: Type.Literal(1),
    /** This log's own checkpoint. */
    checkpoint: Note,
    /** Null for a direct time-stamp, made while the registry was away. */
    aggregate: Type.Union([AggregateAnchoring, Type.Null()]),
    tokens: Type.Array(AnchoringToken, { maxItems: MAX_TOKENS }),
  },
  closed,
);

export type AggregateAnchoring = Static<typeof AggregateAnchoring>;
export type AnchoringToken = Static<typeof AnchoringToken>;
export type Anchoring = Static<typeof Anchoring>;

const check = compile(Anchoring, 'ANCHORING_MALFORMED');

/** The one spelling. @throws ANCHORING_MALFORMED when a member is out of bounds, or the text too long */
export function anchoringText(anchoring: Anchoring): string {
  return spelled(check(anchoring), MAX_ANCHORING_BYTES, 'ANCHORING_MALFORMED');
}

/** Reads the one spelling. @throws ANCHORING_MALFORMED, JSON_* */
export function parseAnchoring(bytes: Uint8Array | string): Anchoring {
  return readSpelled(bytes, check, { maxBytes: MAX_ANCHORING_BYTES }, 'ANCHORING_MALFORMED');
}
