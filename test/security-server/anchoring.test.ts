// The task that anchors a message log, against a registry on a real port: what is logged, when, and what is not whatever
// the registry shows; restarts, outages, direct time-stamps.
import t from 'tap';
import { verifyLog } from '#core/log/audit.ts';
import { openMessageLog } from '#core/log/message-log.ts';
import { parseNote } from '#core/log/signed-note.ts';
import { cosignatureLine } from '#core/witness/cosignature.ts';
import { AccordError } from '#schemas/problems.ts';
import { openAnchoring } from '#security-server/anchoring/anchoring.ts';
import { testToken } from '../core/anchoring-world.ts';
import { logFixture, requestRecords } from '../core/log-fixture.ts';
import { EVERY_MS, Site } from './anchoring-site.ts';

t.test('a log that grows is anchored, one that rests seldom', async (t) => {
  const site = await Site.open(t);
  await site.grow();
  await site.anchoring.tick();
  t.strictSame(site.registry.asked, ['POST /witness/add-checkpoint']);
  t.match(site.anchoring.state(), { newest: null, witnessedSize: 3, waiting: 1, trouble: null, quorum: 2 });
  await site.minutes(1);
  t.match(site.anchored(), [{ aggregate: { index: 1 }, tokens: [{ over: 'aggregate' }] }]);
  t.match(site.anchoring.state(), { newest: { seq: 3, size: 3, hasToken: true, isDirect: false }, waiting: 0 });
  t.equal(site.log.read(3, 1)[0]?.entry.configuration, 7);
  await site.grow();
  await site.minutes(2);
  t.equal(site.anchored().length, 2);
  site.registry.asked.length = 0;
  await site.minutes(8);
  t.strictSame(site.registry.asked, [], 'nothing is sent while only this task writes');
  await site.minutes(4);
  t.equal(site.anchored().length, 3, 'after ten minutes it is');
  await site.audit(t);
  t.strictSame(site.alarms, []);
});

t.test('a restart goes on where the log says it was, and the witness says what it knows', async (t) => {
  const site = await Site.open(t);
  await site.grow();
  await site.minutes(1);
  await site.grow();
  await site.anchoring.tick();
  await site.stop();
  await site.start();
  t.match(site.anchoring.state(), { newest: { size: 3 }, newestStamped: { size: 3 }, waiting: 0 });
  await site.grow();
  await site.minutes(2);
  t.match(site.anchoring.state(), { newest: { hasToken: true }, trouble: null });
  t.equal(site.anchored().length, 2);
  t.ok((site.anchoring.state().newest?.size ?? 0) >= 10);
  await site.audit(t);
});

t.test('what a registry shows is logged only when all of it is good', async (t) => {
  const cases: [string, (site: Site) => void, RegExp][] = [
    [
      'an aggregate without us',
      ({ registry }) => {
        registry.lie = () => registry.show(1, [Buffer.from('a'), Buffer.from('b')]);
      },
      /INCLUSION_WRONG/,
    ],
    [
      'another index',
      ({ registry }) => {
        registry.lie = (shown) => ({ ...shown, aggregate: { ...shown.aggregate, index: 0 } });
      },
      /INCLUSION_WRONG/,
    ],
    [
      'another path',
      ({ registry }) => {
        registry.lie = (shown) => ({ ...shown, aggregate: { ...shown.aggregate, path: ['A'.repeat(43)] } });
      },
      /INCLUSION_WRONG/,
    ],
    [
      'too few witnesses',
      ({ registry }) => {
        registry.cosigning = 1;
      },
      /QUORUM_MISSING/,
    ],
    [
      'a cosignature for another size',
      ({ registry }) => {
        const { text } = parseNote(registry.world.aggregateNote([Buffer.from('other')], []));
        registry.cosigning = 1;
        registry.lie = (shown) => ({
          ...shown,
          aggregate: {
            ...shown.aggregate,
            checkpoint: shown.aggregate.checkpoint + cosignatureLine(text, registry.world.departments[1]!.ed25519, 0),
          },
        });
      },
      /QUORUM_MISSING/,
    ],
    [
      'the anchoring of an older checkpoint',
      ({ registry }) => {
        registry.lie = () => registry.show(1);
      },
      /INCLUSION_WRONG/,
    ],
    [
      'no token',
      ({ registry }) => {
        registry.hasTokens = false;
      },
      /TOKEN_MISSING/,
    ],
    [
      'a token over another checkpoint',
      ({ registry }) => {
        registry.lie = (shown) => ({
          ...shown,
          tokens: [{ over: 'aggregate', token: testToken(Buffer.alloc(32), 1) }],
        });
      },
      /TOKEN_WRONG/,
    ],
    [
      'another aggregate log',
      ({ registry }) => {
        registry.lie = (shown) => ({ ...shown, aggregate: { ...shown.aggregate, checkpoint: 'x' } });
      },
      /^$|a text/,
    ],
  ];
  for (const [name, lie, detail] of cases) {
    const site = await Site.open(t);
    await site.grow();
    await site.minutes(1);
    t.equal(site.anchored().length, 1);
    lie(site);
    await site.grow();
    await site.minutes(2);
    t.equal(site.anchored().length, 1, name);
    const { trouble } = site.anchoring.state();
    t.match(trouble?.code, /^(ANCHORING_REFUSED|NOTE_MALFORMED)$/, name);
    t.match(trouble?.detail, detail, name);
    site.registry.lie = (shown) => shown;
    site.registry.cosigning = 3;
    site.registry.hasTokens = true;
    await site.minutes(6);
    t.equal(site.anchored().length, 2, `${name}, and then the truth`);
    t.match(site.anchoring.state(), { trouble: null });
    await site.audit(t);
  }
});

t.test('a witness that refuses, lies or knows another history', async (t) => {
  const cases: [string, (site: Site) => void | Promise<void>, string][] = [
    [
      'refuses',
      ({ registry }) => {
        registry.status = 403;
      },
      'WITNESS_REFUSED',
    ],
    [
      'is busy',
      ({ registry }) => {
        registry.status = 503;
      },
      'WITNESS_REFUSED',
    ],
    [
      'signs with a key that nobody named',
      ({ registry }) => {
        registry.witnessLie = (body) => body.replaceAll(/( [A-Za-z0-9+/]{30})[A-Za-z0-9+/]{4}/g, '$1AAAA');
      },
      'WITNESS_ANSWER_WRONG',
    ],
    [
      'is gone',
      (site) => {
        site.policy = {
          ...site.registry.world.policy,
          aggregate: { ...site.policy!.aggregate!, url: 'http://127.0.0.1:9' },
        };
      },
      'PEER_UNREACHABLE',
    ],
  ];
  for (const [name, change, code] of cases) {
    const site = await Site.open(t);
    await change(site);
    await site.grow();
    await site.minutes(3);
    t.match(site.anchoring.state().trouble, { code }, name);
    t.strictSame(site.alarms, [code], `${name}: one alarm`);
    site.registry.status = null;
    site.registry.witnessLie = null;
    site.policy = site.registry.world.policy;
    await site.minutes(8);
    t.match(site.anchoring.state(), { trouble: null, newest: { hasToken: true } }, `${name}, and comes back`);
  }
});

t.test('a log that was put back to an older state is told by the witness', async (t) => {
  const site = await Site.open(t);
  await site.grow();
  await site.minutes(2);
  await site.stop();
  const other = logFixture(t);
  other.options.origin = site.made.options.origin;
  other.options.checkpointKey = site.made.options.checkpointKey;
  for (const [count, what] of [
    [1, 'shorter'],
    [4, 'as long, another root'],
    [40, 'longer, another history'],
  ] as const) {
    const log = await openMessageLog({
      ...other.options,
      folder: `${other.options.folder}-${count}`,
      checkpointFile: `${other.dir}/${count}.txt`,
    });
    await Promise.all(requestRecords(count).map((record) => log.append(record)));
    other.clock.pass(20_000);
    other.tick();
    const alarms: string[] = [];
    const anchoring = openAnchoring({
      ...{ log, clock: site.made.clock, http: site.http, everyMs: EVERY_MS, stamps: () => null },
      configuration: { current: () => ({ version: 7, witnesses: () => site.policy }) as never },
      onAlarm: (code) => alarms.push(code),
    });
    t.match((await anchoring.anchorNow()).trouble, { code: 'LOG_NOT_AS_WITNESSED' }, what);
    t.strictSame(alarms, ['LOG_NOT_AS_WITNESSED']);
    await anchoring.stop();
    await log.close();
  }
  await site.start();
});

t.test('while the registry is away an authority stamps the own checkpoint', async (t) => {
  const site = await Site.open(t);
  site.registry.status = 503;
  await site.grow();
  await site.minutes(9);
  t.equal(site.anchored().length, 0);
  await site.minutes(2);
  t.match(site.anchored(), [{ aggregate: null, tokens: [{ over: 'checkpoint' }] }]);
  await site.minutes(20);
  t.equal(site.stamped, 1, 'a log at rest is not stamped again');
  await site.grow();
  await site.minutes(11);
  t.equal(site.stamped, 2);
  site.registry.status = null;
  await site.minutes(8);
  t.match(site.anchored().at(-1), { aggregate: { index: 1 } }, 'the registry is back');
  t.match(site.anchoring.state(), { trouble: null, newest: { isDirect: false } });
  await site.audit(t);
});

t.test('an authority that fails, and none at all', async (t) => {
  const site = await Site.open(t);
  site.registry.status = 503;
  const { stamps } = site;
  site.stamps = { ...stamps!, stamp: () => Promise.reject(new AccordError('TIME_STAMP_UNAVAILABLE', 'all')) };
  await site.grow();
  await site.minutes(12);
  t.strictSame(site.alarms, ['WITNESS_REFUSED', 'TIME_STAMP_UNAVAILABLE']);
  await t.rejects(site.anchoring.anchorDirectly(), { code: 'TIME_STAMP_UNAVAILABLE' });
  site.stamps = null;
  await site.minutes(12);
  t.equal(site.anchored().length, 0);
  site.registry.status = null;
  await site.minutes(6);
  t.match(site.anchored(), [{ tokens: [], aggregate: { index: 1 } }], 'without authorities an anchoring has no tokens');
  site.stamps = stamps;
  await site.anchoring.anchorDirectly();
  t.match(site.anchoring.state().newestStamped, { isDirect: true });
  await site.audit(t);
});

t.test('tokens whose authority was revoked or distrusted since', async (t) => {
  const site = await Site.open(t);
  await site.grow();
  await site.minutes(1);
  const firstMs = site.made.clock.nowMs();
  await site.grow();
  await site.minutes(2);
  t.match(site.anchoring.state(), { newestStamped: { size: 7 } });
  site.endedMs = firstMs;
  await site.minutes(1);
  t.match(site.anchoring.state(), { newestStamped: { size: 7 } }, 'the newest still counts');
  t.same([site.alarms, site.uncovered], [[], []]);
  site.endedMs = site.made.clock.nowMs();
  await site.anchoring.tick();
  t.equal(site.anchoring.state().newestStamped, null);
  t.same([site.alarms, site.uncovered], [['TIME_STAMP_REVOKED'], [0]], 'told once');
  await site.stop();
  await site.start();
  t.equal(site.anchoring.state().newestStamped, null, 'also after a restart');
  await site.grow();
  await site.minutes(2);
  t.match(site.anchoring.state(), { newestStamped: { isDirect: false }, trouble: null }, 'the next minute covers it');
  t.equal(site.stamped, 0);

  site.registry.status = 503;
  const before = site.anchored().length;
  site.endedMs = site.made.clock.nowMs();
  await site.minutes(10);
  t.equal(site.anchored().length, before, 'the aggregate log comes first');
  await site.minutes(1);
  t.match(site.anchored().slice(before), [{ aggregate: null, tokens: [{ over: 'checkpoint' }] }]);
  t.match(site.anchoring.state(), { newestStamped: { isDirect: true } });
  await site.audit(t);
  const { folder, checkpointFile } = site.made.options;
  const verifyToken = () => {
    throw new AccordError('TIME_STAMP_REVOKED');
  };
  t.match(
    await verifyLog({ folder, checkpointFile, verifyToken }),
    { ok: true, stampedEntries: 0 },
    'not changed by it',
  );
});

t.test('without witnesses in the configuration nothing is asked', async (t) => {
  const site = await Site.open(t);
  site.policy = null;
  site.stamps = null;
  await site.grow();
  await site.minutes(3);
  t.strictSame(site.registry.asked, []);
  t.match(await site.anchoring.anchorNow(), { registryWitness: null, trouble: null });
  await site.anchoring.stop();
  await t.rejects(site.anchoring.anchorDirectly(), { code: 'LOG_CLOSED' });
});
