// The formats a value domain may name (JSON Schema 2020-12, validation 7.3): date and date-time after RFC 3339, uuid after
// RFC 9562, email after RFC 5321 as written in practice, uri after RFC 3986. They are assertions here. Backends control the
// texts; every expression below is linear, or bounded by one label, because it stands anchored and without overlaps.
import { dayOf } from '#policy/calendar.ts';
import type { ValueDomain } from '#schemas/dictionary-entry.ts';

type Format = NonNullable<ValueDomain['format']>;

export function fitsFormat(text: string, format: Format): boolean {
  return FORMATS[format](text);
}

const FORMATS: Record<Format, (text: string) => boolean> = {
  date: (text) => dayOf(text) !== null,
  'date-time': isDateTime,
  uuid: (text) => /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(text),
  email: (text) => EMAIL.test(text),
  uri: (text) => URI.test(text),
};

const DATE_TIME = /^(\d{4}-\d{2}-\d{2})t(\d{2}):(\d{2}):(\d{2})(?:\.\d+)?(?:z|([+-])(\d{2}):(\d{2}))$/i;

/** RFC 3339 5.6; a 60th second only where 5.7 allows a leap second, in the last minute of a day in UTC. */
function isDateTime(text: string): boolean {
  const [, date = '', hour, minute, second, sign, offsetHours = '0', offsetMinutes = '0'] = DATE_TIME.exec(text) ?? [];
  if (dayOf(date) === null || Number(hour) > 23 || Number(minute) > 59) return false;
  if (Number(offsetHours) > 23 || Number(offsetMinutes) > 59) return false;
  if (Number(second) < 60) return true;
  const offset = (Number(offsetHours) * 60 + Number(offsetMinutes)) * (sign === '-' ? -1 : 1);
  const inUtc = (Number(hour) * 60 + Number(minute) - offset + 2880) % 1440;
  return Number(second) === 60 && inUtc === 1439;
}

const ATOM = "[a-z0-9!#$%&'*+/=?^_`{|}~-]+";
const LABEL = '[a-z0-9](?:[a-z0-9-]*[a-z0-9])?';
const EMAIL = new RegExp(`^${ATOM}(?:\\.${ATOM})*@(?:${LABEL}\\.)+${LABEL}$`, 'i');

// RFC 3986 appendix A, by its names.
const UNRESERVED_OR_SUB_DELIM = "a-z0-9\\-._~!$&'()*+,;=";
const PERCENT = '%[0-9a-f]{2}';
const PCHAR = `(?:[${UNRESERVED_OR_SUB_DELIM}:@]|${PERCENT})`;
const DEC_OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = `(?:${DEC_OCTET}\\.){3}${DEC_OCTET}`;
const H16 = '[0-9a-f]{1,4}';
const LS32 = `(?:${H16}:${H16}|${IPV4})`;
const IPV6 = [
  `(?:${H16}:){6}${LS32}`,
  `::(?:${H16}:){5}${LS32}`,
  `(?:${H16})?::(?:${H16}:){4}${LS32}`,
  `(?:(?:${H16}:){0,1}${H16})?::(?:${H16}:){3}${LS32}`,
  `(?:(?:${H16}:){0,2}${H16})?::(?:${H16}:){2}${LS32}`,
  `(?:(?:${H16}:){0,3}${H16})?::${H16}:${LS32}`,
  `(?:(?:${H16}:){0,4}${H16})?::${LS32}`,
  `(?:(?:${H16}:){0,5}${H16})?::${H16}`,
  `(?:(?:${H16}:){0,6}${H16})?::`,
].join('|');
const IP_LITERAL = `\\[(?:${IPV6}|v[0-9a-f]+\\.[${UNRESERVED_OR_SUB_DELIM}:]+)\\]`;
const USER_INFO = `(?:[${UNRESERVED_OR_SUB_DELIM}:]|${PERCENT})*`;
const AUTHORITY = `(?:${USER_INFO}@)?(?:${IP_LITERAL}|(?:[${UNRESERVED_OR_SUB_DELIM}]|${PERCENT})*)(?::\\d*)?`;
const SEGMENTS = `(?:/${PCHAR}*)*`;
// path-empty without an authority (`urn:`) is left out: nothing is identified by it.
const HIER_PART = `(?://${AUTHORITY}${SEGMENTS}|/(?:${PCHAR}+${SEGMENTS})?|${PCHAR}+${SEGMENTS})`;
const QUERY = `(?:${PCHAR}|[/?])*`;
const URI = new RegExp(`^[a-z][a-z0-9+\\-.]*:${HIER_PART}(?:\\?${QUERY})?(?:#${QUERY})?$`, 'i');
