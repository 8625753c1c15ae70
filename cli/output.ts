// What every `accord` command prints and how it ends: rows as a table, JSON or YAML on standard output; errors, with what
// to do next, on standard error; exit codes that scripts may rely on. One table says which code of PROBLEMS is which
// exit code.
import { createRequire } from 'node:module';
import Table from 'cli-table3';
import { type Command, Option } from 'commander';
import { type AccordError, isAccordError, PROBLEMS, type ProblemCode } from '#schemas/problems.ts';

export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  forbidden: 4,
  precondition: 5,
  exchangeRefused: 6,
  verificationFailed: 7,
  peerUnavailable: 8,
} as const;

export type OutputFormat = 'table' | 'json' | 'yaml';

export interface OutputOptions {
  output?: OutputFormat;
  json?: boolean;
}

/** Adds `-o, --output` and `--json` to a command. */
export function withOutput(command: Command): Command {
  return command
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['table', 'json', 'yaml']).default('table'))
    .option('--json', 'short for -o json');
}

export function outputFormat(options: OutputOptions): OutputFormat {
  return options.json ? 'json' : (options.output ?? 'table');
}

/**
 * Prints one object or a list of rows. In a table, `columns` chooses and orders the members of a list's rows; without it
 * all members of the first row stand. Nested values are shown as JSON.
 */
export function print(value: unknown, options: OutputOptions, columns?: readonly string[]): void {
  const format = outputFormat(options);
  if (format === 'json') process.stdout.write(`${JSON.stringify(value)}\n`);
  else if (format === 'yaml') process.stdout.write(yamlOf(value));
  else process.stdout.write(`${table(value, columns)}\n`);
}

/** The library is loaded when it is asked for: it takes as long as a whole small command. */
function yamlOf(value: unknown): string {
  const { stringify } = createRequire(import.meta.url)('yaml') as typeof import('yaml');
  return stringify(value);
}

function table(value: unknown, columns?: readonly string[]): string {
  if (Array.isArray(value)) {
    if (value.length === 0) return '(none)';
    const names = columns ?? Object.keys(value[0] as object);
    const drawn = new Table({ head: [...names], style: { head: [], border: [] } });
    for (const each of value as Record<string, unknown>[]) drawn.push(names.map((name) => cell(each[name])));
    return drawn.toString();
  }
  if (typeof value !== 'object' || value === null) return String(value);
  const drawn = new Table({ style: { head: [], border: [] }, colWidths: [], wordWrap: false });
  for (const [name, member] of Object.entries(value)) drawn.push([name, cell(member)]);
  return drawn.toString();
}

/** Tables are for people: a line longer than a screen is cut; JSON and YAML print all of it. */
const MAX_CELL = 110;

function cell(value: unknown): string {
  if (value === undefined || value === null) return '';
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  const lines = text.split('\n').map((line) => (line.length > MAX_CELL ? `${line.slice(0, MAX_CELL - 1)}…` : line));
  return lines.join('\n');
}

/** An end of a command that was found without an error being thrown (e.g. `valid: false`). */
export class CommandEnd extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message = '') {
    super(message);
    this.exitCode = exitCode;
  }
}

/**
 * Wraps an action for commander: the process's exit code says how it ended, and an error says on standard error what it
 * was and what to do next. Commander's own usage errors end with 2 (see `exitOverride` in the main program).
 */
export function runAction<Args extends unknown[]>(
  action: (...args: Args) => Promise<void> | void,
): (...args: Args) => Promise<void> {
  return async (...args) => {
    try {
      await action(...args);
    } catch (error) {
      process.exitCode = reportError(error);
    }
  };
}

/** Prints an error for a person and returns the exit code it means. */
export function reportError(error: unknown): number {
  if (error instanceof CommandEnd) {
    if (error.message !== '') process.stderr.write(`${error.message}\n`);
    return error.exitCode;
  }
  if (isAccordError(error)) {
    const { title, next } = PROBLEMS[error.code];
    const detail = error.detail === '' ? '' : ` (${error.detail})`;
    process.stderr.write(`${error.code}: ${title}${detail}\nNext: ${next}\n`);
    return exitCodeOf(error);
  }
  if (error instanceof RemoteProblem) {
    const { code, title, detail, next } = error.problem;
    process.stderr.write(`${code}: ${title}${detail ? ` (${detail})` : ''}\nNext: ${next}\n`);
    return error.exitCode;
  }
  const { code, path, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'EACCES' || code === 'EEXIST' || code === 'ENOTDIR') {
    process.stderr.write(`${code}: ${path ?? message}\nNext: Check the path and its permissions.\n`);
    return code === 'ENOENT' ? EXIT.notFound : EXIT.precondition;
  }
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.stderr.write('Next: This is a fault of the program; report it with the lines above.\n');
  return EXIT.failed;
}

/** A problem document that a server answered with. `code` may be one that this program does not know. */
export class RemoteProblem extends Error {
  readonly problem: { code: string; title: string; status: number; next: string; detail?: string };
  readonly exitCode: number;

  constructor(problem: RemoteProblem['problem']) {
    super(problem.code);
    this.problem = problem;
    this.exitCode = exitCodeFor(problem.code, problem.status);
  }
}

// The few codes whose meaning for a script is not told by their HTTP status.
const EXIT_OF_CODE: Record<string, number> = {
  PEER_UNREACHABLE: EXIT.peerUnavailable,
  PEER_TIMEOUT: EXIT.peerUnavailable,
  PEER_BROKE_OFF: EXIT.peerUnavailable,
  KEY_FILE_MODE: EXIT.precondition,
  CERTIFICATE_MISSING: EXIT.precondition,
};
const VERIFICATION = /^(CONFIGURATION|SIGNED_FILE|CERTIFICATE|SIGNATURE|JWS|JWE|CHAIN|PATH_VALIDATION|CRL)_/;
const NOT_ABOUT_PROOF = new Set(['CONFIGURATION_MISSING', 'CONFIGURATION_TOO_OLD', 'CONFIGURATION_UNAVAILABLE']);

function exitCodeOf(error: AccordError): number {
  return exitCodeFor(error.code, PROBLEMS[error.code].status);
}

function exitCodeFor(code: ProblemCode | string, status: number): number {
  const named = EXIT_OF_CODE[code];
  if (named !== undefined) return named;
  if (VERIFICATION.test(code) && !NOT_ABOUT_PROOF.has(code)) return EXIT.verificationFailed;
  if (status === 401 || status === 403) return EXIT.forbidden;
  if (status === 404) return EXIT.notFound;
  if (status === 409 || status === 412 || status === 428) return EXIT.precondition;
  if (status === 400 || status === 413 || status === 422) return EXIT.usage;
  if (status === 502 || status === 503 || status === 504) return EXIT.peerUnavailable;
  return EXIT.failed;
}
