// Two departments' logs held against each other, as folders and as exports: what stands in both, what only one has, and
// what is settled by a signature of the one that lacks it; an export that says something else than its checkpoint signs.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { signBatch } from '#certs/batch.ts';
import { commit, sha256 } from '#certs/commitment.ts';
import { exportSpki } from '#certs/keys.ts';
import { sideOfExport, sideOfLog, writeLogExport } from '#core/log/log-export.ts';
import { type MessageLog, type NewRecord, openMessageLog } from '#core/log/message-log.ts';
import { type ReconcileReport, reconcile } from '#core/log/reconcile.ts';
import { openLogAuditSqlite } from '#core/log/store-sqlite.ts';
import { encodeStatement, type Statement } from '#schemas/statement.ts';
import { exchangeId } from './log-fixture.ts';

const SERVERS = { A: 'DEV/GOV/1001/ss1', B: 'DEV/GOV/2002/ss2' } as const;
type Name = keyof typeof SERVERS;
const KEYS = {
  A: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  B: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
};
const CERTIFICATES = { A: sha256('certificate A'), B: sha256('certificate B') };
const SIGNERS = new Map((['A', 'B'] as const).map((one) => [CERTIFICATES[one], exportSpki(KEYS[one].privateKey)]));

/** What is not written into a log. */
type Gap = 'request-sent' | 'request-received' | 'response-sent' | 'response-received';

class Departments {
  readonly dir: string;
  readonly logs: Record<Name, MessageLog>;
  nowMs = 1_790_000_000_000;

  private constructor(dir: string, logs: Record<Name, MessageLog>) {
    this.dir = dir;
    this.logs = logs;
  }

  static async open(t: Test): Promise<Departments> {
    const dir = mkdtempSync(join(tmpdir(), 'accord-reconcile-'));
    t.teardown(() => rmSync(dir, { recursive: true, force: true }));
    const logs = {} as Record<Name, MessageLog>;
    const departments = new Departments(dir, logs);
    for (const name of ['A', 'B'] as const) {
      logs[name] = await openMessageLog({
        folder: join(dir, name),
        keyFolder: join(dir, `${name}-keys`),
        checkpointFile: join(dir, `${name}.txt`),
        origin: `accord/${SERVERS[name]}`,
        checkpointKey: generateKeyPairSync('ed25519').privateKey,
        storageKey: randomBytes(32),
        clock: { nowMs: () => departments.nowMs, monotonicMs: () => departments.nowMs },
      });
    }
    return departments;
  }

  /** One exchange that `from` asks, a minute long, without what is named. */
  async exchange(from: Name, gaps: Gap[] = [], wrongIndex = 0): Promise<string> {
    const to = from === 'A' ? 'B' : 'A';
    const id = exchangeId();
    const request = this.#signed(from, { id, kind: 'request' });
    const add = async (name: Name, kind: Gap, record: NewRecord['evidence']) => {
      if (gaps.includes(kind)) return 7;
      const { seq } = await this.logs[name].append(recordOf(kind, id, SERVERS[name === 'A' ? 'B' : 'A'], record));
      return seq;
    };
    await add(from, 'request-sent', request);
    const index = await add(to, 'request-received', request);
    const origin = this.logs[to].origin;
    const answer = this.#signed(to, {
      id: exchangeId(),
      kind: 'response',
      request: sha256(request!.statement),
      log: { origin, index: index + wrongIndex },
      decisionHash: null,
    });
    await add(to, 'response-sent', answer);
    await add(from, 'response-received', answer);
    this.nowMs += 60_000;
    return id;
  }

  #signed(name: Name, change: Pick<Statement, 'id' | 'kind'> & Partial<Statement>): NonNullable<NewRecord['evidence']> {
    const salt = randomBytes(32);
    const statement: Statement = {
      v: 1,
      from: SERVERS[name],
      to: SERVERS[name === 'A' ? 'B' : 'A'],
      client: 'DEV/GOV/1001/consumer',
      service: 'DEV/GOV/2002/provider/echo',
      at: this.nowMs,
      purpose: null,
      basis: 'open',
      context: { commitment: commit(salt, salt) },
      body: { commitment: commit(salt, salt) },
      configuration: { version: 1, hash: sha256('configuration') },
      ...change,
    };
    const bytes = encodeStatement(statement);
    const key = { alg: 'ES256', key: KEYS[name].privateKey } as const;
    const [signature] = signBatch([bytes], key, CERTIFICATES[name], Math.floor(this.nowMs / 1_000));
    return { statement: bytes, signature: signature! };
  }

  /** As folders, and as exports, which have to say the same. */
  async reconciled(t: Test, signers?: typeof SIGNERS): Promise<ReconcileReport> {
    for (const log of Object.values(this.logs)) await log.close();
    const [a, b] = [openLogAuditSqlite(join(this.dir, 'A')), openLogAuditSqlite(join(this.dir, 'B'))];
    const report = await reconcile(sideOfLog(a), sideOfLog(b), signers);
    const files = { A: join(this.dir, 'a.jsonl'), B: join(this.dir, 'b.jsonl') };
    writeLogExport(a, SERVERS.B, files.A);
    writeLogExport(b, SERVERS.A, files.B);
    t.strictSame(
      await reconcile(sideOfExport(files.A), sideOfExport(files.B), signers),
      report,
      'exports say the same',
    );
    const [there, back] = [
      await reconcile(sideOfLog(a), sideOfExport(files.B), signers),
      await reconcile(sideOfLog(b), sideOfLog(a), signers),
    ];
    t.strictSame(there, report);
    t.strictSame(
      [back.agreed, back.settled, back.open],
      [report.agreed, report.settled, report.open],
      'either way round',
    );
    a.close();
    b.close();
    return report;
  }
}

function recordOf(kind: Gap, id: string, peer: string, evidence: NewRecord['evidence']): NewRecord {
  return {
    kind,
    id,
    peer,
    client: 'DEV/GOV/1001/consumer',
    service: 'DEV/GOV/2002/provider/echo',
    purpose: null,
    basis: 'open',
    code: null,
    decisionHash: null,
    configurationVersion: 1,
    retention: 'standard',
    evidence,
    sealed: null,
  };
}

t.test('what one has and the other lacks, and what settles it', async (t) => {
  const both = await Departments.open(t);
  await both.exchange('A');
  await both.exchange('B');
  const cases: [gaps: Gap[], found: unknown[]][] = [
    // The consumer lacks what it signed: the provider holds its signature.
    [['request-sent'], ['SIGNED_BY_OTHER', 'B', 'A', 'request-received', null]],
    // The provider lacks the request that its own answer cites.
    [['request-received'], ['ANSWER_CITES_IT', 'A', 'B', 'request-sent', 7]],
    // The provider lacks an answer that it signed.
    [['response-sent'], ['SIGNED_BY_OTHER', 'A', 'B', 'response-received', null]],
    // Only the provider says that it answered.
    [['response-received'], ['OPEN', 'B', 'A', 'response-sent', undefined]],
    // Only the consumer says that it asked.
    [
      ['request-received', 'response-sent', 'response-received'],
      ['OPEN', 'A', 'B', 'request-sent', undefined],
    ],
  ];
  const expected: unknown[] = [];
  for (const [gaps, [code, has, lacks, kind, cites]] of cases) {
    const exchange = await both.exchange('A', gaps);
    const isSettled = code !== 'OPEN';
    expected.push({
      ...{ code, has, lacks, kind, exchange, settled: isSettled, signature: isSettled ? true : null },
      by: isSettled
        ? { in: has, cites: cites === null ? null : { origin: 'accord/DEV/GOV/2002/ss2', index: cites } }
        : null,
    });
  }
  // The same request, claimed as void where it never came.
  const lost = await both.exchange('A', ['request-received', 'response-sent', 'response-received']);
  const { seq } = await both.logs.B.claimVoid(SERVERS.A, lost, both.nowMs + 1_000, 1);
  expected.push({
    code: 'VOID',
    settled: true,
    has: 'A',
    lacks: 'B',
    exchange: lost,
    by: { in: 'B', seq, cites: null },
  });
  const wrong = await both.exchange('A', [], 1);
  expected.push({ code: 'WRONG_CITATION', settled: true, has: 'B', exchange: wrong });
  both.nowMs += 3_600_000;
  await both.exchange('A');
  await both.exchange('A', ['response-received']); // too young to be missed
  const report = await both.reconciled(t, SIGNERS);
  t.match(report.items, expected);
  t.match(report, { settled: 5, open: 2, outside: 1, a: { server: SERVERS.A }, b: { server: SERVERS.B } });
});

t.test('a signature that is not of the one who lacks it settles nothing', async (t) => {
  const both = await Departments.open(t);
  await both.exchange('A');
  await both.exchange('A', ['request-sent']);
  both.nowMs += 3_600_000;
  await both.exchange('A');
  const others = new Map([
    [CERTIFICATES.A, exportSpki(KEYS.B.privateKey)],
    [CERTIFICATES.B, exportSpki(KEYS.B.privateKey)],
  ]);
  const report = await both.reconciled(t, others);
  t.match(report, { settled: 0, open: 1, items: [{ code: 'SIGNED_BY_OTHER', settled: false, signature: false }] });
});

t.test('logs in order have nothing open, whatever was asked in which direction', async (t) => {
  const asked = fc.array(fc.constantFrom('A' as const, 'B' as const), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(asked, async (names) => {
      const both = await Departments.open(t);
      for (const name of names) await both.exchange(name);
      const report = await both.reconciled(t, SIGNERS);
      return report.agreed === 2 * names.length && report.items.length === 0;
    }),
    { numRuns: 8 },
  );
});

t.test('an export is what its checkpoint signs: any byte that is changed is found', async (t) => {
  const both = await Departments.open(t);
  const foreign = { ...recordOf('request-sent', exchangeId(), 'DEV/GOV/3003/ss3', null), kind: 'summary' as const };
  for (let i = 0; i < 3; i++) {
    await both.exchange('A');
    await both.logs.A.append(foreign);
  }
  await both.reconciled(t);
  const file = join(both.dir, 'a.jsonl');
  const original = readFileSync(file);
  t.notMatch(original.toString(), /3003/, 'nothing of exchanges with others');
  t.match(original.toString(), /request-sent/);
  const changed = join(both.dir, 'changed.jsonl');
  const same = join(both.dir, 'b.jsonl');
  const key = (JSON.parse(original.toString().split('\n', 1)[0]!) as { verifierKey: string }).verifierKey;
  const before = JSON.stringify(await reconcile(sideOfExport(file, key), sideOfExport(same), SIGNERS));
  const judged = async () => {
    try {
      return JSON.stringify(await reconcile(sideOfExport(changed, key), sideOfExport(same), SIGNERS));
    } catch (error) {
      return (error as { code?: string }).code ?? 'uncoded';
    }
  };
  let found = 0;
  let tried = 0;
  for (let i = 0; i < original.length; i += 31, tried++) {
    const bytes = Buffer.from(original);
    bytes[i]! ^= 1 << (i % 7);
    writeFileSync(changed, bytes);
    const verdict = await judged();
    if (verdict === 'uncoded') t.fail(`byte ${i}`);
    if (verdict !== before) found++;
  }
  t.equal(found, tried, `${found} found`);
  writeFileSync(changed, original.subarray(0, original.lastIndexOf('\n', original.length - 2) + 1));
  t.equal(await judged(), 'LOG_EXPORT_MALFORMED', 'cut off');
  await t.rejects(async () => sideOfExport(file, 'another'), { code: 'LOG_EXPORT_MALFORMED' });
});
