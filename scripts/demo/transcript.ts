// What the demonstration tells: sentences for a person, or one JSON object a line for a machine. A step that did not do
// what it says fails the run, whatever comes after it.
import { styleText } from 'node:util';

export interface Transcript {
  /** A step that did, or did not do, what it says. */
  step(name: string, ok: boolean, facts: Record<string, unknown>, told: readonly string[]): void;
  /** A heading between steps; only for people. */
  heading(text: string): void;
  readonly failed: boolean;
}

export function openTranscript(json: boolean, write: (text: string) => void): Transcript {
  let failed = false;
  return {
    heading(text) {
      if (!json) write(`\n${styleText('bold', text)}\n`);
    },
    step(name, ok, facts, told) {
      if (!ok) failed = true;
      if (json) {
        write(`${JSON.stringify({ step: name, ok, ...facts })}\n`);
        return;
      }
      const mark = ok ? styleText('green', '✓') : styleText('red', '✗ FAILED');
      for (const [at, line] of told.entries()) write(at === 0 ? `  ${mark} ${line}\n` : `    ${line}\n`);
      if (!ok) write(`    ${JSON.stringify(facts)}\n`);
    },
    get failed() {
      return failed;
    },
  };
}
