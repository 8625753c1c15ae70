// Values that are made once and used for many requests: access rights, what a table makes of the same fields. They are
// frozen, so that nobody can change what others rely on, and their JSON is spelled once.

/** The bytes of each, from when they were first asked for. */
const known = new WeakMap<object, Buffer | null>();

/** Freezes JSON data to its last member; from now on its bytes are kept as long as the value itself. */
export function unchanging<T extends object>(value: T): T {
  freeze(value);
  return value;
}

function freeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || known.has(value)) return;
  for (const member of Object.values(value)) freeze(member);
  known.set(Object.freeze(value), null);
}

export function isUnchanging(value: object): boolean {
  return known.has(value);
}

function bytesOf(value: object): Buffer {
  let bytes = known.get(value);
  if (!bytes) {
    bytes = Buffer.from(JSON.stringify(value), 'utf8');
    known.set(value, bytes);
  }
  return bytes;
}

const MAX_PARTS = 64;
// Half of a pair, which JSON.stringify spells as an escape. In a text of whole characters no string is spelled so: a quote
// or a backslash of its own is escaped.
const MARK = /"\\ud8([0-3][0-9a-f])"/g;
const markOf = (part: number) => String.fromCharCode(0xd800 + part);

/**
 * The bytes of JSON.stringify, where parts never change.
 * @param spelled makes the value, with what `part` gives in the place of each such part; `part` gives other values back
 */
export function jsonBytes(spelled: (part: <T>(value: T) => T) => object): Buffer {
  const parts: object[] = [];
  const marked = JSON.stringify(
    spelled(<T>(value: T): T => {
      const isPart = typeof value === 'object' && value !== null && parts.length < MAX_PARTS && isUnchanging(value);
      return isPart ? (markOf(parts.push(value) - 1) as T) : value;
    }),
  );
  if (parts.length === 0) return Buffer.from(marked, 'utf8');
  const pieces: Buffer[] = [];
  let from = 0;
  let found = 0;
  for (const match of marked.matchAll(MARK)) {
    const part = parts[Number.parseInt(match[1] ?? '', 16)];
    if (part === undefined) continue;
    pieces.push(Buffer.from(marked.slice(from, match.index), 'utf8'), bytesOf(part));
    from = match.index + match[0].length;
    found += 1;
  }
  // Some string held half of a pair itself.
  if (found !== parts.length) return Buffer.from(JSON.stringify(spelled((value) => value)), 'utf8');
  pieces.push(Buffer.from(marked.slice(from), 'utf8'));
  return Buffer.concat(pieces);
}
