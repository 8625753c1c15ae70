// `npm run -s campaign -- NAME --size N --seed S --json`: the long form of a test. The last line on standard output is
// one JSON object; exit 0 without failures, 1 with, 2 for a wrong call. `campaign -- list` names the campaigns.
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { Campaign } from './campaign.ts';

// A campaign without its broken part: only the suite puts one in. Each is loaded when it is asked for.
const CAMPAIGNS = new Map<string, () => Promise<Pick<Campaign, 'name' | 'title' | 'defaultSize' | 'run'>>>([
  ['clocks', async () => (await import('./clocks.ts')).clocks],
  ['consent', async () => (await import('./consent.ts')).consent],
  ['filter', async () => (await import('./filter.ts')).filter],
  ['flip', async () => (await import('./flip.ts')).flip],
  ['kill', async () => (await import('./kill.ts')).kill],
  ['log-damage', async () => (await import('./log-damage.ts')).logDamage],
  ['overload', async () => (await import('./overload.ts')).overload],
  ['pack', async () => (await import('./pack.ts')).pack],
  ['paths', async () => (await import('./paths.ts')).paths],
  ['power', async () => (await import('./power.ts')).power],
  ['revocation', async () => (await import('./revocation.ts')).revocation],
  ['soak', async () => (await import('./soak.ts')).soak],
  ['stream', async () => (await import('./stream.ts')).stream],
  ['tamper', async () => (await import('./tamper.ts')).tamper],
  ['witness', async () => (await import('./witness.ts')).witness],
]);

function usage(detail: string): never {
  console.error(`${detail}\nuse: npm run -s campaign -- NAME [--size N] [--seed S] [--json]; list names them`);
  process.exit(2);
}

function wholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[0-9]{1,9}$/.test(text)) usage(`--${name} is not a whole number`);
  return Number(text);
}

function readArguments() {
  try {
    const options = { size: { type: 'string' }, seed: { type: 'string' }, json: { type: 'boolean' } } as const;
    return parseArgs({ allowPositionals: true, options });
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error));
  }
}

const { positionals, values } = readArguments();
const [name, ...rest] = positionals;
if (name === undefined || rest.length > 0) usage('name one campaign');
if (name === 'list') {
  if (values.json) {
    const all = await Promise.all([...CAMPAIGNS.values()].map((load) => load()));
    console.log(JSON.stringify(all.map(({ name, title, defaultSize }) => ({ name, title, defaultSize }))));
  } else for (const one of CAMPAIGNS.keys()) console.log(one);
} else {
  const load = CAMPAIGNS.get(name) ?? usage(`there is no campaign ${name}`);
  const wished = wholeNumber('size', values.size);
  const seed = wholeNumber('seed', values.seed) ?? randomInt(1_000_000);
  const campaign = await load();
  const size = wished ?? campaign.defaultSize;
  const startedMs = performance.now();
  // With --json people's lines go to standard error, so that standard output is for machines alone.
  const say = (line: string) => (values.json ? console.error(line) : console.log(line));
  say(`${campaign.title}: size ${size}, seed ${seed}`);
  const { found, failures, ...numbers } = await campaign.run({ size, seed, say });
  for (const line of found.slice(0, 20)) say(`failure: ${line}`);
  const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
  console.log(JSON.stringify({ name, ...numbers, failures, seconds, seed }));
  process.exit(failures === 0 ? 0 : 1);
}
