// Calendar dates of the dictionary (YYYY-MM-DD, the proleptic Gregorian calendar of RFC 3339 full-date), without a clock
// and without time zones. The texts come from backends and requests: anything may stand in them.

const DAY_MS = 86_400_000;

/** Days of a month; 29 for February when the year is not known. 0 when there is no such month. */
export function daysInMonth(month: number, year: number | null): number {
  if (month < 1 || month > 12) return 0;
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
  return year === null || (year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)) ? 29 : 28;
}

/** Year, month and day of a real day; null for any other text. */
export function dayOf(text: string): { year: number; month: number; day: number } | null {
  if (text.length !== 10 || text[4] !== '-' || text[7] !== '-') return null;
  // Asked of every date of an answer: by digits it takes a third of what an expression takes.
  const [year, month, day] = [digits(text, 0, 4), digits(text, 5, 7), digits(text, 8, 10)];
  return year >= 1 && day >= 1 && day <= daysInMonth(month, year) ? { year, month, day } : null;
}

/** The number that these characters are, or -1, which is no year, month or day. */
function digits(text: string, from: number, until: number): number {
  let number = 0;
  for (let at = from; at < until; at += 1) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
  }
  return number;
}

/** Days from `from` to `until`, negative when `until` is earlier; null when one of them is no real day. */
export function daysBetween(from: string, until: string): number | null {
  const [first, last] = [epochDay(from), epochDay(until)];
  return first === null || last === null ? null : last - first;
}

/**
 * Completed years between a birth date and `today`; null when one of them is no real day, or the birth lies ahead.
 * Whoever was born on 29 February completes a year on 1 March where there is no such day.
 */
export function ageInYears(birthDate: string, today: string): number | null {
  const [birth, now] = [dayOf(birthDate), dayOf(today)];
  if (birth === null || now === null || birthDate > today) return null;
  const reached = now.month > birth.month || (now.month === birth.month && now.day >= birth.day);
  return now.year - birth.year - (reached ? 0 : 1);
}

function epochDay(text: string): number | null {
  return dayOf(text) === null ? null : Date.parse(`${text}T00:00:00Z`) / DAY_MS;
}

/** A server asks for the same day all day long. */
let latest = { number: Number.NaN, text: '' };

/** The day of a time in milliseconds since the epoch, where clocks are that many minutes ahead of UTC. */
export function dayAt(nowMs: number, utcOffsetMinutes: number): string {
  const localMs = nowMs + utcOffsetMinutes * 60_000;
  const number = Math.floor(localMs / DAY_MS);
  if (number === latest.number) return latest.text;
  const text = new Date(localMs).toISOString().slice(0, 10);
  // Parts of a millisecond before 1970 are rounded the other way.
  if (localMs >= 0) latest = { number, text };
  return text;
}
