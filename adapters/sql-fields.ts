// The two request headers by which the department's own security server narrows a question to what it decided:
// `accord-fields` (paths of the binding table, comma-separated; arrays are transparent) and `accord-as-of` (YYYY-MM-DD).
// The first only saves work and exposure: the security server filters every answer itself and relies on nothing here, so
// a header that cannot be read is as if it were not there. The second changes what is true, so it is read strictly.
import type { Clock } from '#core/clock.ts';
import { AccordError } from '#schemas/problems.ts';
import type { Parameter } from './sql-config.ts';

const MAX_FIELDS_BYTES = 8 * 1024;
const FIELDS = /^\/[^\s,/]+(?:\/[^\s,/]+)*(?:[ \t]*,[ \t]*\/[^\s,/]+(?:\/[^\s,/]+)*)*$/;

/** The paths of `accord-fields`; null (everything) without it, and when it stands twice, is over 8 KiB or no list of paths. */
export function fieldsOf(rawHeaders: readonly string[]): ReadonlySet<string> | null {
  const [value, second] = valuesOf(rawHeaders, 'accord-fields');
  if (value === undefined || second !== undefined || Buffer.byteLength(value) > MAX_FIELDS_BYTES) return null;
  return FIELDS.test(value) ? new Set(value.split(',').map((path) => path.trim())) : null;
}

/**
 * Puts the day that is asked for into its parameter: from the query, else from `accord-as-of`, else today where the
 * adapter runs. A resource without such a parameter knows only the present.
 * @throws PARAMETER_INVALID when the two differ, or the header comes to a resource that only knows the present
 */
export function withDay(
  values: Record<string, string | number | boolean>,
  parameters: Readonly<Record<string, Parameter>>,
  rawHeaders: readonly string[],
  clock: Clock,
): void {
  const given = valuesOf(rawHeaders, 'accord-as-of');
  const name = Object.keys(parameters).find((one) => parameters[one]?.role === 'as-of');
  if (name === undefined) {
    if (given.length > 0) throw new AccordError('PARAMETER_INVALID', 'accord-as-of: only the present can be asked for');
    return;
  }
  const days = new Set([...(Object.hasOwn(values, name) ? [values[name]] : []), ...given]);
  if (days.size > 1) throw new AccordError('PARAMETER_INVALID', `${name} and accord-as-of name different days`);
  values[name] = [...days][0] ?? today(clock);
}

/** The civil day of the department's own machine: what its rows mean by a date. */
function today(clock: Clock): string {
  const now = new Date(clock.nowMs());
  const two = (value: number) => String(value).padStart(2, '0');
  return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
}

function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name);
}
