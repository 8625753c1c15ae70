// Rows of a log that an audit compares in bytes against the whole judgement of the same rows. Each byte of an entry, and of
// the statement beside it, is changed in turn by somebody who has every key: hashes, leaf and signature are made to fit. What
// the comparison takes, the whole judgement takes; and it takes what is ordinary, or nothing would be gained.
import { generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import { signBatch } from '#certs/batch.ts';
import { sha256 } from '#certs/commitment.ts';
import { leafHash, rootOfLeaves } from '#certs/merkle.ts';
import { Batches } from '#core/log/audit-batches.ts';
import { type AuditRows, rangeVerifier } from '#core/log/audit-entries.ts';
import { Finding } from '#core/log/audit-finding.ts';
import { PlainRows } from '#core/log/audit-plain.ts';
import { RecentStatements } from '#core/log/audit-recent.ts';
import type { SignatureKey, StoredRow, StoredSignature } from '#core/log/store.ts';
import { packRows } from '#core/log/stored-page.ts';
import { encodeLogEntry, type LogEntry } from '#schemas/log-entry.ts';
import { madeAnswers, madeRequests } from '#scripts/log/made-log.ts';

const AT_MS = 1_700_000_000_000;
const HASH = sha256('hash');
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** Row numbers are those of the log, each under a signature of its own. */
class MadeRows {
  readonly rows: StoredRow[] = [];
  readonly #signatures: string[] = [];

  log(rows = this.rows): AuditRows {
    return {
      page: (from, limit) => packRows(rows.slice(from, from + limit)),
      signature: (key): StoredSignature => ({ jws: this.#signatures[Number(key)] ?? '', first: null, last: null }),
      members: () => [],
      linesOf: (id) => rows.filter((row) => row.exchangeId === id),
      size: () => rows.length,
      archivedUntil: () => 0,
    };
  }

  sign(statement: Buffer): { key: SignatureKey; jws: string } {
    const [signature] = signBatch([statement], { alg: 'ES256', key: privateKey }, HASH, AT_MS / 1000);
    const jws = signature?.jws ?? '';
    return { key: this.#signatures.push(jws) - 1, jws };
  }

  /** With everything that follows from the statement. */
  row(entry: LogEntry, statement: Buffer): StoredRow {
    const { key, jws } = this.sign(statement);
    const line = encodeLogEntry({ ...entry, statement: sha256(statement), signature: sha256(jws) });
    const evidence = { statement, signature: key, index: 0, size: 1, path: Buffer.alloc(0) };
    return { seq: entry.seq, line, leaf: leafHash(line), exchangeId: entry.id, evidence };
  }
}

/** Two exchanges: what is learnt from the first is taken of the second. */
function madeRows(): { made: MadeRows; entries: LogEntry[] } {
  const made = new MadeRows();
  const entries: LogEntry[] = [];
  for (let exchange = 0; exchange < 2; exchange++) {
    const requests = madeRequests({ size: 1, nowMs: AT_MS + exchange, sealed: false });
    for (const { evidence, sealed: _, ...record } of [...requests, ...madeAnswers(requests, AT_MS + exchange, false)]) {
      const { kind, id, peer, client, service, purpose, basis, code, retention } = record;
      const named = { statement: null, signature: null, ocsp: null, configuration: 1, retention };
      const who = { kind, id, peer, client, service, purpose, basis, code };
      const decisionHash = kind === 'response-received' ? HASH : null;
      const entry = { seq: made.rows.length, t: AT_MS + exchange, ...who, decisionHash, ...named } as LogEntry;
      entries.push(entry);
      made.rows.push(made.row(entry, evidence?.statement ?? Buffer.alloc(0)));
    }
  }
  return { made, entries };
}

t.test('what is compared in bytes is what the whole judgement takes', async (t) => {
  const { made, entries } = madeRows();
  const batches = new Batches(made.log(), () => null);
  const recent = new RecentStatements(1_000);
  const plain = new PlainRows(batches, recent);
  const page = packRows(made.rows);
  for (const row of [0, 1]) plain.learn(page, row);
  t.ok(plain.judge(page, 2, 2, 0) === AT_MS + 1 && plain.judge(page, 3, 3, 0) === AT_MS + 1, 'ordinary rows');
  t.equal(plain.judge(page, 2, 2, AT_MS + 2), -1, 'time runs backwards');
  const taken = { line: 0, statement: 0, refused: 0 };
  const overlooked: string[] = [];
  const judge = (what: 'line' | 'statement', at: number, row: StoredRow) => {
    const rows = made.rows.map((one) => (one.seq === row.seq ? row : one));
    if (plain.judge(packRows(rows), row.seq, row.seq, 0) < 0) taken.refused++;
    else {
      taken[what]++;
      const { finding } = rangeVerifier(made.log(rows), () => null)(row.seq, row.seq + 1);
      if (finding !== null) overlooked.push(`${what} ${row.seq} at ${at}: ${finding.code} ${finding.detail}`);
    }
  };
  // Another digit, where it is one, or another character.
  const changed = (bytes: Buffer, at: number) => {
    return [1, 2, 4, 0x10, 0x20].map((bits) => {
      const copy = Buffer.from(bytes);
      copy.writeUInt8(copy.readUInt8(at) ^ bits, at);
      return copy;
    });
  };
  for (const seq of [2, 3]) {
    const { line, evidence, ...row } = made.rows[seq]!;
    for (let at = 0; at < line.length; at++) {
      for (const other of changed(Buffer.from(line), at).map((bytes) => bytes.toString('latin1'))) {
        judge('line', at, { ...row, evidence, line: other, leaf: leafHash(other) });
      }
    }
    for (let at = 0; at < evidence!.statement.length; at++) {
      for (const other of changed(evidence!.statement, at)) judge('statement', at, made.row(entries[seq]!, other));
    }
    const lying = made.row(entries[seq]!, evidence!.statement);
    const bent = (length: number, path: number) => ({ ...evidence!, index: length, path: Buffer.alloc(path) });
    for (const evidence of [bent(1, 0), bent(0, 32)]) judge('statement', -1, { ...lying, evidence });
    judge('line', -1, { ...row, evidence, line, leaf: Buffer.alloc(32) });
    judge('line', -1, { ...row, evidence, line, leaf: row.leaf, exchangeId: entries[0]!.id });
  }
  t.same(overlooked, []);
  t.ok(taken.line > 25 && taken.statement > 250, `numbers and hashes may differ: ${taken.line}, ${taken.statement}`);
  t.ok(taken.refused > 5_000, `${taken.refused} other rows`);
});

t.test('a batch stands when all its leaves are its own, each in its place', async (t) => {
  const requests = madeRequests({ size: 5, nowMs: AT_MS, sealed: false });
  const statements = requests.map(({ evidence }) => evidence!.statement);
  const { jws } = signBatch(statements, { alg: 'ES256', key: privateKey }, HASH, AT_MS / 1000)[0]!;
  /** @param to so many of them are in the range that is audited */
  const said = (order: number[], indexes: number[], to = order.length): unknown => {
    const lines = order.map(() => 'a line');
    const members = order.map((one, seq) => ({
      seq,
      line: lines[seq]!,
      index: indexes[seq]!,
      statement: statements[one]!,
    }));
    const log = {
      signature: (): StoredSignature => ({ jws, first: 0, last: order.length - 1 }),
      members: () => members,
      size: () => order.length,
    };
    const batches = new Batches(log, () => null);
    try {
      const faults = members.slice(0, to).map(({ seq, statement, index }) => {
        return batches.fault(seq, sha256(jws), { statement, signature: 7, index, size: 5, path: null });
      });
      batches.finish(to);
      return faults.find((fault) => fault !== null) ?? null;
    } catch (error) {
      return error instanceof Finding ? error.code : error;
    }
  };
  t.equal(said([0, 1, 2, 3, 4], [0, 1, 2, 3, 4]), null);
  t.equal(said([4, 2, 0, 1, 3], [4, 2, 0, 1, 3]), null, 'in another order');
  t.equal(said([0, 1, 2, 4, 3], [0, 1, 2, 3, 4]), 'LOG_EVIDENCE_CHANGED', 'two of them changed places');
  t.equal(said([0, 1, 2, 3, 3], [0, 1, 2, 3, 4]), 'LOG_EVIDENCE_CHANGED', 'one of them twice');
  t.equal(said([0, 1, 2, 3], [0, 1, 2, 3]), 'LOG_EVIDENCE_CHANGED', 'one is missing');
  t.equal(said([0, 1, 2, 3, 4], [0, 1, 2, 3, 4], 3), null, 'the rest stands behind the range');
  t.equal(said([0, 1, 2, 3, 4, 4], [0, 1, 2, 3, 4, 9], 3), 'LOG_EVIDENCE_CHANGED', 'and one more there');
  t.not(said([0, 1, 2, 3, 4, 4], [0, 1, 2, 3, 4, 5]), null, 'one more than there are places');
  t.equal(rootOfLeaves(Buffer.alloc(32, 7)).toString('hex'), '07'.repeat(32), 'one leaf is its own tree');
});
