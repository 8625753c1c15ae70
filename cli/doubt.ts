// `accord doubt report|show` at the department that received a value, through its own security server; `accord doubt
// list|answer` at the department that gave it, on the admin API of its own server (DESIGN: the dictionary). Values about
// persons may come from files, because everyone on a machine can read the arguments of all its processes.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import type { DoubtedValue } from '#adapters/client-dictionary.ts';
import { DoubtState } from '#schemas/doubt.ts';
import { isJsonObject, type JsonObject, type JsonValue, parseJson } from '#schemas/json.ts';
import { isAccordError } from '#schemas/problems.ts';
import { type AdminOptions, callAdmin, withAdmin } from './admin-client.ts';
import { CommandEnd, EXIT, outputFormat, print, runAction } from './output.ts';
import { asSystem, readSubject, readValue, type SystemOptions, splitSubject, withSystem } from './system-client.ts';

type Value = DoubtedValue['doubted'];

interface ReportOptions extends SystemOptions {
  client: string;
  exchange: string;
  element: string;
  path?: string;
  subject: { scheme: string; value: string };
  doubted: string;
  proposed?: string;
  evidence?: string;
  note?: string;
  userId?: string;
  dryRun?: true;
}

interface ListOptions extends AdminOptions {
  state?: DoubtState;
  after?: string;
  limit: string;
}

interface AnswerOptions extends AdminOptions {
  state: Exclude<DoubtState, 'open'>;
  note?: string;
  dryRun?: true;
}

const STATES = DoubtState.anyOf.map((one) => one.const);

export function doubtCommand(): Command {
  return new Command('doubt')
    .description('reports that a received value may be wrong, and their answers')
    .addCommand(reportCommand())
    .addCommand(showCommand())
    .addCommand(listCommand())
    .addCommand(answerCommand());
}

function reportCommand(): Command {
  const command = new Command('report')
    .description('tell the department that gave a value that it may be wrong; again with --note when it needs more')
    .argument('<service>', 'that gave it: INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE')
    .requiredOption('--client <id>', 'the own subsystem that received it')
    .requiredOption('--exchange <id>', 'message id of the lookup that brought it')
    .requiredOption('--element <ref>', 'what is doubted: id@major')
    .option('--path <path>', 'where in the answer, if it stands there more than once')
    .requiredOption('--subject <scheme=value>', 'whom it is about; SCHEME=@FILE takes it from a file', splitSubject)
    .requiredOption('--doubted <value>', 'the value as received: JSON, else text; @FILE takes it from a file')
    .option('--proposed <value>', 'what it should be, if that is known; in the same form')
    .option('--evidence <file>', 'document that shows it; only its hash is sent')
    .option('--note <text>', 'why')
    .option('--user-id <id>', 'the official who reports it')
    .option('--dry-run', 'print what would be reported, and stop');
  return withSystem(command).action(runAction(report));
}

async function report(service: string, options: ReportOptions): Promise<void> {
  const { exchange, element, path, subject, doubted, proposed, evidence, note, userId } = options;
  const value: DoubtedValue = {
    service,
    exchange,
    element,
    subject: readSubject(subject),
    doubted: scalar(doubted, '--doubted'),
    ...(path !== undefined && { path }),
    ...(proposed !== undefined && { proposed: scalar(proposed, '--proposed') }),
    ...(evidence !== undefined && {
      evidenceHash: createHash('sha256').update(readFileSync(evidence)).digest('base64url'),
    }),
    ...(note !== undefined && { note }),
    ...(userId !== undefined && { userId }),
  };
  if (options.dryRun) {
    print({ dryRun: true, client: options.client, ...value }, options);
    return;
  }
  const { report, ...doubt } = await asSystem(options, (accord) => accord.reportDoubt(value));
  print(outputFormat(options) === 'table' ? dated(doubt) : { ...doubt, report }, options);
}

function showCommand(): Command {
  const command = new Command('show')
    .description('ask what became of an own report')
    .argument('<id>', 'as `accord doubt report` printed it')
    .requiredOption('--service <id>', 'that gave the value')
    .requiredOption('--client <id>', 'the own subsystem that reported it');
  return withSystem(command).action(runAction(show));
}

async function show(id: string, options: SystemOptions & { service: string }): Promise<void> {
  const { report, ...doubt } = await asSystem(options, (accord) => accord.doubt(id, options.service));
  print(outputFormat(options) === 'table' ? dated(doubt) : { ...doubt, report }, options);
}

function listCommand(): Command {
  const command = new Command('list')
    .description('reports about values that this server gave, oldest first')
    .addOption(new Option('--state <state>', 'only these').choices(STATES))
    .option('--after <id>', 'those behind this one')
    .option('--limit <n>', 'at most so many, up to 200', '50');
  return withAdmin(command).action(runAction(list));
}

async function list({ state, after, limit, ...options }: ListOptions): Promise<void> {
  const query = new URLSearchParams({ limit, ...(state && { state }), ...(after && { after }) });
  const page = await callAdmin(options, 'GET', `/doubts?${query}`);
  if (outputFormat(options) !== 'table') {
    print(page, options);
    return;
  }
  const items = isJsonObject(page) && Array.isArray(page['items']) ? page['items'].filter(isJsonObject) : [];
  print(items.map(brief), options);
  const next = isJsonObject(page) ? page['next'] : null;
  if (typeof next === 'string') process.stderr.write(`Next: There may be more; see --after ${next}.\n`);
}

function brief({ id, state, element, reporter, client, service, about, words, createdAtMs }: JsonObject) {
  const { doubted, proposed } = about !== undefined && isJsonObject(about) ? about : ({} as JsonObject);
  const last = Array.isArray(words) ? words.at(-1) : undefined;
  return {
    id,
    state,
    element,
    doubted,
    proposed,
    'by / at': `${reporter === 'citizen' ? 'the citizen' : client}\n${service}`,
    since: dateOf(createdAtMs),
    'last word': last !== undefined && isJsonObject(last) ? last['note'] : null,
  };
}

function answerCommand(): Command {
  const command = new Command('answer')
    .description('say what came of a report')
    .argument('<id>', 'as `accord doubt list` shows it')
    .addOption(
      new Option('--state <state>', 'accepted: the data were corrected; rejected: they stand; needs-info: tell more')
        .choices(STATES.filter((state) => state !== 'open'))
        .makeOptionMandatory(),
    )
    .option('--note <text>', 'why, or what is needed; not needed with accepted')
    .option('--dry-run', 'print the answer, and stop');
  return withAdmin(command).action(runAction(answer));
}

async function answer(id: string, options: AnswerOptions): Promise<void> {
  const { state, note } = options;
  if (state !== 'accepted' && note === undefined) {
    throw new CommandEnd(EXIT.usage, `${state} without a reason.\nNext: Say why with --note.`);
  }
  if (options.dryRun) {
    print({ dryRun: true, id, state, note: note ?? null }, options);
    return;
  }
  const path = `/doubts/${encodeURIComponent(id)}/answer`;
  const answered = await callAdmin(options, 'POST', path, { state, note: note ?? null });
  print(outputFormat(options) === 'table' && isJsonObject(answered) ? brief(answered) : answered, options);
}

/** Times as people read them. */
function dated({ createdAtMs, changedAtMs, ...rest }: { createdAtMs: number; changedAtMs: number }): object {
  return { ...rest, created: dateOf(createdAtMs), changed: dateOf(changedAtMs) };
}

function dateOf(atMs: JsonValue | undefined): string {
  return typeof atMs === 'number' ? new Date(atMs).toISOString() : '';
}

/** A JSON scalar; what is no JSON is text, so that 1958-03-04 needs no quotes. */
function scalar(given: string, option: string): Value {
  const text = readValue(given);
  let value: JsonValue;
  try {
    value = parseJson(text);
  } catch (error) {
    if (isAccordError(error)) return text;
    throw error;
  }
  if (value !== null && typeof value === 'object')
    throw new CommandEnd(EXIT.usage, `${option} takes one value, no list and no object.\nNext: Correct it.`);
  return value;
}
