// `accord system mode`: how the information systems of a department connect to its security server, subsystem by subsystem,
// in X-Road's words. Their certificates are registered with `accord subsystem system-add`.
import { Argument, Command } from 'commander';
import { isJsonObject, type JsonObject } from '#schemas/json.ts';
import { type AdminOptions, callAdmin, listAdmin, withAdmin } from './admin-client.ts';
import { CommandEnd, EXIT, print, runAction } from './output.ts';

const USUAL = 'default';
const MODES = ['NOSSL', 'SSLNOAUTH', 'SSLAUTH', USUAL];
const COLUMNS = ['subsystem', 'mode', 'addresses'];

type ModeOptions = AdminOptions & { from: string[]; dryRun?: true };

export function systemCommand(): Command {
  return new Command('system').addCommand(modeCommand());
}

function modeCommand(): Command {
  const command = new Command('mode')
    .description('show or set how the systems of a subsystem connect')
    .argument('[subsystem]', 'INSTANCE/CLASS/MEMBER/SUBSYSTEM; without it all that are not as usual')
    .addArgument(
      new Argument(
        '[mode]',
        'NOSSL: HTTP or HTTPS from a listed address; SSLNOAUTH: HTTPS from one; SSLAUTH: HTTPS with a registered certificate; default: the latter, or HTTP on this machine',
      ).choices(MODES),
    )
    .option(
      '--from <address>',
      'address or range in CIDR notation, IPv4 or IPv6; repeatable; loopback without it',
      collect,
      [],
    )
    .option('--dry-run', 'print what would be set, change nothing');
  return withAdmin(command).action(runAction(setOrShow));
}

async function setOrShow(subsystem: string | undefined, mode: string | undefined, options: ModeOptions): Promise<void> {
  const { from, dryRun } = options;
  if (mode === undefined) {
    if (from.length > 0)
      throw usage('--from goes with a mode', 'Write the mode behind the subsystem: NOSSL or SSLNOAUTH.');
    const rules = await listAdmin(options, '/connection-modes');
    return print(subsystem === undefined ? rules : ruleOf(rules, subsystem), options, COLUMNS);
  }
  if (from.length > 0 && (mode === 'SSLAUTH' || mode === USUAL)) {
    throw usage(`${mode} has no list of addresses`, 'Leave --from out, or choose NOSSL or SSLNOAUTH.');
  }
  const rule = { subsystem: subsystem ?? '', mode, addresses: from };
  if (dryRun) return print({ dryRun: true, ...rule }, options);
  if (mode !== USUAL) return print(await callAdmin(options, 'PUT', '/connection-modes', rule), options);
  // What is as usual already stays so.
  const isSet = (await listAdmin(options, '/connection-modes')).some((one) => one['subsystem'] === subsystem);
  if (isSet) await callAdmin(options, 'DELETE', `/connection-modes/${subsystem}`);
  print(rule, options);
}

function ruleOf(rules: readonly JsonObject[], subsystem: string): JsonObject {
  const found = rules.find((one) => isJsonObject(one) && one['subsystem'] === subsystem);
  return found ?? { subsystem, mode: USUAL, addresses: [] };
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

function usage(what: string, next: string): CommandEnd {
  return new CommandEnd(EXIT.usage, `${what}.\nNext: ${next}`);
}
