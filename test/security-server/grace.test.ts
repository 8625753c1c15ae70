// The period of grace: a real log, real authorities over real sockets and a clock in the test's hand. Alarms at each
// quarter, the gate at the end, open again by itself; what a restart and a clock that is set back change about it: nothing.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { pino } from 'pino';
import t from 'tap';
import { verifyTimeStampToken } from '#certs/time-stamp.ts';
import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';
import type { TimeStampRules } from '#core/configuration/time-stamp-parts.ts';
import { openDevelopmentTimeStampAuthority } from '#core/development-time-stamp-authority.ts';
import { openClient } from '#core/http/client.ts';
import { verifyLog } from '#core/log/audit.ts';
import { type MessageLog, openMessageLog } from '#core/log/message-log.ts';
import { openAnchoring } from '#security-server/anchoring/anchoring.ts';
import { type GracePorts, type KeptGrace, openGrace } from '#security-server/anchoring/grace.ts';
import { type Anchored, anchoredEntries } from '#security-server/anchoring/logged.ts';
import { openStamps } from '#security-server/anchoring/stamps.ts';
import { openStateSqlite } from '#security-server/state-sqlite.ts';
import { pem } from '#test/certs/make-certificate.ts';
import { accord } from '#test/cli/run.ts';
import { logFixture, requestRecords } from '#test/core/log-fixture.ts';

const MINUTE = 60_000;
const GRACE = 240 * MINUTE;

function held(rules: TimeStampRules | null) {
  const self = { rules, version: 1 };
  const current = () =>
    ({
      ...{ version: 1, witnesses: () => null, timeStamps: () => self.rules, isDistrusted: () => false },
    }) as unknown as ConfigurationSnapshot;
  return { self, current, leastNowMs: () => 0 };
}

t.test('quarters, the gate, and an anchoring that opens it again', async (t) => {
  const { clock, options, dir, tick } = logFixture(t);
  const log = await openMessageLog(options);
  const http = openClient();
  const authorities = await Promise.all(
    ['north', 'south'].map((name) => openDevelopmentTimeStampAuthority({ name, clock })),
  );
  const certificates = authorities.flatMap((one) => [...one.certificates]);
  const configuration = held({ authorities, certificates, graceMs: GRACE });
  const stateFile = join(dir, 'state.db');
  let store = openStateSqlite(stateFile);
  const alarms: string[] = [];
  const ports = (): GracePorts => ({
    ...{ log, configuration, clock, store },
    onAlarm: (code, percent) => alarms.push(`${code} ${percent}`),
  });
  let grace = openGrace(ports(), 0);
  const gate = () => {
    grace.tick();
    try {
      grace.requireInTime();
      return 'open';
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  const stamps = openStamps({ configuration, clock, http, folder: dir, logger: pino({ level: 'silent' }) });
  const anchoring = openAnchoring({
    ...{ log, configuration, clock, http, everyMs: MINUTE, stamps: () => stamps.current(), onAlarm: () => {} },
    waitedMs: () => grace.state().waiting?.waitedMs ?? 0,
    onAnchored: (one: Anchored) => grace.anchored(one),
  });
  t.teardown(async () => {
    await anchoring.stop();
    await http.close();
    await log.close();
    store.close();
  });

  t.same(grace.state(), { graceMs: GRACE, waiting: null, overdue: false });
  clock.pass(10 * GRACE);
  t.equal(gate(), 'open', 'a log at rest waits for nothing');
  await log.append(requestRecords()[0]!);
  grace.tick();
  t.match(grace.state(), { waiting: { seq: 0, sinceMs: clock.nowMs(), waitedMs: 0 } });
  const steps: [number, string, string[]][] = [
    [59, 'open', []],
    [1, 'open', ['ANCHORING_LATE 25']],
    [59, 'open', []],
    [1, 'open', ['ANCHORING_LATE 50']],
    [60, 'open', ['ANCHORING_LATE 75']],
    [59, 'open', []],
    [1, 'ANCHORING_OVERDUE', ['ANCHORING_OVERDUE 100']],
    [500, 'ANCHORING_OVERDUE', []],
  ];
  for (const [minutes, wanted, told] of steps) {
    clock.pass(minutes * MINUTE);
    t.equal(gate(), wanted, `${minutes} minutes later`);
    t.same(alarms.splice(0), told);
  }

  for (const one of authorities) await one.close();
  await t.rejects(anchoring.anchorDirectly(), { code: 'TIME_STAMP_UNAVAILABLE' });
  t.equal(gate(), 'ANCHORING_OVERDUE');
  const third = await openDevelopmentTimeStampAuthority({ name: 'third', clock });
  t.teardown(() => third.close());
  configuration.self.rules = {
    authorities: [...authorities, third],
    certificates: [...third.certificates],
    graceMs: GRACE,
  };
  await log.append(requestRecords()[0]!);
  clock.pass(20_000);
  tick();
  await anchoring.anchorDirectly();
  t.equal(gate(), 'open', 'by itself');
  t.same(alarms.splice(0), ['null 0']);
  t.equal([...anchoredEntries(log)][0]?.hasToken, true);
  t.equal(third.given(), 1);

  // An auditor who trusts the third authority, and one who trusts the first.
  const judgedBy = ({ certificates: trusted }: { certificates: readonly Buffer[] }) => {
    const verifyToken = (token: Buffer, imprint: Buffer) =>
      verifyTimeStampToken(token, imprint, trusted, clock.nowMs());
    return verifyLog({ folder: options.folder, checkpointFile: options.checkpointFile, verifyToken });
  };
  t.match(await judgedBy(third), { ok: true, stampedEntries: 2 });
  const [placed] = anchoredEntries(log);
  t.match(await judgedBy(authorities[0]!), {
    ...{ ok: false, code: 'LOG_EVIDENCE_CHANGED', firstBadSeq: placed?.seq },
    detail: /TOKEN_WRONG/,
  });
  const log2 = ['log', 'verify', '--dir', dir, '--no-checkpoint', '--json', '--time-stamp-anchors'];
  const trusting = async (certificate: Buffer) => {
    writeFileSync(join(dir, 'trusted.pem'), pem(certificate));
    return accord(...log2, join(dir, 'trusted.pem'));
  };
  t.match(await trusting(third.certificates[0]!), { code: 0 });
  t.match(await trusting(authorities[0]!.certificates[0]!), { code: 7, stderr: /LOG_EVIDENCE_CHANGED/ });

  // A restart keeps what was counted, also with a clock that is set back meanwhile.
  const restart = () => {
    store.close();
    store = openStateSqlite(stateFile);
    grace = openGrace(ports(), anchoring.state().newestStamped?.size ?? 0);
  };
  await log.append(requestRecords()[0]!);
  grace.tick();
  const { waitedMs: before = -1 } = grace.state().waiting ?? {};
  for (let at = 0; at < 100; at += 1) {
    clock.pass(MINUTE);
    grace.tick();
  }
  clock.wallMs -= 1_000 * MINUTE;
  restart();
  t.equal(grace.state().waiting?.waitedMs, before + 100 * MINUTE);
  clock.wallMs -= 1_000 * MINUTE;
  for (let at = 0; at < 140; at += 1) {
    clock.pass(MINUTE);
    grace.tick();
  }
  t.equal(gate(), 'ANCHORING_OVERDUE', 'not a minute later');
  restart();
  t.equal(gate(), 'ANCHORING_OVERDUE', 'and still after a restart');
  // The authority is asked although the clock says that the entry is not written yet.
  const fourth = await openDevelopmentTimeStampAuthority({ name: 'fourth', clock });
  t.teardown(() => fourth.close());
  configuration.self.rules = { authorities: [fourth], certificates: fourth.certificates, graceMs: GRACE };
  clock.pass(1_000);
  tick();
  await anchoring.tick();
  t.equal(fourth.given(), 1);
  t.equal(gate(), 'open');
  await log.append(requestRecords()[0]!);
  grace.tick();
  clock.pass(GRACE);
  t.equal(gate(), 'ANCHORING_OVERDUE');
  configuration.self.rules = null;
  t.equal(gate(), 'open', 'without authorities nothing is asked');
  t.equal(store.grace(), null);
  configuration.self.rules = { authorities: [third], certificates: [], graceMs: GRACE };
  t.equal(gate(), 'open', 'what was there before they were named has all its time before it');
  clock.pass(GRACE);
  t.equal(gate(), 'ANCHORING_OVERDUE');
  configuration.self.rules = { authorities: [third], certificates: [], graceMs: 2 * GRACE };
  t.equal(gate(), 'open', 'a longer period counts at once');
});

t.test('authorities that are named late', async (t) => {
  const { clock, options, dir } = logFixture(t);
  const log = await openMessageLog(options);
  t.teardown(() => log.close());
  const store = openStateSqlite(join(dir, 'state.db'));
  const configuration = held(null);
  const grace = openGrace({ log, configuration, clock, store, onAlarm: () => {} }, 0);
  await log.append(requestRecords()[0]!);
  clock.pass(10 * GRACE);
  const overdue = () => {
    grace.tick();
    return grace.state().overdue;
  };
  t.equal(overdue(), false);
  configuration.self.rules = { authorities: [], certificates: [], graceMs: GRACE };
  t.equal(overdue(), false, 'what was written before has all its time before it');
  clock.pass(GRACE - 1);
  t.equal(overdue(), false);
  clock.pass(1);
  t.equal(overdue(), true);

  grace.anchored({ size: 1, hasToken: true });
  t.equal(overdue(), false);
  clock.pass(10 * GRACE);
  grace.uncovered(1);
  t.equal(grace.state().waiting, null, 'still covered');
  grace.uncovered(0);
  t.match(grace.state(), { waiting: { seq: 0, waitedMs: 0 }, overdue: false }, 'tokens that end give the whole period');
  clock.pass(GRACE - 1);
  t.equal(overdue(), false);
  const again = openGrace({ log, configuration, clock, store, onAlarm: () => {} }, 0);
  clock.pass(1);
  t.equal(overdue(), true);
  again.tick();
  t.equal(again.state().overdue, true, 'a restart gives no more of it');
});

t.test('a proved time counts where the clock was set back', async (t) => {
  const { clock, options, dir } = logFixture(t);
  const log = await openMessageLog(options);
  t.teardown(() => log.close());
  const store = openStateSqlite(join(dir, 'state.db'));
  const configuration = held({ authorities: [], certificates: [], graceMs: GRACE });
  const grace = openGrace({ log, configuration, clock, store, onAlarm: () => {} }, 0);
  await log.append(requestRecords()[0]!);
  grace.tick();
  clock.wallMs -= GRACE;
  configuration.leastNowMs = () => clock.wallMs + 3 * GRACE;
  grace.tick();
  t.equal(grace.state().overdue, true);
});

/** Just what the grace reads of a log. */
class ListedLog {
  readonly origin = 'accord/x';
  readonly entries: { seq: number; t: number; kind: string }[] = [];
  size = () => this.entries.length;
  read = (from: number, count: number) =>
    this.entries.slice(from, from + count).map((entry) => ({ seq: entry.seq, entry })) as unknown as ReturnType<
      MessageLog['read']
    >;
  add(kind: string, atMs: number): void {
    const t = Math.max(atMs, this.entries.at(-1)?.t ?? 0);
    this.entries.push({ seq: this.entries.length, t, kind });
  }
}

type Step = { kind: 'pass' | 'set' | 'append' | 'anchor' | 'restart'; ms: number };

t.test('law: whatever clocks and restarts do, nothing waits longer than the period', async () => {
  const step: fc.Arbitrary<Step> = fc.record({
    kind: fc.constantFrom('pass', 'pass', 'pass', 'set', 'append', 'append', 'anchor', 'restart'),
    ms: fc.integer({ min: -3 * GRACE, max: 3 * GRACE }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const log = new ListedLog();
      const clock = { wall: 1_790_000_000_000, mono: 0, nowMs: () => clock.wall, monotonicMs: () => clock.mono };
      let kept: KeptGrace | null = null;
      const keepGrace = (one: KeptGrace | null) => {
        kept = one;
      };
      const store = { grace: () => kept, keepGrace };
      const configuration = held({ authorities: [], certificates: [], graceMs: GRACE });
      let covered = 0;
      const open = () =>
        openGrace({ log: log as unknown as MessageLog, configuration, clock, store, onAlarm: () => {} }, covered);
      let grace = open();
      // True time of each entry, and what restarts may have lost: at most a minute each.
      const writtenAt = new Map<number, number>();
      let lost = 0;
      for (const { kind, ms } of steps) {
        if (kind === 'set') clock.wall = Math.max(1, clock.wall + ms);
        if (kind === 'append') {
          writtenAt.set(log.size(), clock.mono);
          log.add('request-sent', clock.wall);
        }
        if (kind === 'anchor') {
          const size = log.size();
          log.add('anchored', clock.wall);
          covered = size;
          grace.anchored({ size, hasToken: true });
        }
        if (kind === 'restart') {
          // In the life of a process monotonic time begins anew; here its differences are all that count.
          grace = open();
          lost += 61_000;
        }
        for (let left = Math.abs(kind === 'pass' ? ms / 8 : 0); left > 0; left -= 30_000) {
          clock.mono += Math.min(left, 30_000);
          clock.wall += Math.min(left, 30_000);
          grace.tick();
        }
        grace.tick();
        const oldest = [...writtenAt].find(([seq]) => seq >= covered);
        const trueMs = oldest === undefined ? 0 : clock.mono - oldest[1];
        if (oldest === undefined && grace.state().waiting !== null) return false;
        if (trueMs >= GRACE + lost && !grace.state().overdue) return false;
      }
      return true;
    }),
    { numRuns: 300 },
  );
});
