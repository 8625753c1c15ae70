// Dates written in another form (step dateFormat): YYYY, MM and DD stand for digits, every other character for itself.
// The forms are the dictionary's; the text comes from a backend.
import { daysInMonth } from '#policy/calendar.ts';

const TOKENS = ['YYYY', 'MM', 'DD'] as const;
type Token = (typeof TOKENS)[number];

/** The tokens of a form, in order. */
export function dateTokens(form: string): Token[] {
  return pieces(form).filter((piece): piece is Token => TOKENS.some((token) => token === piece));
}

/** `text`, which must be exactly of the form `from` and a real day (month), written in the form `to`; else null. */
export function reformatDate(text: string, from: string, to: string): string | null {
  const read = new Map<string, string>();
  let rest = text;
  for (const piece of pieces(from)) {
    const found = rest.slice(0, piece.length);
    rest = rest.slice(piece.length);
    if (dateTokens(piece).length === 0) {
      if (found !== piece) return null;
    } else {
      if (found.length !== piece.length || !/^[0-9]+$/.test(found)) return null;
      if ((read.get(piece) ?? found) !== found) return null;
      read.set(piece, found);
    }
  }
  if (rest !== '' || !isReal(read)) return null;
  let written = '';
  for (const piece of pieces(to)) {
    const part = dateTokens(piece).length === 0 ? piece : read.get(piece);
    if (part === undefined) return null;
    written += part;
  }
  return written;
}

function isReal(read: ReadonlyMap<string, string>): boolean {
  const [year, month, day] = TOKENS.map((token) => (read.has(token) ? Number(read.get(token)) : null));
  if (year === 0 || month === 0 || day === 0) return false;
  if (typeof month === 'number' && month > 12) return false;
  return typeof day !== 'number' || day <= (typeof month === 'number' ? daysInMonth(month, year ?? null) : 31);
}

function pieces(form: string): string[] {
  return form.match(/YYYY|MM|DD|./gsu) ?? [];
}
