// A log that was put back from a backup, before its server goes on with it: what its witness has to know of it.
import t from 'tap';
import { openMessageLog } from '#core/log/message-log.ts';
import { requireAsWitnessed } from '#security-server/anchoring/server-anchoring.ts';
import { logFixture, requestRecords } from '../core/log-fixture.ts';
import { Site } from './anchoring-site.ts';

t.test('a restored log goes on only when its witness knows exactly it', async (t) => {
  const site = await Site.open(t);
  const configuration = { current: () => ({ witnesses: () => site.policy }) as never };
  const restored = (atMs: number | undefined = site.made.clock.nowMs()) =>
    requireAsWitnessed(site.log, configuration, atMs);
  const refused = (detail: RegExp) => ({ code: 'LOG_NOT_AS_WITNESSED', detail });
  await restored();
  await site.grow();
  await t.rejects(restored(), refused(/knows 0 entries, this log has 3/), 'the witness never saw it');
  await restored(site.log.newestMs() - 1);
  await site.anchoring.tick();
  await restored();
  t.equal(site.log.size(), 3, 'asking leaves no trace');
  await site.grow();
  await t.rejects(restored(), refused(/knows 3 entries, this log has 6/), 'it has more than the witness saw');
  await requireAsWitnessed(site.log, configuration, undefined);
  site.registry.status = 503;
  await t.rejects(restored(), refused(/503/));
  site.policy = { ...site.registry.world.policy, aggregate: { ...site.policy!.aggregate!, url: 'http://127.0.0.1:9' } };
  await t.rejects(restored(), refused(/cannot be asked: PEER_UNREACHABLE/));
  site.policy = null;
  await restored();
  // The same origin with less in it, as after an old backup: the checkpoint file came back with it.
  site.registry.status = null;
  site.policy = site.registry.world.policy;
  await site.anchoring.anchorNow();
  const other = logFixture(t);
  other.options.origin = site.made.options.origin;
  other.options.checkpointKey = site.made.options.checkpointKey;
  const log = await openMessageLog(other.options);
  await Promise.all(requestRecords(2).map((record) => log.append(record)));
  log.publishCheckpoint();
  await t.rejects(requireAsWitnessed(log, configuration, other.clock.nowMs()), refused(/it knows 6 entries/));
  await log.close();
});
