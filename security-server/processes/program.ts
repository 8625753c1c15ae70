// What a process beside the first one does from its first line to its last, with the environment handed in by `main.ts`:
// it opens the server's keys with the passphrase that the first process was started with.
import { pino } from 'pino';
import { systemClock } from '#core/clock.ts';
import { collectWhenIdle } from '#core/idle-heap.ts';
import { type Environment, keyPassphrase } from '#core/program.ts';
import { AccordError } from '#schemas/problems.ts';
import { Calls } from './calls.ts';
import { openConsumerProcess } from './consumer-process.ts';
import type { FirstAnswers } from './first-process.ts';

/** Runs until the first process ends it; resolves when it serves. @throws PROCESS_ENDED, and what `openConsumerProcess` throws */
export async function runConsumerProcess(environment: Environment): Promise<void> {
  if (process.send === undefined)
    throw new AccordError('PROCESS_ENDED', 'this program is started by a security server');
  // A terminal's Ctrl-C reaches every process; the first one says what follows from it.
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => {});
  // What cannot be sent any more is nobody's to hear: the pipe is closed, and this process ends with it.
  const unsent = () => {};
  const send = (message: unknown) => process.send?.(message, undefined, undefined, unsent);
  const failed = (error: unknown) => process.stderr.write(`a question of the first process failed: ${String(error)}\n`);
  const first = new Calls<FirstAnswers>(send, failed);
  process.on('message', (message) => first.heard(message));
  // Nothing can be logged any more, so nothing that is under way may end well.
  process.on('disconnect', () => process.exit(1));
  const { folder, number, settings, origin, ports } = await first.ask('hello', null);
  const logger = pino(
    { level: settings.logLevel, base: { server: settings.id, process: number } },
    pino.destination(2),
  );
  const { urls, answers } = await openConsumerProcess({
    ...{ folder, number, settings, origin, ports, logger, first },
    passphrase: keyPassphrase(environment),
    clock: systemClock,
  });
  first.serve(answers);
  answers.stands(await first.ask('ready', urls));
  collectWhenIdle();
}
