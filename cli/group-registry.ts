// `accord registry group-add|group-remove|group-list|group-member-add|group-member-remove`: global groups of the instance.
// Nothing that changes here is in force before a content with it was approved; approvers see each member.
import { Command } from 'commander';
import { isJsonObject } from '#schemas/json.ts';
import { print, runAction } from './output.ts';
import { confirm } from './passphrase.ts';
import { callRegistry, type RegistryCallOptions, withChange, withRegistry } from './registry-call.ts';

type ChangeOptions = RegistryCallOptions & { yes?: true };

export function groupCommands(): Command[] {
  const add = new Command('group-add')
    .description('make a global group, or change its title')
    .argument('<code>', 'access rights name it global-group:INSTANCE/CODE')
    .requiredOption('--title <title>', 'what people call it');
  const list = new Command('group-list').description('global groups with their members');
  const remove = new Command('group-remove')
    .description('remove a global group that has no members')
    .argument('<code>', 'as `accord registry group-list` shows it')
    .option('--yes', 'do not ask');
  return [
    withChange(add).action(
      runAction(async (code: string, options: ChangeOptions & { title: string }) => {
        print(await callRegistry(options, 'POST', '/groups', { code, title: options.title }), options);
      }),
    ),
    withRegistry(list).action(
      runAction(async (options: RegistryCallOptions) => {
        const answer = await callRegistry(options, 'GET', '/groups');
        print(isJsonObject(answer) ? answer['items'] : answer, options, ['code', 'title', 'members']);
      }),
    ),
    withChange(remove).action(
      runAction(async (code: string, options: ChangeOptions) => {
        if (!options.dryRun) await confirm(`Remove the global group ${code}?`, options.yes);
        print(await callRegistry(options, 'DELETE', `/groups/${encodeURIComponent(code)}`), options);
      }),
    ),
    ...memberCommands(),
  ];
}

function memberCommands(): Command[] {
  const add = new Command('group-member-add')
    .description('add a subsystem to a global group')
    .argument('<code>', 'as `accord registry group-list` shows it')
    .argument('<subsystem>', 'INSTANCE/CLASS/MEMBER/SUBSYSTEM');
  const remove = new Command('group-member-remove')
    .description('take a subsystem out of a global group')
    .argument('<code>', 'as `accord registry group-list` shows it')
    .argument('<subsystem>', 'INSTANCE/CLASS/MEMBER/SUBSYSTEM');
  const place = (code: string) => `/groups/${encodeURIComponent(code)}/members`;
  return [
    withChange(add).action(
      runAction(async (code: string, subsystem: string, options: ChangeOptions) => {
        print(await callRegistry(options, 'POST', place(code), { subsystem }), options);
      }),
    ),
    withChange(remove).action(
      runAction(async (code: string, subsystem: string, options: ChangeOptions) => {
        print(await callRegistry(options, 'DELETE', `${place(code)}/${subsystem}`), options);
      }),
    ),
  ];
}
