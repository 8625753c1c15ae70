// The short form of campaign `revocation`, then the same with a consent service that forgets, and what its verdict finds.
import t from 'tap';
import type { DevServer } from '#cli/dev/network.ts';
import { revocation } from '#scripts/campaign/revocation.ts';
import type { Heard, Permission } from '#scripts/campaign/revocation-people.ts';
import { type Answered, type Away, judgeReleases, shares } from '#scripts/campaign/revocation-verdict.ts';

t.setTimeout(120_000);
const SEED = 20;

t.test('revocation: what was ended is not honoured any more, also not after a kill', async (t) => {
  const thenBroken = { forgetful: true } as const;
  const { failures, found, size, codes, foundBroken } = await revocation.run({ size: 4, seed: SEED, thenBroken });
  t.equal(failures, 0, found.join('\n'));
  t.ok(size >= 3, `${size} were confirmed`);
  const { OK = 0, CONSENT_WITHDRAWN = 0 } = codes as Record<string, number>;
  t.ok(OK > 0 && CONSENT_WITHDRAWN > 0, JSON.stringify(codes));
  t.match(
    (foundBroken as string[]).join('\n'),
    /ended, and at last answered with OK/,
    'a consent service that forgets',
  );
});

t.test('the verdict finds what is released too late', (t) => {
  const permission = (over: Partial<Permission>): Permission => ({
    ...{ id: 'p', consumer: {} as DevServer, level: 4, fields: ['diagnosis'], receipt: '', phase: 'polled' },
    ...{ clickedMs: 1_000, confirmedMs: 1_010 },
    ...over,
  });
  const cases: [string, Permission, Answered[], Away[], RegExp | null][] = [
    ['in time', permission({}), [{ id: '1', code: 'OK', atMs: 26_000 }], [], null],
    ['late', permission({}), [{ id: '1', code: 'OK', atMs: 26_001 }], [], /level 4, released 25001 ms after/],
    ['a longer bound', permission({ level: 3 }), [{ id: '1', code: 'OK', atMs: 66_000 }], [], null],
    ['never confirmed', permission({ confirmedMs: null }), [{ id: '1', code: 'OK', atMs: 99_000 }], [], null],
    [
      'after a refusal',
      permission({}),
      [
        { id: '1', code: 'CONSENT_WITHDRAWN', atMs: 2_000 },
        { id: '2', code: 'OK', atMs: 4_001 },
      ],
      [],
      /after it was refused as withdrawn/,
    ],
    [
      'while nobody could say',
      permission({ clickedMs: null, confirmedMs: null }),
      [{ id: '1', code: 'OK', atMs: 35_001 }],
      [{ killedMs: 10_000, backMs: 50_000 }],
      /nobody could say/,
    ],
    ['unheard', permission({}), [{ id: '9', code: 'OK', atMs: 1_000 }], [], /nobody heard of it/],
  ];
  for (const [name, one, answers, aways, wanted] of cases) {
    const heard: Heard[] = ['1', '2'].map((id) => ({ id, permission: one, code: '', atMs: 0 }));
    const { found } = judgeReleases([one], heard, answers, aways);
    if (wanted === null) t.same(found, [], name);
    else t.match(found, [wanted], name);
  }
  t.same(shares([1, 2, 3, 100]), { count: 4, p50: 3, p99: 100, max: 100 });
  t.end();
});
