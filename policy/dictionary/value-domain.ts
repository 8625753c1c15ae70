// Does a value belong to an element's value domain? An interpreter of the closed list of JSON Schema 2020-12 keywords that
// a domain may use (schemas/dictionary-entry.ts): compiling a validator for each of 20,000 elements would take minutes.
// Values come from backends; domains from the dictionary. What is said about a value never quotes it: it may be personal.
import type { CodelistEntry, ElementEntry, ValueDomain } from '#schemas/dictionary-entry.ts';
import type { Dictionary } from './dictionary.ts';
import { fitsFormat } from './value-format.ts';

/**
 * Why `value` does not belong to the domain, in words that stand behind "the value"; null when it does. Keywords of
 * another type than the domain's say nothing, as in JSON Schema.
 * @param codes codes of the domain's codelist, of which the value then has to be one
 */
export function misfit(value: unknown, domain: ValueDomain, codes?: ReadonlySet<string>): string | null {
  const wrong = ofType(value, domain);
  if (wrong !== null) return wrong;
  if (domain.enum !== undefined && !domain.enum.some((one) => one === value)) return 'is none of those listed';
  if (codes !== undefined && !(typeof value === 'string' && codes.has(value))) return 'is no code of the codelist';
  return null;
}

/** The same for an element, with its codelist. A codelist that is not there fits nothing. */
export function domainMisfit(value: unknown, element: ElementEntry, dictionary: Dictionary): string | null {
  if (element.codelist === undefined) return misfit(value, element.domain);
  const codelist = dictionary.codelist(element.codelist);
  return misfit(value, element.domain, codelist === undefined ? NO_CODES : codesOf(codelist));
}

const NO_CODES: ReadonlySet<string> = new Set();
const codeSets = new WeakMap<CodelistEntry, ReadonlySet<string>>();

/** All codes, also those no longer given out: a record may be older than they are. */
export function codesOf(codelist: CodelistEntry): ReadonlySet<string> {
  let codes = codeSets.get(codelist);
  if (codes === undefined) {
    codes = new Set(codelist.codes.map(({ code }) => code));
    codeSets.set(codelist, codes);
  }
  return codes;
}

/** `pattern` compiled as JSON Schema reads it: unanchored, by code points. Null when it is no regular expression. */
export function patternOf(domain: ValueDomain): RegExp | null {
  let pattern = patterns.get(domain);
  if (pattern === undefined) {
    pattern = compilePattern(domain.pattern ?? '');
    patterns.set(domain, pattern);
  }
  return pattern;
}

const patterns = new WeakMap<ValueDomain, RegExp | null>();

function compilePattern(text: string): RegExp | null {
  try {
    return new RegExp(text, 'u');
  } catch {
    return null;
  }
}

function ofType(value: unknown, domain: ValueDomain): string | null {
  switch (domain.type) {
    case 'string':
      return typeof value === 'string' ? stringMisfit(value, domain) : 'is no string';
    case 'integer':
      return Number.isInteger(value) ? numberMisfit(value as number, domain) : 'is no whole number';
    case 'number':
      return Number.isFinite(value) ? numberMisfit(value as number, domain) : 'is no number';
    default:
      return typeof value === 'boolean' ? null : 'is neither true nor false';
  }
}

/** Lengths first: they keep long rubbish away from patterns. */
function stringMisfit(value: string, domain: ValueDomain): string | null {
  const { minLength, maxLength, format } = domain;
  // A character is one UTF-16 unit or two, so that most texts need not be counted.
  if (minLength !== undefined && value.length < 2 * minLength && codePoints(value) < minLength)
    return `is shorter than ${minLength} characters`;
  if (maxLength !== undefined && value.length > maxLength && codePoints(value) > maxLength)
    return `is longer than ${maxLength} characters`;
  if (domain.pattern !== undefined && patternOf(domain)?.test(value) !== true) return 'does not match the pattern';
  if (format !== undefined && !fitsFormat(value, format)) return `is no ${format}`;
  return null;
}

function numberMisfit(value: number, { minimum, maximum, multipleOf }: ValueDomain): string | null {
  if (minimum !== undefined && value < minimum) return `is less than ${minimum}`;
  if (maximum !== undefined && value > maximum) return `is more than ${maximum}`;
  if (multipleOf !== undefined && !isMultiple(value, multipleOf)) return `is no multiple of ${multipleOf}`;
  return null;
}

/** JSON Schema counts characters (RFC 8259), not UTF-16 units. */
function codePoints(text: string): number {
  let pairs = 0;
  for (let i = 1; i < text.length; i++) {
    const low = (text.charCodeAt(i) & 0xfc00) === 0xdc00;
    if (low && (text.charCodeAt(i - 1) & 0xfc00) === 0xd800) pairs++;
  }
  return text.length - pairs;
}

/** Exact on the decimals as they are written: 0.07 is a multiple of 0.01, whatever their binary quotient is. */
export function isMultiple(value: number, of: number): boolean {
  if (Number.isSafeInteger(value) && Number.isSafeInteger(of)) return value % of === 0;
  const inverse = INVERSES.get(of);
  const times = inverse === undefined ? 0 : Math.round(value * inverse);
  // Fifteen digits stand for one number only (IEEE 754): what they read back as is what they are.
  if (inverse !== undefined && Math.abs(times) < 1e15) return times / inverse === value;
  return isShortMultiple(value, of) ?? isLongMultiple(value, of);
}

/** Steps of which a whole number makes one, exactly. */
const INVERSES: ReadonlyMap<number, number> = new Map(
  [1, 2, 3, 4, 5, 6].map((places) => [1 / 10 ** places, 10 ** places]),
);

/** For decimals whose digits are a safe integer; null for others. */
function isShortMultiple(value: number, of: number): boolean | null {
  const [text, step] = [String(value), String(of)];
  if (text.includes('e') || step.includes('e')) return null;
  const [places, stepPlaces] = [placesOf(text), placesOf(step)];
  // The last digit is no zero, so that one more place than the step has is between two steps.
  if (places > stepPlaces) return false;
  const digits = Number(text.replace('.', '')) * 10 ** (stepPlaces - places);
  const stepDigits = Number(step.replace('.', ''));
  return Number.isSafeInteger(digits) && Number.isSafeInteger(stepDigits) ? digits % stepDigits === 0 : null;
}

function placesOf(decimal: string): number {
  const point = decimal.indexOf('.');
  return point === -1 ? 0 : decimal.length - point - 1;
}

/** Any decimals. */
export function isLongMultiple(value: number, of: number): boolean {
  const a = decimal(value);
  const b = decimal(of);
  const shift = Math.min(a.exponent, b.exponent);
  return (a.digits * 10n ** BigInt(a.exponent - shift)) % (b.digits * 10n ** BigInt(b.exponent - shift)) === 0n;
}

/** `digits` × 10^`exponent`, from the shortest decimal that reads back as this number. */
function decimal(value: number): { digits: bigint; exponent: number } {
  const [, whole = '0', fraction = '', exponent = '0'] =
    /^(-?\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(String(value)) ?? [];
  return { digits: BigInt(whole + fraction), exponent: Number(exponent) - fraction.length };
}
