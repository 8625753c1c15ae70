// Who administers the registry and what they did, in its database: API keys, the answers of repeated requests, the audit
// trail. Shares the connection, and with it the transactions, of store-sqlite.ts; what is written here was judged before.
import type Database from 'better-sqlite3';
import type { AuditRow, StoredAnswer } from './schema-sqlite.ts';

export type Role = 'registry-admin' | 'registration-officer' | 'publisher' | 'auditor';

export interface ApiKeyRow {
  id: string;
  name: string;
  role: Role;
  secretHash: string;
  createdAtMs: number;
  revokedAtMs: number | null;
}

const SELECT_API_KEY =
  'SELECT id, name, role, secret_hash AS secretHash, created_at_ms AS createdAtMs, revoked_at_ms AS revokedAtMs FROM api_keys';

export class AdministrationStore {
  readonly #db: InstanceType<typeof Database>;

  constructor(db: InstanceType<typeof Database>) {
    this.#db = db;
  }

  addApiKey(key: ApiKeyRow): void {
    const { id, name, role, secretHash, createdAtMs, revokedAtMs } = key;
    const sql = 'INSERT INTO api_keys VALUES (?, ?, ?, ?, ?, ?)';
    this.#db.prepare(sql).run(id, name, role, secretHash, createdAtMs, revokedAtMs);
  }
  apiKeys(): ApiKeyRow[] {
    return this.#db.prepare(`${SELECT_API_KEY} ORDER BY created_at_ms, id`).all() as ApiKeyRow[];
  }
  apiKey(id: string): ApiKeyRow | undefined {
    return this.#db.prepare(`${SELECT_API_KEY} WHERE id = ?`).get(id) as ApiKeyRow | undefined;
  }
  revokeApiKey(id: string, atMs: number): boolean {
    const sql = 'UPDATE api_keys SET revoked_at_ms = ? WHERE id = ? AND revoked_at_ms IS NULL';
    return this.#db.prepare(sql).run(atMs, id).changes > 0;
  }
  answer(principal: string, key: string): StoredAnswer | undefined {
    const sql = 'SELECT request_hash AS requestHash, status, body FROM idempotency WHERE principal = ? AND key = ?';
    return this.#db.prepare(sql).get(principal, key) as StoredAnswer | undefined;
  }
  putAnswer(principal: string, key: string, answer: StoredAnswer, atMs: number): void {
    const { requestHash, status, body } = answer;
    const sql = 'INSERT INTO idempotency VALUES (?, ?, ?, ?, ?, ?)';
    this.#db.prepare(sql).run(principal, key, requestHash, status, body, atMs);
  }
  dropAnswers(beforeMs: number): void {
    this.#db.prepare('DELETE FROM idempotency WHERE at_ms < ?').run(beforeMs);
  }
  appendAudit(row: Omit<AuditRow, 'seq'>): void {
    const { atMs, principal, role, action, target, requestHash } = row;
    const sql = 'INSERT INTO audit SELECT COALESCE(MAX(seq), 0) + 1, ?, ?, ?, ?, ?, ? FROM audit';
    this.#db.prepare(sql).run(atMs, principal, role, action, target, requestHash);
  }
  audit(after: number, limit: number): AuditRow[] {
    const columns = 'seq, at_ms AS atMs, principal, role, action, target, request_hash AS requestHash';
    const sql = `SELECT ${columns} FROM audit WHERE seq > ? ORDER BY seq LIMIT ?`;
    return this.#db.prepare(sql).all(after, limit) as AuditRow[];
  }
}
