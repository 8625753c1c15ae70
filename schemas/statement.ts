// The statement: what a security server signs about one message of an exchange (DESIGN: what is signed). Its exact
// bytes are kept for ever, so it has one spelling only: fixed member order, no white space, nothing unknown. The sender
// controls every byte until its signature, its registration and this form have been checked.
import { SERVICE_ID_PATTERN, SUBSYSTEM_ID_PATTERN } from './identifiers.ts';
import { parseJson } from './json.ts';
import { MAX_STATEMENT_BYTES } from './limits.ts';
import { AccordError } from './problems.ts';
import { Sha256 } from './registrations.ts';
import { type Static, Type } from './schema-builder.ts';
import { compile } from './validate.ts';

const closed = { additionalProperties: false };
const Commitment = Type.Object({ commitment: Sha256 }, closed);

/** `emergency`: two officials of the asking department opened it together (evidence.ts); each use is reviewed afterwards. */
export const Basis = Type.Union([
  Type.Literal('open'),
  Type.Literal('law'),
  Type.Literal('consent'),
  Type.Literal('emergency'),
]);
export const PURPOSE_PATTERN = '^[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?$';

/** UUIDv7 (RFC 9562), lower case; the exchange's idempotency key within its sender. */
export const MESSAGE_ID_PATTERN = '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$';

export const Statement = Type.Object(
  {
    v: Type.Literal(1),
    id: Type.String({ pattern: MESSAGE_ID_PATTERN }),
    kind: Type.Union([
      Type.Literal('request'),
      Type.Literal('response'),
      Type.Literal('refusal'),
      Type.Literal('settlement'),
    ]),
    from: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }),
    to: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }),
    client: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }),
    service: Type.String({ pattern: SERVICE_ID_PATTERN }),
    at: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
    purpose: Type.Union([Type.String({ pattern: PURPOSE_PATTERN }), Type.Null()]),
    basis: Basis,
    context: Commitment,
    body: Commitment,
    configuration: Type.Object({ version: Type.Integer({ minimum: 1 }), hash: Sha256 }, closed),
    /** Answers and settlements: SHA-256 of the request statement's exact bytes. */
    request: Type.Optional(Sha256),
    /** Answers: the durable request entry in the answering server's log. */
    log: Type.Optional(
      Type.Object(
        { origin: Type.String({ minLength: 1, maxLength: 255 }), index: Type.Integer({ minimum: 0 }) },
        closed,
      ),
    ),
    /** Answers: hash of the decision and its inputs; null when the refusal came before any decision. */
    decisionHash: Type.Optional(Type.Union([Sha256, Type.Null()])),
  },
  closed,
);

export type Statement = Static<typeof Statement>;
export type Basis = Static<typeof Basis>;

const check = compile(Statement, 'STATEMENT_MALFORMED');

/** The one spelling of a statement, UTF-8. */
export function encodeStatement(s: Statement): Buffer {
  const ordered = {
    v: s.v,
    id: s.id,
    kind: s.kind,
    from: s.from,
    to: s.to,
    client: s.client,
    service: s.service,
    at: s.at,
    purpose: s.purpose,
    basis: s.basis,
    context: { commitment: s.context.commitment },
    body: { commitment: s.body.commitment },
    configuration: { version: s.configuration.version, hash: s.configuration.hash },
    request: s.request,
    log: s.log === undefined ? undefined : { origin: s.log.origin, index: s.log.index },
    decisionHash: s.decisionHash,
  };
  return Buffer.from(JSON.stringify(ordered), 'utf8');
}

/** Reads a statement whose spelling must be the one `encodeStatement` gives. @throws STATEMENT_MALFORMED, JSON_* */
export function parseStatement(bytes: Uint8Array): Statement {
  return readPlainStatement(bytes) ?? readAnyStatement(bytes);
}

/** The whole judgement: JSON, schema, members of the kind, spelling. @throws as `parseStatement` */
export function readAnyStatement(bytes: Uint8Array): Statement {
  const statement = check(parseJson(bytes, { maxBytes: MAX_STATEMENT_BYTES, maxDepth: 3, maxValues: 40 }));
  const isAnswer = statement.kind === 'response' || statement.kind === 'refusal';
  const answerParts = [statement.log, statement.decisionHash].filter((part) => part !== undefined).length;
  const fits =
    statement.kind === 'request'
      ? statement.request === undefined && answerParts === 0
      : statement.request !== undefined && answerParts === (isAnswer ? 2 : 0);
  if (!fits) throw new AccordError('STATEMENT_MALFORMED', `members do not fit the kind ${statement.kind}`);
  if (!encodeStatement(statement).equals(bytes)) throw new AccordError('STATEMENT_MALFORMED', 'not its one spelling');
  return statement;
}

// The one spelling as one pattern. All members are ASCII by their own patterns, so nearly every statement matches; what
// does not is judged by the schema. A test holds the two against each other.
const inner = (pattern: string) => `(${pattern.slice(1, -1)})`;
const HASH = '([A-Za-z0-9_-]{43})';
const DIGITS = '(0|[1-9][0-9]{0,15})';
const PLAIN_STATEMENT = new RegExp(
  `^\\{"v":1,"id":"${inner(MESSAGE_ID_PATTERN)}","kind":"(request|response|refusal|settlement)",` +
    `"from":"${inner(SUBSYSTEM_ID_PATTERN)}","to":"${inner(SUBSYSTEM_ID_PATTERN)}",` +
    `"client":"${inner(SUBSYSTEM_ID_PATTERN)}","service":"${inner(SERVICE_ID_PATTERN)}","at":${DIGITS},` +
    `"purpose":(?:"${inner(PURPOSE_PATTERN)}"|null),"basis":"(open|law|consent|emergency)",` +
    `"context":\\{"commitment":"${HASH}"\\},"body":\\{"commitment":"${HASH}"\\},` +
    `"configuration":\\{"version":([1-9][0-9]{0,15}),"hash":"${HASH}"\\}` +
    `(?:,"request":"${HASH}"(?:,"log":\\{"origin":"([ !#-\\[\\]-~]{1,255})","index":${DIGITS}\\},` +
    `"decisionHash":(?:"${HASH}"|null))?)?\\}$`,
);

/** A statement that is plainly right, or null when the whole judgement has to say. */
export function readPlainStatement(bytes: Uint8Array): Statement | null {
  if (bytes.length > MAX_STATEMENT_BYTES) return null;
  const { buffer, byteOffset, length } = bytes;
  // Only ASCII matches, and there Latin-1 and UTF-8 are the same bytes.
  const m = PLAIN_STATEMENT.exec(Buffer.from(buffer, byteOffset, length).toString('latin1'));
  if (m === null) return null;
  const [kind, at, version, index] = [m[2] as Statement['kind'], Number(m[7]), Number(m[12]), Number(m[16] ?? 0)];
  const isAnswer = kind === 'response' || kind === 'refusal';
  const fits =
    Number.isSafeInteger(at) &&
    Number.isSafeInteger(version) &&
    Number.isSafeInteger(index) &&
    (m[14] === undefined) === (kind === 'request') &&
    (m[15] !== undefined) === isAnswer;
  if (!fits) return null;
  const text = (group: number): string => m[group] ?? '';
  const statement: Statement = {
    v: 1,
    id: text(1),
    kind,
    from: text(3),
    to: text(4),
    client: text(5),
    service: text(6),
    at,
    purpose: m[8] ?? null,
    basis: m[9] as Basis,
    context: { commitment: text(10) },
    body: { commitment: text(11) },
    configuration: { version, hash: text(13) },
  };
  if (m[14] !== undefined) statement.request = m[14];
  if (isAnswer) {
    statement.log = { origin: text(15), index };
    statement.decisionHash = m[17] ?? null;
  }
  return statement;
}
