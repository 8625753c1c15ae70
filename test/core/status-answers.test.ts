// OCSP answers in a message log: each goes in once and before what names it, and an audit finds one that does not say what
// its entry says, or that is not there.
import t from 'tap';
import { sha256 } from '#certs/commitment.ts';
import { verifyLog } from '#core/log/audit.ts';
import { openMessageLog } from '#core/log/message-log.ts';
import type { NewRecord } from '#core/log/record.ts';
import { response, revoked } from '#test/certs/ocsp-cases.ts';
import { audited } from './audited.ts';
import { logFixture, requestRecords } from './log-fixture.ts';

const good = response();
const bad = response({ status: revoked(1) });
const answerOf = (bytes: Buffer, status: 'good' | 'revoked' = 'good') => ({ hash: sha256(bytes), der: bytes, status });
const record = (answer: NewRecord['answer'], more: Partial<NewRecord> = {}): NewRecord => ({
  ...(requestRecords()[0] as NewRecord),
  ...{ kind: 'summary', evidence: null, sealed: null },
  ...(answer === undefined ? {} : { answer }),
  ...more,
});

t.test('in the log once, before what names it, also after a restart', async (t) => {
  const { options } = logFixture(t);
  let log = audited(t, await openMessageLog(options), options);
  const both = await Promise.all([log.append(record(answerOf(good))), log.append(record(answerOf(good)))]);
  t.match(both, [{ seq: 1 }, { seq: 2 }], 'one transaction');
  t.match(await log.append(record(answerOf(bad, 'revoked'))), { seq: 4 });
  t.match(await log.append(record(null)), { seq: 5 });
  await log.close();
  log = audited(t, await openMessageLog(options), options);
  t.match(await log.append(record(answerOf(good))), { seq: 6 }, 'known from before');
  t.same(
    log.read(0, 10).map(({ entry: { kind, code, ocsp } }) => [kind, code === 'OK' ? null : code, ocsp]),
    [
      ['certificate-status', 'GOOD', null],
      ['summary', null, sha256(good)],
      ['summary', null, sha256(good)],
      ['certificate-status', 'REVOKED', null],
      ['summary', null, sha256(bad)],
      ['summary', null, null],
      ['summary', null, sha256(good)],
    ],
  );
  t.same(log.find(null, `ocsp:${sha256(good)}`)[0]?.evidence?.statement, good);
  await log.close();
});

const attacks: [string, NewRecord[], number][] = [
  ['an answer under another hash', [record({ ...answerOf(good), hash: sha256('another') })], 0],
  ['rubbish for an answer', [record(answerOf(Buffer.from('rubbish')))], 0],
  ['a refusal for an answer', [record(answerOf(Buffer.from('30030a0106', 'hex')))], 0],
  ['another code than it says', [record(answerOf(bad))], 0],
  [
    'an answer that is not there',
    [record(null, { id: `ocsp:${sha256(good)}` }), record(null), record(answerOf(good))],
    2,
  ],
];

t.test('what an audit finds', async (t) => {
  for (const [what, records, seq] of attacks) {
    const { options } = logFixture(t);
    const log = await openMessageLog(options);
    for (const one of records) await log.append(one);
    await log.close();
    const { folder, checkpointFile } = options;
    const found = { ok: false, code: 'LOG_EVIDENCE_CHANGED', firstBadSeq: seq };
    t.match(await verifyLog({ folder, checkpointFile, threads: 0 }), found, what);
    t.match(await verifyLog({ folder, checkpointFile, threads: 2 }), found, `${what}, in threads`);
  }
});
