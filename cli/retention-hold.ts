// `accord retention hold place|lift|list`: what keeps records from destruction (docs/evidence.md, Retention and erasure).
// One person places a hold, two lift it. A person's identifier may come from a file, because everyone on a machine can
// read the arguments of all its processes; it is sent to the own server only, which keeps a keyed tag in its place.
import { Command, InvalidArgumentError } from 'commander';
import { MS_PER_DAY } from '#core/log/record-keys.ts';
import { isJsonObject, type JsonObject } from '#schemas/json.ts';
import { type AdminOptions, callAdmin, listAdmin, withAdmin } from './admin-client.ts';
import { collectWords } from './option-values.ts';
import { CommandEnd, EXIT, outputFormat, print, runAction } from './output.ts';
import { readSubject, splitSubject } from './system-client.ts';

interface PlaceOptions extends AdminOptions {
  exchange?: string[];
  subject?: { scheme: string; value: string };
  period?: { firstDay: number; lastDay: number };
  class?: string;
  legalBasis: string;
  reason: string;
  dryRun?: true;
}

export function holdCommand(): Command {
  const hold = new Command('hold').description('holds: what keeps records from destruction');
  const placing = hold
    .command('place')
    .description('keep exchanges, a person, a period or a class; one of the four')
    .option('--exchange <list>', 'ids of exchanges, comma-separated; repeatable', collectWords)
    .option(
      '--subject <scheme=value>',
      'all about a person that this server gave; SCHEME=@FILE from a file',
      splitSubject,
    )
    .option('--period <first..last>', 'all classes, days (UTC) like 2026-01-01..2026-03-31', period)
    .option('--class <name>', 'a whole retention class')
    .requiredOption('--legal-basis <text>', 'law or order')
    .requiredOption('--reason <text>', 'why; it stays in the log, so no personal data')
    .option('--dry-run', 'print the hold, and stop');
  withAdmin(placing).action(runAction(place));
  const lifting = hold
    .command('lift')
    .description('ask for a hold to be lifted, or lift it as the second person')
    .argument('<id>', 'as `accord retention hold list` shows it')
    .option('--reason <text>', 'why it is over; from who asks first');
  withAdmin(lifting).action(runAction(lift));
  withAdmin(hold.command('list').description('holds in force')).action(runAction(list));
  return hold;
}

async function place(options: PlaceOptions): Promise<void> {
  const { exchange, subject, legalBasis, reason } = options;
  const scopes = [
    ...(exchange === undefined ? [] : [{ kind: 'exchanges', ids: exchange }]),
    ...(subject === undefined ? [] : [{ kind: 'subject', ...readSubject(subject) }]),
    ...(options.period === undefined ? [] : [{ kind: 'period', ...options.period }]),
    ...(options.class === undefined ? [] : [{ kind: 'class', retention: options.class }]),
  ];
  const [scope, second] = scopes;
  if (scope === undefined || second !== undefined) {
    throw new CommandEnd(EXIT.usage, 'What is held?\nNext: Give one of --exchange, --subject, --period and --class.');
  }
  const wanted = { scope, legalBasis, reason };
  if (options.dryRun) return print({ dryRun: true, ...wanted }, options);
  const placed = await callAdmin(options, 'POST', '/retention/holds', wanted);
  print(outputFormat(options) === 'table' && isJsonObject(placed) ? brief(placed) : placed, options);
}

async function lift(id: string, options: AdminOptions & { reason?: string }): Promise<void> {
  const { reason = null } = options;
  const answer = await callAdmin(options, 'POST', `/retention/holds/${encodeURIComponent(id)}/lift`, { reason });
  print({ hold: id, ...(isJsonObject(answer) ? answer : {}) }, options);
  const isLifted = isJsonObject(answer) && answer['lifted'] === true;
  if (!isLifted) process.stderr.write(`Next: A second person runs \`accord retention hold lift ${id}\`.\n`);
}

async function list(options: AdminOptions): Promise<void> {
  const holds = await listAdmin(options, '/retention/holds');
  print(outputFormat(options) === 'table' ? holds.map(brief) : holds, options);
}

function brief({ hold, scope, placed, legalBasis, reason, lift }: JsonObject) {
  const { kind, ...what } = isJsonObject(scope) ? scope : {};
  const nameIn = (value: unknown) => (isJsonObject(value as never) ? (value as JsonObject)['name'] : null);
  const asked = isJsonObject(lift) ? `asked for by ${nameIn(lift['requested'])}` : null;
  const ofWhat = kind === 'subject' ? 'a person' : JSON.stringify(what);
  return { hold, kind, what: ofWhat, placed: nameIn(placed), 'legal basis': legalBasis, reason, lift: asked };
}

function period(text: string): { firstDay: number; lastDay: number } {
  const [, first = '', last = ''] = /^(\d{4}-\d{2}-\d{2})\.\.(\d{4}-\d{2}-\d{2})$/.exec(text) ?? [];
  const [firstDay, lastDay] = [first, last].map((day) => Date.parse(`${day}T00:00:00Z`) / MS_PER_DAY);
  if (firstDay === undefined || lastDay === undefined || !(firstDay <= lastDay)) {
    throw new InvalidArgumentError('Write a first and a last day like 2026-01-01..2026-03-31.');
  }
  return { firstDay, lastDay };
}
