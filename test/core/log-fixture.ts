// A message log in a folder of its own with a real checkpoint key, and records with real signed statements for it.
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { signBatch } from '#certs/batch.ts';
import { commit, sha256 } from '#certs/commitment.ts';
import type { Clock } from '#core/clock.ts';
import type { MessageLogOptions, NewRecord } from '#core/log/message-log.ts';
import { MAX_BATCH_STATEMENTS } from '#schemas/limits.ts';
import { encodeStatement, type Statement } from '#schemas/statement.ts';

export const PEER = 'DEV/GOV/2002/ss2';
export const OWN = 'DEV/GOV/1001/ss1';

/** Time that only the test moves. */
class TestClock implements Clock {
  wallMs = 1_790_000_000_000;
  elapsedMs = 0;
  nowMs = () => this.wallMs;
  monotonicMs = () => this.elapsedMs;
  pass(ms: number): void {
    this.wallMs += ms;
    this.elapsedMs += ms;
  }
}

export interface LogFixture {
  dir: string;
  clock: TestClock;
  options: MessageLogOptions;
  /** Runs what the log does once a second. */
  tick: () => void;
}

export function logFixture(t: Test): LogFixture {
  const dir = mkdtempSync(join(tmpdir(), 'accord-log-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const clock = new TestClock();
  let run = () => {};
  const options: MessageLogOptions = {
    ...dataDir(dir),
    origin: 'accord.example/ss1',
    checkpointKey: generateKeyPairSync('ed25519').privateKey,
    storageKey: randomBytes(32),
    clock,
    every: (_ms, tick) => {
      run = tick;
      return () => {
        run = () => {};
      };
    },
  };
  return { dir, clock, options, tick: () => run() };
}

/** The layout of a server's data folder. */
export function dataDir(dir: string): { folder: string; keyFolder: string; checkpointFile: string } {
  return {
    folder: join(dir, 'log'),
    keyFolder: join(dir, 'record-keys'),
    checkpointFile: join(dir, 'checkpoint.txt'),
  };
}

const signer = { alg: 'ES256', key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey } as const;
const certificateHash = createHash('sha256').update('certificate').digest('base64url');
/** Who signs all statements of this fixture. */
export const signerKey = { key: signer.key, certificateHash };
let nextId = 0;

/** A fresh exchange id (UUIDv7 form). */
export function exchangeId(): string {
  return `01890000-0000-7000-8000-${(++nextId).toString(16).padStart(12, '0')}`;
}

/** Requests this server sent, each with its sealed part, signed in batches of at most 256. */
export function requestRecords(count = 1, change: Partial<NewRecord> = {}): NewRecord[] {
  const most = Math.min(count, MAX_BATCH_STATEMENTS);
  const batch = signedRecords(Array.from({ length: most }, () => ({ id: exchangeId(), kind: 'request' as const })));
  const records = batch.map((record) => ({ ...record, ...change }));
  return count > most ? [...records, ...requestRecords(count - most, change)] : records;
}

/** The answer to a record of `requestRecords`, as this server received it. */
export function responseRecord(request: NewRecord, seq: number): NewRecord {
  const [record] = signedRecords([
    {
      kind: 'response',
      id: exchangeId(),
      from: PEER,
      to: OWN,
      request: sha256(request.evidence!.statement),
      log: { origin: 'accord.example/ss2', index: seq },
      decisionHash: null,
    },
  ]);
  return { ...record!, kind: 'response-received', id: request.id, code: 'OK' };
}

function signedRecords(changes: Partial<Statement>[]): NewRecord[] {
  const drafts = changes.map((change) => {
    const sealed = {
      context: Buffer.from('{"path":"/residents/1"}'),
      contextSalt: randomBytes(32),
      body: randomBytes(100),
      bodySalt: randomBytes(32),
      decisionInputs: Buffer.from('{}'),
    };
    const statement: Statement = {
      v: 1,
      id: exchangeId(),
      kind: 'request',
      from: OWN,
      to: PEER,
      client: 'DEV/GOV/1001/consumer',
      service: 'DEV/GOV/2002/provider/echo',
      at: 1_790_000_000_000,
      purpose: 'support-check',
      basis: 'open',
      context: { commitment: commit(sealed.contextSalt, sealed.context) },
      body: { commitment: commit(sealed.bodySalt, sealed.body) },
      configuration: { version: 1, hash: sha256('configuration') },
      ...change,
    };
    return { sealed, statement, bytes: encodeStatement(statement) };
  });
  const signatures = signBatch(
    drafts.map(({ bytes }) => bytes),
    signer,
    certificateHash,
    1_790_000_000,
  );
  return drafts.map(({ sealed, statement, bytes }, i) => {
    const signature = signatures[i]!;
    return {
      kind: 'request-sent',
      id: statement.id,
      peer: PEER,
      client: statement.client,
      service: statement.service,
      purpose: statement.purpose,
      basis: statement.basis,
      code: null,
      decisionHash: null,
      configurationVersion: 1,
      retention: 'standard',
      evidence: { statement: bytes, signature },
      sealed,
    };
  });
}
