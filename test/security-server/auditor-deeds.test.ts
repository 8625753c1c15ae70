// What auditors did stays readable after a disk was full or a machine stopped, and a verification that could not begin does not
// keep the next one from beginning.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { systemClock } from '#core/clock.ts';
import { AuditRun } from '#security-server/auditor/audit-run.ts';
import type { AuditorPlaces } from '#security-server/auditor/examine.ts';
import { AuditorTrail } from '#security-server/auditor/trail.ts';

const logger = pino({ level: 'silent' });

t.test('a line that was cut off takes no other along', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'accord-deeds-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'auditor-trail.jsonl');
  const trail = new AuditorTrail(file, systemClock, logger);
  await trail.note({ action: 'sign-in', auditor: 'Lin' });
  writeFileSync(file, '{"atMs":1,"action":"exp', { flag: 'a' });
  await Promise.all([
    trail.note({ action: 'open-record', auditor: 'Lin', seq: 7 }),
    trail.note({ action: 'sign-out', auditor: 'Lin' }),
  ]);
  const lines = readFileSync(file, 'utf8').split('\n');
  t.equal(lines.pop(), '');
  t.equal(lines.length, 4);
  t.match(
    [lines[0], lines[2], lines[3]].map((line) => JSON.parse(line ?? '')),
    [{ action: 'sign-in' }, { action: 'open-record', seq: 7 }, { action: 'sign-out' }],
  );
  mkdirSync(join(folder, 'other'));
  const nowhere = new AuditorTrail(join(folder, 'other'), systemClock, logger);
  await t.rejects(nowhere.note({ action: 'sign-in', auditor: 'Lin' }), { code: 'AUDITOR_NOT_NOTED' });
});

t.test('a verification that could not begin', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'accord-deeds-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  let isThere = false;
  const places = () => {
    if (!isThere) throw new Error('no keys');
    return { log: join(folder, 'log') } as AuditorPlaces;
  };
  const audit = new AuditRun({ places, file: join(folder, 'auditor-audit.json'), clock: systemClock, logger });
  t.throws(() => audit.start('Lin', 9, false), { message: 'no keys' });
  t.equal(audit.state().running, null);
  isThere = true;
  audit.start('Lin', 9, false);
  t.match(audit.state().running, { by: 'Lin', size: 9 });
  t.throws(() => audit.start('Wang', 9, false), { code: 'AUDIT_RUNNING' });
  await audit.stop();
  t.match(audit.state(), { running: null, last: null });
});
