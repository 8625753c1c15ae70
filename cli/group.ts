// `accord group add|remove|list|member-add|member-remove`: local groups of a provider's own security server, which access
// rights can be given to as a whole. A change is in force when the command ends.
import { Command } from 'commander';
import type { Group } from '#schemas/groups.ts';
import { type AdminOptions, callAdmin, listAdmin, withAdmin } from './admin-client.ts';
import { outputFormat, print, runAction } from './output.ts';
import { confirm } from './passphrase.ts';

type ChangeOptions = AdminOptions & { dryRun?: true; yes?: true };

export function groupCommand(): Command {
  return new Command('group')
    .description('local groups: subsystems that get the same access rights')
    .addCommand(addCommand())
    .addCommand(removeCommand())
    .addCommand(listCommand())
    .addCommand(memberCommand('member-add'))
    .addCommand(memberCommand('member-remove'));
}

function addCommand(): Command {
  const command = new Command('add')
    .description('make a local group, or change its title')
    .argument('<code>', 'letters, digits, dots, underscores and hyphens')
    .requiredOption('--title <title>', 'what people call it')
    .option('--dry-run', 'print the group, change nothing');
  return withAdmin(command).action(
    runAction(async (code: string, options: ChangeOptions & { title: string }) => {
      const group = { code, title: options.title };
      if (options.dryRun) print({ dryRun: true, ...group }, options);
      else print(await callAdmin(options, 'PUT', '/groups', group), options);
    }),
  );
}

function removeCommand(): Command {
  const command = new Command('remove')
    .description('remove a local group that no access right names')
    .argument('<code>', 'as `accord group list` shows it')
    .option('--dry-run', 'print what would be removed, change nothing')
    .option('--yes', 'do not ask');
  return withAdmin(command).action(
    runAction(async (code: string, options: ChangeOptions) => {
      if (options.dryRun) {
        print({ dryRun: true, code }, options);
        return;
      }
      await confirm(`Remove the group ${code}?`, options.yes);
      await callAdmin(options, 'DELETE', `/groups/${encodeURIComponent(code)}`);
      print({ code, removed: true }, options);
    }),
  );
}

function listCommand(): Command {
  const command = new Command('list').description('list the local groups of this server with their members');
  return withAdmin(command).action(
    runAction(async (options: AdminOptions) => {
      const groups = (await listAdmin(options, '/groups')) as unknown as Group[];
      const rows = groups.map(({ members, ...group }) => ({ ...group, members: members.join('\n') }));
      print(outputFormat(options) === 'table' ? rows : groups, options);
    }),
  );
}

function memberCommand(verb: 'member-add' | 'member-remove'): Command {
  const isAdding = verb === 'member-add';
  const command = new Command(verb)
    .description(isAdding ? 'give a subsystem what the group has, at once' : 'take it from a subsystem, at once')
    .argument('<code>', 'as `accord group list` shows it')
    .argument('<subsystem>', 'INSTANCE/CLASS/MEMBER/SUBSYSTEM')
    .option('--dry-run', 'print what would change, change nothing');
  return withAdmin(command).action(
    runAction(async (code: string, subsystem: string, options: ChangeOptions) => {
      if (options.dryRun) {
        print({ dryRun: true, code, subsystem }, options);
        return;
      }
      const path = `/groups/${encodeURIComponent(code)}/members/${subsystem}`;
      const changed = await callAdmin(options, isAdding ? 'PUT' : 'DELETE', path);
      print(isAdding ? changed : { code, subsystem, removed: true }, options);
    }),
  );
}
