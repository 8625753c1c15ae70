// Public keys that decode well and protect nothing. Whoever registers such a key controls it; what they gain is a
// signature that fits many messages, or a key that others can break and blame.

const P25519 = 2n ** 255n - 19n;
/** y of the points of order 8; the other small orders have y = 0, 1 and -1. */
const ORDER_8_Y = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
const SMALL_ORDER_Y = [0n, 1n, P25519 - 1n, ORDER_8_Y, P25519 - ORDER_8_Y];

/** True for the points of small order, and for encodings whose y is not reduced (RFC 8032 section 5.1.3). */
export function isWeakEd25519(encoded: Uint8Array): boolean {
  const littleEndian = Buffer.from(encoded).reverse();
  littleEndian[0] = (littleEndian[0] ?? 0) & 0x7f; // the top bit is the sign of x
  const y = BigInt(`0x${littleEndian.toString('hex')}`);
  return y >= P25519 || SMALL_ORDER_Y.includes(y);
}

/**
 * True for exponents that are even or below 65537, and for moduli with the ROCA fingerprint (CVE-2017-15361): chips that
 * built their primes from powers of 65537 left moduli that are such a power modulo every small prime.
 */
export function isWeakRsa(modulus: bigint, exponent: bigint): boolean {
  return (
    exponent < 65_537n ||
    exponent % 2n === 0n ||
    ROCA_PRIMES.every((prime) => powersOf65537(prime).has(modulus % prime))
  );
}

const ROCA_PRIMES = [11n, 13n, 17n, 19n, 37n, 53n, 61n, 71n, 73n, 79n, 97n, 103n, 107n, 109n, 127n, 151n, 157n];

function powersOf65537(prime: bigint): Set<bigint> {
  const powers = new Set<bigint>();
  for (let power = 1n; !powers.has(power); power = (power * 65_537n) % prime) powers.add(power);
  return powers;
}
