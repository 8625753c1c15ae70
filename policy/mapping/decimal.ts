// Exact decimal arithmetic for the step `unit`: a value is an integer of any size with a count of decimals, so that
// 0.1 + 0.2 is 0.3 and no cent is lost. Inputs come from backends; factors, offset and digits from the dictionary.

/** What `units` × 10^-`decimals` is worth. */
interface Decimal {
  units: bigint;
  decimals: number;
}

const TEXT = /^(-?)([0-9]{1,400})(?:\.([0-9]{1,400}))?(?:[eE]([+-]?[0-9]{1,3}))?$/;
/** Most decimals of an unrounded result. */
const MAX_DECIMALS = 30;

/** The decimal that a JSON number, or a text that looks like one, says; null for any other text. */
export function decimalOf(value: number | string): Decimal | null {
  const parts = TEXT.exec(String(value));
  if (parts === null) return null;
  const [, sign, whole = '', fraction = '', exponent = '0'] = parts;
  const decimals = fraction.length - Number(exponent);
  const units = BigInt(`${sign}${whole}${fraction}`);
  return decimals >= 0 ? { units, decimals } : { units: units * 10n ** BigInt(-decimals), decimals: 0 };
}

export interface UnitFactors {
  numerator: number;
  denominator: number;
  offset?: number | undefined;
  digits?: number | undefined;
}

/**
 * value × numerator / denominator + offset, rounded to `digits` decimals (a half goes away from zero, as in accounting).
 * Null when no JSON number says the result exactly: it has no end and no rounding was asked for, or it has too many digits.
 */
export function convertUnit(
  value: Decimal,
  { numerator, denominator, offset = 0, digits }: UnitFactors,
): number | null {
  const shift = decimalOf(offset);
  if (shift === null) return null;
  const scale = Math.max(value.decimals, shift.decimals);
  const divisor = BigInt(denominator) * 10n ** BigInt(scale);
  const dividend =
    value.units * 10n ** BigInt(scale - value.decimals) * BigInt(numerator) +
    shift.units * 10n ** BigInt(scale - shift.decimals) * BigInt(denominator);
  const decimals = digits ?? MAX_DECIMALS;
  const scaled = dividend * 10n ** BigInt(decimals);
  if (digits === undefined && scaled % divisor !== 0n) return null;
  return toNumber({ units: divideHalfUp(scaled, divisor), decimals });
}

function divideHalfUp(dividend: bigint, divisor: bigint): bigint {
  const half = dividend < 0n ? -divisor : divisor;
  return (2n * dividend + half) / (2n * divisor);
}

/** The JSON number that says exactly this decimal, or null. */
function toNumber({ units, decimals }: Decimal): number | null {
  if (units === 0n) return 0;
  const number = Number(`${units}e-${decimals}`);
  const back = decimalOf(number);
  if (back === null) return null;
  const places = Math.max(decimals, back.decimals);
  const same = units * 10n ** BigInt(places - decimals) === back.units * 10n ** BigInt(places - back.decimals);
  return same ? number : null;
}
