// How a command gets a passphrase: from a file, from the environment, or from a person at a terminal; never from its
// arguments, which every user of the machine can read in the list of processes.
import { readFileSync, statSync } from 'node:fs';
import { Option } from 'commander';
import { AccordError } from '#schemas/problems.ts';
import { CommandEnd, EXIT } from './output.ts';

export interface PassphraseOptions {
  passphraseFile?: string;
}

/** Where the passphrase of a server's, a registry's or a person's keys may stand; that of an authority's has its own. */
export const PASSPHRASE_VARIABLE = 'ACCORD_KEY_PASSPHRASE';

const MAX_PASSPHRASE_BYTES = 1024;

export function passphraseOption(variable: string): Option {
  return new Option('--passphrase-file <file>', `file whose first line is the passphrase; or set ${variable}`);
}

/**
 * The passphrase of one key.
 * @param variable the environment variable that may hold it
 * @param ask what to say to a person; `twice` for a new passphrase
 * @throws KEY_FILE_MODE when others may read the file; CommandEnd (usage) when there is no source
 */
export async function readPassphrase(
  { passphraseFile }: PassphraseOptions,
  variable: string,
  ask: { prompt: string; twice?: boolean },
): Promise<string> {
  if (passphraseFile !== undefined) return fromFile(passphraseFile);
  const set = process.env[variable];
  if (set !== undefined && set !== '') return set;
  if (!process.stdin.isTTY) {
    throw new CommandEnd(EXIT.usage, `No passphrase.\nNext: Give --passphrase-file FILE or set ${variable}.`);
  }
  const first = await askHidden(ask.prompt);
  if (ask.twice && (await askHidden('Once more: ')) !== first) {
    throw new CommandEnd(EXIT.usage, 'The two passphrases differ.\nNext: Run the command again.');
  }
  return first;
}

function fromFile(file: string): string {
  const stat = statSync(file);
  if (stat.size > MAX_PASSPHRASE_BYTES) throw new CommandEnd(EXIT.usage, `${file} is no passphrase file: too large.`);
  // Pipes (`<(pass show ca)`) have no mode worth judging.
  if (stat.isFile() && (stat.mode & 0o077) !== 0) throw new AccordError('KEY_FILE_MODE', file);
  return readFileSync(file, 'utf8').split(/\r?\n/, 1)[0] ?? '';
}

/** Reads a line without showing it. Ctrl-C and Ctrl-D give up. */
function askHidden(prompt: string): Promise<string> {
  const { stdin, stderr } = process;
  stderr.write(prompt);
  stdin.setRawMode(true).setEncoding('utf8').resume();
  return new Promise((resolve, reject) => {
    let line = '';
    const finish = (settle: () => void) => {
      stdin.off('data', onData).setRawMode(false).pause();
      stderr.write('\n');
      settle();
    };
    const onData = (typed: string) => {
      for (const char of typed) {
        if (char === '\r' || char === '\n') return finish(() => resolve(line));
        if (char === '\u0003' || char === '\u0004')
          return finish(() => reject(new CommandEnd(EXIT.failed, 'Given up.')));
        line = char === '\u007f' ? line.slice(0, -1) : line + char;
      }
    };
    stdin.on('data', onData);
  });
}

/** Asks a person at a terminal; without one, only `--yes` means yes. @throws CommandEnd when the answer is no */
export async function confirm(question: string, yes: boolean | undefined): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY) throw new CommandEnd(EXIT.usage, `${question}\nNext: Confirm with --yes.`);
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await lines.question(`${question} [y/N] `).finally(() => lines.close());
  if (!/^y(es)?$/i.test(answer.trim())) throw new CommandEnd(EXIT.failed, 'Nothing was done.');
}
