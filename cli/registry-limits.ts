// `accord registry limits|limit-set`: what the whole instance agrees on, from the next approved configuration on
// (schemas/configuration.ts says what each means and may be). A security server's own settings may be stricter.
import { Command, InvalidArgumentError } from 'commander';
import { isJsonObject } from '#schemas/json.ts';
import { print, runAction } from './output.ts';
import { callRegistry, type RegistryCallOptions, withChange, withRegistry } from './registry-call.ts';

export function limitCommands(): Command[] {
  const list = new Command('limits').description('limits of the instance; empty where the default counts');
  const set = new Command('limit-set')
    .description(
      'set a limit of the instance: maxStaleMs, distrustPerApprover, utcOffsetMinutes, emergencyReviewMinutes',
    )
    .argument('<name>', 'as `accord registry limits` shows it')
    .argument('<value>', 'a whole number', wholeNumber);
  return [
    withRegistry(list).action(
      runAction(async (options: RegistryCallOptions) => {
        const answer = await callRegistry(options, 'GET', '/limits');
        print(isJsonObject(answer) ? answer['items'] : answer, options, ['name', 'value']);
      }),
    ),
    withChange(set).action(
      runAction(async (name: string, value: number, options: RegistryCallOptions) => {
        print(await callRegistry(options, 'POST', '/limits', { name, value }), options);
      }),
    ),
  ];
}

function wholeNumber(text: string): number {
  if (!/^-?[0-9]{1,15}$/.test(text)) throw new InvalidArgumentError('A whole number.');
  return Number(text);
}
