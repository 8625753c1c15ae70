// `accord registry witnesses|witnesses-set`: who vouches for message logs, how many of them it takes, and where they are
// asked. Nothing that changes here is in force before a content with it was approved; approvers see each key.
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { isJsonObject, parseJsonObject } from '#schemas/json.ts';
import { print, runAction } from './output.ts';
import { callRegistry, type RegistryCallOptions, withChange, withRegistry } from './registry-call.ts';

export function witnessCommands(): Command[] {
  const show = new Command('witnesses').description('the aggregate log, its witnesses and the quorum');
  const set = new Command('witnesses-set')
    .description('name the aggregate log, its witnesses and the quorum; replaces what was named before')
    .requiredOption(
      '--from <file>',
      'JSON: {aggregate, registryWitness, witnesses: [{name, verifierKeys, url}], quorum}',
    );
  return [
    withRegistry(show).action(
      runAction(async (options: RegistryCallOptions) => {
        print(await callRegistry(options, 'GET', '/witnesses'), options);
      }),
    ),
    withChange(set).action(
      runAction(async (options: RegistryCallOptions & { from: string }) => {
        const answer = await callRegistry(options, 'POST', '/witnesses', parseJsonObject(readFileSync(options.from)));
        print(isJsonObject(answer) ? (answer['witnesses'] ?? answer) : answer, options);
      }),
    ),
  ];
}
