// The short form of campaign `filter`, and once with each of several worse filters put in.
import t from 'tap';
import { overDelivered } from '#policy/release/over-delivery.ts';
import { releaseAnswer } from '#policy/release/release.ts';
import { select } from '#policy/release/select.ts';
import { type BrokenFilter, filter } from '#scripts/campaign/filter.ts';

const SEED = 20;

t.test('filter: what was decided leaves, and nothing else', async (t) => {
  const { size, failures, found, ...counts } = await filter.run({ size: 600, seed: SEED });
  t.equal(size, 600);
  t.equal(failures, 0, found.join('\n'));
  for (const name of ['kept', 'cut', 'planted', 'released', 'unreadable']) {
    t.ok(Number(counts[name]) > (name === 'unreadable' ? 10 : 300), `${name} ${counts[name]}`);
  }
});

t.test('filter finds worse filters', async (t) => {
  const worse: [string, BrokenFilter][] = [
    ['lets everything pass', { select: (value) => value }],
    ['lets nothing pass', { select: () => undefined }],
    ['takes every path as decided', { select: (value, leaves) => select(value, leaves, allPaths(leaves)) }],
    ['knows no closed places', { select: (value, leaves, paths) => select(value, leaves.filter(isData), paths) }],
    ['calls nothing over-delivery', { overDelivered: () => [] }],
    ['takes closed places for over-delivery', { overDelivered: (b, l, p) => overDelivered(b, l.filter(isData), p) }],
    ['skips the dictionary', { releaseAnswer: (answer) => withBody(answer, answer.body) }],
    ['forgets what it said', { releaseAnswer: (answer) => withElements(answer) }],
  ];
  for (const [name, broken] of worse) {
    t.ok((await filter.run({ size: 60, seed: SEED, broken })).failures > 0, name);
  }
});

type Leaves = Parameters<typeof select>[1];
const isData = ({ role }: Leaves[number]) => role === 'data';
const allPaths = (leaves: Leaves) => new Set(leaves.map(({ path }) => path));

function withBody(answer: Parameters<typeof releaseAnswer>[0], body: Buffer): ReturnType<typeof releaseAnswer> {
  const released = releaseAnswer(answer);
  return released.ok ? { ...released, body } : released;
}

function withElements(answer: Parameters<typeof releaseAnswer>[0]): ReturnType<typeof releaseAnswer> {
  const released = releaseAnswer(answer);
  return released.ok ? { ...released, release: { ...released.release, elements: [] } } : released;
}
