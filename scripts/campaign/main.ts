// `npm run -s campaign -- NAME --size N --seed S --json`: the long form of a test. The last line on standard output is
// one JSON object; exit 0 without failures, 1 with, 2 for a wrong call. `campaign -- list` names the campaigns.
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { Campaign } from './campaign.ts';
import { clocks } from './clocks.ts';
import { consent } from './consent.ts';
import { filter } from './filter.ts';
import { flip } from './flip.ts';
import { kill } from './kill.ts';
import { logDamage } from './log-damage.ts';
import { overload } from './overload.ts';
import { pack } from './pack.ts';
import { paths } from './paths.ts';
import { power } from './power.ts';
import { revocation } from './revocation.ts';
import { soak } from './soak.ts';
import { stream } from './stream.ts';
import { tamper } from './tamper.ts';
import { witness } from './witness.ts';

// A campaign without its broken part: only the suite puts one in.
const CAMPAIGNS: readonly Pick<Campaign, 'name' | 'title' | 'defaultSize' | 'run'>[] = [
  clocks,
  consent,
  filter,
  flip,
  kill,
  logDamage,
  overload,
  pack,
  paths,
  power,
  revocation,
  soak,
  stream,
  tamper,
  witness,
];

function usage(detail: string): never {
  console.error(`${detail}\nuse: npm run -s campaign -- NAME [--size N] [--seed S] [--json]; list names them`);
  process.exit(2);
}

function wholeNumber(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
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
  const listed = CAMPAIGNS.map((one) => ({ name: one.name, title: one.title, defaultSize: one.defaultSize }));
  if (values.json) console.log(JSON.stringify(listed));
  else for (const one of listed) console.log(one.name);
} else {
  const campaign = CAMPAIGNS.find((one) => one.name === name);
  if (campaign === undefined) usage(`there is no campaign ${name}`);
  const size = wholeNumber('size', values.size, campaign.defaultSize);
  const seed = wholeNumber('seed', values.seed, randomInt(1_000_000));
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
