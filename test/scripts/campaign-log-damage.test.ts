// The short form of campaign `log-damage`, and once with an audit put in that does not look at the evidence.
import t from 'tap';
import { verifyLog } from '#core/log/audit.ts';
import { logDamage } from '#scripts/campaign/log-damage.ts';

const SEED = 11;

t.test('log-damage: every damage is found, in its place', async (t) => {
  const { size, failures, found, codes } = await logDamage.run({ size: 120, seed: SEED });
  t.equal(size, 120);
  t.equal(failures, 0, found.join('\n'));
  const met = Object.keys(codes as object);
  for (const code of ['LOG_ENTRY_CHANGED', 'LOG_EVIDENCE_CHANGED', 'LOG_CHECKPOINT_WRONG', 'LOG_TILE_WRONG']) {
    t.ok(met.includes(code), code);
  }
});

t.test('log-damage finds an audit that overlooks something', async (t) => {
  const verify: typeof verifyLog = async (options) => {
    const audit = await verifyLog(options);
    return audit.code === 'LOG_EVIDENCE_CHANGED' ? { ...audit, ok: true, code: null, firstBadSeq: null } : audit;
  };
  t.ok((await logDamage.run({ size: 40, seed: SEED, broken: { verify } })).failures > 0);
  const late: typeof verifyLog = async (options) => {
    const audit = await verifyLog(options);
    return { ...audit, firstBadSeq: audit.firstBadSeq === null ? null : audit.firstBadSeq + 1 };
  };
  t.ok((await logDamage.run({ size: 10, seed: SEED, broken: { verify: late } })).failures > 0, 'a wrong place');
});
