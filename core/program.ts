// What every server of Accord does as a program: where it finds the passphrase of its keys, how a signal ends it and how
// an error does. The environment is handed in by its `main.ts`; the operator controls it.
import { readFileSync } from 'node:fs';
import { isAccordError, PROBLEMS } from '#schemas/problems.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The passphrase of the keys: the first line of the file that ACCORD_KEY_PASSPHRASE_FILE names, else
 * ACCORD_KEY_PASSPHRASE; empty when there is neither, which opens no key.
 */
export function keyPassphrase(environment: Environment): string {
  const file = environment['ACCORD_KEY_PASSPHRASE_FILE'];
  if (file !== undefined) return readFileSync(file, 'utf8').split(/\r?\n/, 1)[0] ?? '';
  return environment['ACCORD_KEY_PASSPHRASE'] ?? '';
}

/** SIGTERM and SIGINT close what runs and then end the process with 0; what comes after the first changes nothing. */
export function drainOnSignal(close: (signal: string) => Promise<void>): void {
  let stopping = false;
  const stop = (signal: string) => {
    if (stopping) return;
    stopping = true;
    void close(signal).then(() => process.exit(0));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process, as signals do. */
export function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
  });
}

/** Tells on standard error why the program does not run and what to do next; it ends with 1. */
export function endOnError(error: unknown): void {
  const next = isAccordError(error) ? `\nNext: ${PROBLEMS[error.code].next}` : '';
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}${next}\n`);
  process.exitCode = 1;
}
