// The quick readers of log entries and statements against the whole judgement: whatever they take, the schema takes, and
// reads the same; and they take everything ordinary, or an audit would be slow without anybody noticing.
import fc from 'fast-check';
import t from 'tap';
import { entryReader, statementReader } from '#core/log/audit-shapes.ts';
import {
  ENTRY_KINDS,
  encodeLogEntry,
  type LogEntry,
  readAnyEntry,
  readPlainEntry,
  spellAny,
  spellPlain,
} from '#schemas/log-entry.ts';
import { encodeStatement, readAnyStatement, readPlainStatement, type Statement } from '#schemas/statement.ts';

const RUNS = 3_000;
const HASH = fc.stringMatching(/^[A-Za-z0-9_-]{43}$/);
const orNull = <T>(some: fc.Arbitrary<T>) => fc.option(some, { nil: null });
const count = fc.oneof(fc.nat(), fc.constantFrom(0, Number.MAX_SAFE_INTEGER, 9_999_999_999));
const id = fc.constant('019310a2-7c11-7d3a-9b52-0f3c5e7a1b2c');
const text = (maxLength: number) =>
  fc.string({ minLength: 1, maxLength, unit: fc.constantFrom('a', '/', '.', '-', '7') });

const entry: fc.Arbitrary<LogEntry> = fc.record({
  seq: count,
  t: count,
  kind: fc.constantFrom(...(Object.keys(ENTRY_KINDS) as LogEntry['kind'][])),
  id: text(128),
  peer: orNull(text(512)),
  client: orNull(text(512)),
  service: orNull(text(512)),
  purpose: orNull(text(128)),
  basis: orNull(text(32)),
  code: orNull(text(64)),
  decisionHash: orNull(HASH),
  statement: orNull(HASH),
  signature: orNull(HASH),
  ocsp: orNull(HASH),
  configuration: count,
  retention: fc.stringMatching(/^[a-z0-9-]{1,32}$/),
});

const statement: fc.Arbitrary<Statement> = fc
  .record({
    kind: fc.constantFrom('request' as const, 'response' as const, 'refusal' as const, 'settlement' as const),
    id,
    at: count,
    purpose: orNull(fc.stringMatching(/^[a-z0-9](?:[a-z0-9.-]{0,62}[a-z0-9])?$/)),
    basis: fc.constantFrom('open' as const, 'law' as const, 'consent' as const),
    commitment: HASH,
    hash: HASH,
    version: fc.integer({ min: 1 }),
    request: HASH,
    origin: text(255),
    index: count,
    decisionHash: orNull(HASH),
  })
  .map(({ commitment, hash, version, request, origin, index, decisionHash, ...rest }) => ({
    v: 1,
    ...rest,
    from: 'DEV/GOV/1001/ss1',
    to: 'DEV/GOV/2002/ss2',
    client: 'DEV/GOV/1001/consumer',
    service: 'DEV/GOV/2002/provider/echo.v1',
    context: { commitment },
    body: { commitment },
    configuration: { version, hash },
    ...(rest.kind === 'request' ? {} : { request }),
    ...(rest.kind === 'response' || rest.kind === 'refusal' ? { log: { origin, index }, decisionHash } : {}),
  }));

/** Up to three characters removed, put in or replaced. */
const edits = fc.array(
  fc.record({
    at: fc.nat(),
    drop: fc.constantFrom(0, 1),
    put: fc.constantFrom(
      '',
      '"',
      '\\',
      ',',
      '0',
      '9999999999999999',
      'null',
      ' ',
      'x',
      '\u0000',
      'é',
      '\ud800',
      '{',
      '\n',
      '/',
      '..',
    ),
  }),
  { minLength: 1, maxLength: 3 },
);
type Edits = { at: number; drop: number; put: string }[];
const edited = (whole: string, list: Edits) =>
  list.reduce((now, { at, drop, put }) => {
    const place = at % (now.length + 1);
    return now.slice(0, place) + put + now.slice(place + drop);
  }, whole);

/** What the whole judgement says: the value, or null when it refuses. */
function judged<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}

t.test('ordinary entries and statements are taken quickly, and read the same', async (t) => {
  fc.assert(
    fc.property(entry, (made) => {
      const line = encodeLogEntry(made);
      t.strictSame(readPlainEntry(line), { ...made });
    }),
    { numRuns: 200 },
  );
  fc.assert(
    fc.property(statement, (made) => {
      const bytes = encodeStatement(made);
      t.strictSame(readPlainStatement(bytes), readAnyStatement(bytes));
    }),
    { numRuns: 200 },
  );
});

t.test('the quick spelling is the one spelling, or none', async (t) => {
  const odd = fc.constantFrom<unknown>(
    ...[
      '',
      '"',
      'é',
      '\\',
      '\n',
      'x'.repeat(513),
      ' ',
      '~',
      '\u007f',
      '\ud800',
      null,
      undefined,
      0,
      -1,
      -0,
      1.5,
      2 ** 53,
    ],
    ...[
      1e21,
      Number.NaN,
      'summary',
      'toString',
      'A'.repeat(43),
      `${'A'.repeat(43)}\n`,
      'standard',
      'S',
      [],
      {},
      ['summary'],
    ],
  );
  const member = fc.constantFrom(...Object.keys(fc.sample(entry, 1)[0]!), 'more');
  let [quick, slow, refused] = [0, 0, 0];
  fc.assert(
    fc.property(entry, fc.option(fc.tuple(member, odd)), (made, change) => {
      const given = { ...made, ...(change === null ? {} : { [change[0]]: change[1] }) };
      const plain = spellPlain(given);
      if (plain === null && change === null) t.fail('an ordinary entry is not spelled quickly', given);
      const spelled = judged(() => spellAny(given));
      if (plain !== null) quick++;
      else if (spelled !== null) slow++;
      else refused++;
      if (plain !== null && plain !== spelled) t.fail('another spelling', { plain, spelled });
    }),
    { numRuns: RUNS },
  );
  t.ok(quick > 500 && slow > 20 && refused > 500, `${quick} quick, ${slow} slow, ${refused} refused`);
});

t.test('whatever the quick readers take, the schema takes and reads the same', async (t) => {
  let taken = 0;
  fc.assert(
    fc.property(entry, edits, (made, list) => {
      const line = edited(encodeLogEntry(made), list);
      const quick = readPlainEntry(line);
      if (quick === null) return;
      taken++;
      t.strictSame(
        quick,
        judged(() => readAnyEntry(line)),
        line,
      );
    }),
    { numRuns: RUNS },
  );
  fc.assert(
    fc.property(statement, edits, (made, list) => {
      const bytes = Buffer.from(edited(encodeStatement(made).toString('utf8'), list), 'utf8');
      const quick = readPlainStatement(bytes);
      if (quick === null) return;
      taken++;
      t.strictSame(
        quick,
        judged(() => readAnyStatement(bytes)),
        bytes.toString('utf8'),
      );
    }),
    { numRuns: RUNS },
  );
  t.ok(taken > 100, `${taken} edits left an entry or a statement`);
});

t.test('whatever an audit takes for its likeness, the schema takes and reads the same', async (t) => {
  let [entries, statements] = [0, 0];
  fc.assert(
    fc.property(entry, entry, edits, (like, made, list) => {
      const read = entryReader(0);
      t.strictSame(read(encodeLogEntry(like)), { ...like });
      // The like of it with other numbers, id and hashes, and that with a few characters changed.
      const { seq, t: at, id } = made;
      const hashes = (['decisionHash', 'statement', 'signature', 'ocsp'] as const).map((name) => {
        return [name, like[name] === null ? null : (made[name] ?? like[name])] as const;
      });
      const other = { ...like, seq, t: at, id, ...Object.fromEntries(hashes) };
      t.strictSame(read(encodeLogEntry(other)), other);
      const line = edited(encodeLogEntry(other), list);
      const taken = judged(() => read(line));
      if (taken !== null) entries++;
      t.strictSame(
        taken,
        judged(() => readAnyEntry(line)),
        line,
      );
    }),
    { numRuns: RUNS / 3 },
  );
  fc.assert(
    fc.property(statement, statement, edits, (like, made, list) => {
      const read = statementReader(0);
      const facts = (all: Statement) => {
        const { kind, id, client, service, purpose, request } = all;
        return { kind, id, client, service, purpose, ...(request === undefined ? {} : { request }) };
      };
      t.match(read(encodeStatement(like)), facts(like));
      const other: Statement = { ...like, at: made.at, context: made.context, body: made.body };
      if (like.request !== undefined && made.request !== undefined) other.request = made.request;
      if (like.log !== undefined && made.log !== undefined) other.log = { ...like.log, index: made.log.index };
      t.match(read(encodeStatement(other)), facts(other));
      const bytes = Buffer.from(edited(encodeStatement(other).toString('utf8'), list), 'utf8');
      const [taken, right] = [judged(() => read(bytes)), judged(() => readAnyStatement(bytes))];
      if (taken !== null) statements++;
      if ((taken === null) !== (right === null)) t.fail('taken or not', { text: bytes.toString('utf8') });
      if (taken !== null && right !== null) t.match(taken, facts(right));
    }),
    { numRuns: RUNS / 3 },
  );
  t.ok(entries > 30 && statements > 10, `${entries} and ${statements} edits left an entry or a statement`);
});

t.test('at each bound', async (t) => {
  const [made] = fc.sample(entry, { numRuns: 1, seed: 1 });
  const bounds: Partial<Record<keyof LogEntry, number>> = { id: 128, peer: 512, client: 512, service: 512 };
  const more = { ...bounds, purpose: 128, basis: 32, code: 64 };
  for (const [member, most] of Object.entries(more)) {
    const at = (length: number) =>
      encodeLogEntry({ ...made!, [member]: 'x' }).replace(`"${member}":"x"`, `"${member}":"${'y'.repeat(length)}"`);
    t.ok(readPlainEntry(at(most)) !== null && readAnyEntry(at(most)), `${member} of ${most}`);
    t.equal(readPlainEntry(at(most + 1)), null);
    t.throws(() => readAnyEntry(at(most + 1)), { code: 'LOG_ENTRY_MALFORMED' });
  }
  const unsafe = encodeLogEntry({ ...made!, seq: 1 }).replace('"seq":1', '"seq":9007199254740992');
  t.equal(readPlainEntry(unsafe), null);
});
