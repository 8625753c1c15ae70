// `accord server maintenance`: a running security server begins no new exchange and answers none, at once and until it is
// told otherwise. `accord server announce-maintenance`: the registry writes into the next configuration that one is planned,
// so that others ask the member's other servers first. The two do not depend on each other.
import { Argument, Command, InvalidArgumentError } from 'commander';
import { type AdminOptions, callAdmin, withAdmin } from './admin-client.ts';
import { CommandEnd, EXIT, print, runAction } from './output.ts';
import { callRegistry, type RegistryCallOptions, withChange } from './registry-call.ts';

type SwitchOptions = AdminOptions & { notice?: string; dryRun?: true };

export function maintenanceCommand(): Command {
  const command = new Command('maintenance')
    .description('show, begin or end maintenance of a running security server')
    .addArgument(new Argument('[state]', 'without it the present state').choices(['on', 'off']))
    .option('--notice <text>', 'what those who ask are told; needed for `on`')
    .option('--dry-run', 'print what would be set, change nothing');
  return withAdmin(command).action(
    runAction(async (state: string | undefined, options: SwitchOptions) => {
      const { notice, dryRun } = options;
      if ((state === 'on') !== (notice !== undefined)) {
        throw usage('A notice goes with `on`', "Write: accord server maintenance on --notice 'Back at 06:00'.");
      }
      if (state === undefined) return print(await callAdmin(options, 'GET', '/maintenance'), options);
      if (dryRun)
        return print({ dryRun: true, maintenance: state === 'on' ? { notice: notice ?? '' } : null }, options);
      const body = notice === undefined ? undefined : { notice };
      print(await callAdmin(options, state === 'on' ? 'PUT' : 'DELETE', '/maintenance', body), options);
    }),
  );
}

type AnnounceOptions = RegistryCallOptions & { notice?: string; until?: number; end?: true };

export function announceMaintenanceCommand(): Command {
  return withChange(new Command('announce-maintenance'))
    .description('announce maintenance of a server in the next configuration, or end the announcement')
    .argument('<id>', 'INSTANCE/CLASS/MEMBER/SERVER')
    .option('--notice <text>', 'what others are told')
    .option('--until <time>', 'when it is expected to be over, like 2027-01-31T06:00:00Z', timeMs)
    .option('--end', 'there is none any more')
    .action(
      runAction(async (id: string, options: AnnounceOptions) => {
        const { notice, until, end } = options;
        if ((end === true) === (notice !== undefined) || (end && until !== undefined)) {
          throw usage('Announce, or end?', 'Give --notice TEXT, with --until TIME if that is known; or --end.');
        }
        const maintenance = notice === undefined ? null : { notice, untilMs: until ?? null };
        print(await callRegistry(options, 'POST', `/servers/${id}/renewals`, { maintenance }), options);
      }),
    );
}

function timeMs(text: string): number {
  const atMs = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(atMs)) throw new InvalidArgumentError('Write a time with its zone, like 2027-01-31T06:00:00Z.');
  return atMs;
}

function usage(what: string, next: string): CommandEnd {
  return new CommandEnd(EXIT.usage, `${what}.\nNext: ${next}`.replace('?.', '?'));
}
