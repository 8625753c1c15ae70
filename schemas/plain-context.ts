// Contexts that are plainly right: the one spelling of nearly every context as one pattern, so that reading it takes neither
// schema nor a second spelling. Whoever asks holds the whole judgement (context.ts) ready for what does not match; a test
// holds the two against each other. The sending department's backend controls the values.
import type { AnswerContext, RequestContext } from './context.ts';
import {
  MAX_CONTEXT_BYTES,
  MAX_DEADLINE_MS,
  MAX_EVIDENCE_BYTES,
  MAX_FIELDS,
  MAX_HEADER_VALUE_BYTES,
  MAX_HEADERS,
  MAX_PATH_BYTES,
  MAX_QUERY_BYTES,
  MAX_RELEASED_PATHS,
  MAX_STREAMED_BYTES,
} from './limits.ts';
import { MESSAGE_ID_PATTERN } from './statement.ts';

// Strings without escapes: in them JSON spells every character as itself. One unit is one character, since half pairs
// and whole ones are left to the schema.
const CHAR = '[ !#-\\[\\]-\\ud7ff\\ue000-\\uffff]';
const ASCII = '[!#-\\[\\]-~]';
const text = (most: number) => `"${CHAR}{1,${most}}"`;
const orNull = (pattern: string) => `(?:${pattern}|null)`;
const list = (pattern: string) => `\\[(?:${pattern}(?:,${pattern})*)?\\]`;
const BOOLEAN = '(?:true|false)';
const DAY = '"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"';
const HEADER = `\\["[a-z0-9!#$%&'*+.^_\`|~-]{1,128}","(?:${ASCII}(?:[ !#-\\[\\]-~]*${ASCII})?)?"\\]`;
const BODY = `\\{"length":(?:0|[1-9][0-9]{0,15}),"type":${orNull(text(256))}\\}`;
const JWS = '"[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+"';
const XROAD =
  `\\{"id":${text(256)},"madeId":${BOOLEAN},"representedParty":${orNull(text(512))},"securityServer":${orNull(text(512))},` +
  `"hash":"${ASCII}{1,88}","target":"${ASCII}+"\\}`;

const REQUEST = new RegExp(
  `^\\{"v":1,"method":"(?:DELETE|GET|HEAD|OPTIONS|PATCH|POST|PUT|TRACE)","path":"${CHAR}*","query":${orNull(`"${CHAR}*"`)},` +
    `"headers":${list(HEADER)},"userId":${orNull(text(256))},"issue":${orNull(text(256))},` +
    `"caller":"(?:certificate|tls-address|address|loopback)","deadlineMs":[1-9][0-9]{0,8},` +
    `"fields":${orNull(list(text(512)))},"partial":${BOOLEAN},"asOf":${orNull(DAY)},` +
    `"receipt":${orNull('"[A-Za-z0-9_.-]{1,24576}"')},"evidence":${list(JWS)},"hiddenUntil":${orNull(DAY)},` +
    `"xroad":${orNull(XROAD)},"body":${BODY},"settles":${orNull(`"${MESSAGE_ID_PATTERN.slice(1, -1)}"`)}\\}$`,
);

const SEGMENTS = `"(?:/[ !#-.0-\\[\\]-\\ud7ff\\ue000-\\uffff]{1,256}){0,16}"`;
const REF = '"[a-z][a-z0-9]*(?:[._][a-z0-9]+)*@[1-9][0-9]{0,3}"';
const ELEMENT =
  `\\{"path":${SEGMENTS},"element":${REF},"source":${text(200)},"asOf":${orNull(`"${CHAR}{10,35}"`)},` +
  `"state":"(?:present|unknown|withheld|notHeld|underInvestigation)","stale":${BOOLEAN}\\}`;
const PREDICATE = `\\{"predicate":${REF},"result":"(?:true|false|unknown)"\\}`;
const OMITTED = `\\{"path":${orNull(SEGMENTS)},"element":${REF}\\}`;
const ANSWER = new RegExp(
  `^\\{"v":1,"status":[1-5][0-9]{2},"code":"[A-Z][A-Z0-9_]{1,63}","headers":${list(HEADER)},"body":${BODY},` +
    `"release":${orNull(`\\{"table":"[A-Za-z0-9_-]{43}","dictionary":"${CHAR}{0,20}","elements":${list(ELEMENT)},"predicates":${list(PREDICATE)},"omitted":${list(OMITTED)}\\}`)}\\}$`,
);

// Each value takes two bytes and more, so that there are never too many of them; 4 × 64 headers, 12 × 250 released paths.
const MAX_PLAIN_LENGTH = Math.min(MAX_CONTEXT_BYTES / 3, 2 * (4 * MAX_HEADERS + 12 * MAX_RELEASED_PATHS));

/** @param spelled as it is signed */
export function isPlainRequest(spelled: string, c: RequestContext): boolean {
  return (
    spelled.length < MAX_PLAIN_LENGTH &&
    REQUEST.test(spelled) &&
    c.path.length <= MAX_PATH_BYTES &&
    (c.query?.length ?? 0) <= MAX_QUERY_BYTES &&
    areFewHeaders(c) &&
    c.deadlineMs <= MAX_DEADLINE_MS &&
    (c.fields === null || (c.fields.length > 0 && c.fields.length <= MAX_FIELDS && areDistinct(c.fields))) &&
    c.evidence.length <= 2 &&
    areDistinct(c.evidence) &&
    c.evidence.every((token) => token.length <= MAX_EVIDENCE_BYTES) &&
    (c.xroad?.target.length ?? 0) <= MAX_PATH_BYTES + MAX_QUERY_BYTES + 1
  );
}

/** @param spelled as it is signed */
export function isPlainAnswer(spelled: string, c: AnswerContext): boolean {
  return (
    spelled.length < MAX_PLAIN_LENGTH &&
    ANSWER.test(spelled) &&
    areFewHeaders(c) &&
    (c.release === null ||
      (areFewPlaces(c.release.elements) && areFewPlaces(c.release.omitted) && areFewPredicates(c.release.predicates)))
  );
}

function areFewHeaders({ headers, body }: Pick<AnswerContext, 'headers' | 'body'>): boolean {
  const isLong = ([, value]: [string, string]) => value.length > MAX_HEADER_VALUE_BYTES;
  return headers.length <= MAX_HEADERS && !headers.some(isLong) && body.length <= MAX_STREAMED_BYTES;
}

function areFewPlaces(places: readonly { path: string | null; element: string }[]): boolean {
  if (places.length > MAX_RELEASED_PATHS) return false;
  return places.every(({ path, element }) => (path === null || path.length <= 512) && element.length <= 127);
}

function areFewPredicates(results: readonly { predicate: string }[]): boolean {
  return results.length <= MAX_RELEASED_PATHS && results.every(({ predicate }) => predicate.length <= 127);
}

function areDistinct(texts: readonly string[]): boolean {
  return texts.length < 2 || new Set(texts).size === texts.length;
}
