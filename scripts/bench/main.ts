// `npm run bench [-- options]`: what an exchange costs, as a ratio to a bare chain of proxies in the same run on the same
// machine (docs/performance.md). Exit 0 when every answer was right, 1 when one was not, 2 for a wrong call.
import { parseArgs } from 'node:util';
import { told } from './profile.ts';
import { summaryOf, tableOf } from './report.ts';
import type { BenchOptions } from './run.ts';
import { SCENARIOS } from './scenarios.ts';

const HELP = `npm run -s bench [-- options]
  --quick        one minute: 1, 16 and 64 at once with short turns
  --only A,B     these scenarios: ${SCENARIOS.map(({ name }) => name).join(', ')}
  --rounds N     in each, every variant has one turn (default 3)
  --seconds S    a turn's length (default 5; with --quick 1)
  --answers N    a turn, and warming, ends with so many answers instead; nothing else is warmed
  --warm S       each variant in Node works so long before anything is counted (default 6; with --quick 5)
  --small        a dictionary of nothing but what is asked for: starts sooner, takes less memory than in life; no audit
  --profile      at 64, with a profile of each server: functions by their own time
  --json         the last line on standard output is one JSON object
`;

function usage(detail: string): never {
  console.error(`${detail}\n${HELP}`);
  process.exit(2);
}

function readArguments() {
  try {
    const text = { type: 'string' } as const;
    const flag = { type: 'boolean', default: false } as const;
    const options = {
      only: text,
      rounds: text,
      seconds: text,
      answers: text,
      warm: text,
      quick: flag,
      small: flag,
      profile: flag,
      json: flag,
    };
    return parseArgs({ options: { ...options, help: flag } }).values;
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error));
  }
}

function positive(name: string, text: string | undefined, fallback: number): number {
  const value = Number(text ?? fallback);
  return value > 0 && value <= 3600 ? value : usage(`--${name} is a number above 0`);
}

const values = readArguments();
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
const names = values.only?.split(',') ?? null;
const unknown = names?.find((name) => SCENARIOS.every((scenario) => scenario.name !== name));
if (unknown !== undefined) usage(`there is no scenario ${unknown}`);
const { quick, profile } = values;
const answers = values.answers === undefined ? null : Math.round(positive('answers', values.answers, 1));
const seconds = positive('seconds', values.seconds, quick ? 1 : 5);
// With --json people's lines go to standard error, so that standard output is for machines alone.
const say = (line: string) => (values.json ? console.error(line) : console.log(line));
const options: BenchOptions = {
  scenarios: SCENARIOS.filter((one) => names?.includes(one.name) ?? (quick ? one.quick : !profile)),
  rounds: Math.round(positive('rounds', values.rounds, 3)),
  seconds,
  answers,
  leadInSeconds: answers === null ? Math.min(0.5, seconds / 2) : 0,
  warmSeconds: positive('warm', values.warm, quick ? 5 : 6),
  warmExchanges: values.warm === undefined && answers === null ? 16_000 : 0,
  profile,
  dictionary: values.small ? 'asked' : 'whole',
  audit: !values.small,
  say,
};
// What opens servers takes its time to load; a wrong call need not wait for it.
const { bench } = await import('./run.ts');
const result = await bench(options);
say('');
for (const scenario of result.scenarios) for (const line of tableOf(scenario)) say(line);
for (const [side, summary] of Object.entries(result.profiles ?? {}))
  for (const line of told(side, summary, 25)) say(line);
for (const what of result.found.slice(0, 20)) say(`failure: ${what}`);
const summary = summaryOf(result);
if (values.json) console.log(JSON.stringify(summary));
else say(JSON.stringify(summary, null, 2));
process.exit(result.failures === 0 ? 0 : 1);
