// `accord complete bash|zsh|fish|powershell` prints a completion script; the script asks `accord complete -- WORDS`. Only
// the noun that stands among the words is loaded, so that pressing Tab stays fast.
import tab from '@bomb.sh/tab/commander';
import type { Command } from 'commander';

export function addCompletions(program: Command): void {
  // Commands that `tab` makes for itself take what the program has by now: without this, a wrong shell ends the process.
  program.exitOverride().showHelpAfterError('Next: See `accord complete --help`.');
  tab(program);
}
