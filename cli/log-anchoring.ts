// `accord log anchor` and `accord log anchorings`: what others vouch for of a message log. The first asks the running
// server; the second reads the entries in the folder, which `accord log verify` judges.
import { Command, InvalidArgumentError } from 'commander';
import { MAX_SHOWN, showLog } from '#core/log/show.ts';
import { parseCheckpointText, parseNote } from '#core/log/signed-note.ts';
import { parseAnchoring } from '#schemas/anchoring.ts';
import { type AdminOptions, callAdmin, withAdmin } from './admin-client.ts';
import { type OutputOptions, outputFormat, print, runAction, withOutput } from './output.ts';

type ListOptions = OutputOptions & { dir: string; origin?: string; limit: number };

/** @param placeOf the folder of a log in a data folder */
export function anchoringCommands(placeOf: (options: ListOptions) => { folder: string }): Command[] {
  const now = new Command('anchor')
    .description('how far the log of a running server is anchored; with --now the newest checkpoint is sent at once')
    .option('--now', 'send the newest checkpoint to the witness, and ask for what waits');
  const list = new Command('anchorings')
    .description('what others vouched for, as it stands in the log, newest first')
    .requiredOption('--dir <folder>', "the server's data folder")
    .option('--origin <origin>', 'a closed log: its origin, or its number')
    .option('--limit <n>', `at most so many, up to ${MAX_SHOWN}`, count, 20);
  return [
    withAdmin(now).action(
      runAction(async (options: AdminOptions & { now?: true }) => {
        print(await callAdmin(options, options.now ? 'POST' : 'GET', '/anchoring'), options);
      }),
    ),
    withOutput(list).action(
      runAction((options: ListOptions) => {
        const rows = showLog(placeOf(options).folder, { id: 'anchored' }, options.limit);
        const read = rows.flatMap(({ entry, evidence }) =>
          evidence === null ? [] : [{ seq: entry.seq, t: entry.t, anchoring: parseAnchoring(evidence.statement) }],
        );
        print(outputFormat(options) === 'table' ? read.map(brief) : read, options);
      }),
    ),
  ];
}

function brief({ seq, t, anchoring }: { seq: number; t: number; anchoring: ReturnType<typeof parseAnchoring> }) {
  const { checkpoint, aggregate, tokens } = anchoring;
  const signers = (note: string) =>
    new Set(
      parseNote(note)
        .signatures.slice(1)
        .map(({ name }) => name),
    );
  return {
    seq,
    time: new Date(t).toISOString(),
    entries: parseCheckpointText(parseNote(checkpoint).text).size,
    aggregate: aggregate && `leaf ${aggregate.index}`,
    cosigners: [...signers(checkpoint), ...(aggregate === null ? [] : signers(aggregate.checkpoint))].join(', '),
    timeStamps: tokens.length,
  };
}

/** A whole number of at most 15 digits. */
function count(text: string): number {
  if (!/^[0-9]{1,15}$/.test(text)) throw new InvalidArgumentError('Write a whole number.');
  return Number(text);
}
