// An `accord` command of the story: what is printed for the visitor to type is what this process runs.
import { execFile } from 'node:child_process';
import { join } from 'node:path';

const TIMEOUT_MS = 20_000;

interface Ran {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs `accord WORDS…` in a process of its own. */
export function runAccord(words: readonly string[]): Promise<Ran> {
  const options = { cwd: join(import.meta.dirname, '../..'), encoding: 'utf8' as const, timeout: TIMEOUT_MS };
  return new Promise((resolve) => {
    execFile(process.execPath, ['cli/main.ts', ...words], options, (error, stdout, stderr) => {
      const status = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ status, stdout, stderr });
    });
  });
}

/** As it is typed into a shell, one option a line. */
export function typed(words: readonly string[]): string[] {
  const lines = ['accord'];
  for (const [at, word] of words.entries()) {
    const isOption = word.startsWith('--');
    const isValue = at > 0 && (words[at - 1] ?? '').startsWith('--') && !isOption;
    const before = lines.length - 1;
    if (isOption || (!isValue && lines.length > 1)) lines.push(`  ${quoted(word)}`);
    else lines[before] = `${lines[before]} ${quoted(word)}`;
  }
  return lines.map((line, at) => (at < lines.length - 1 ? `${line} \\` : line));
}

function quoted(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
