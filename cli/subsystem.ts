// `accord subsystem`: subsystems in the registry, and at a security server the certificates of the information systems
// that may speak for them (system-add, system-list, system-remove).
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { certificateHash } from '#certs/path.ts';
import { pemCertificates } from '#certs/pem.ts';
import { type AdminOptions, callAdmin, listAdmin, withAdmin } from './admin-client.ts';
import { CommandEnd, EXIT, print, runAction } from './output.ts';
import { subsystemCommand } from './registry.ts';

type ChangeOptions = AdminOptions & { dryRun?: true };

export function subsystemNoun(): Command {
  return subsystemCommand().addCommand(addCommand()).addCommand(listCommand()).addCommand(removeCommand());
}

function addCommand(): Command {
  const command = new Command('system-add')
    .description('let an information system speak for a subsystem of this server, by its client certificate')
    .argument('<subsystem>', 'INSTANCE/CLASS/MEMBER/SUBSYSTEM')
    .requiredOption('--certificate <file>', 'its certificate, PEM')
    .requiredOption('--name <name>', 'what people call the system')
    .option('--dry-run', 'print what would be registered, change nothing');
  return withAdmin(command).action(
    runAction(async (subsystem: string, options: ChangeOptions & { certificate: string; name: string }) => {
      const [leaf] = pemCertificates(readFileSync(options.certificate, 'utf8'));
      if (leaf === undefined)
        throw new CommandEnd(EXIT.usage, `${options.certificate} holds no certificate.\nNext: Name a PEM file.`);
      const system = { subsystem, name: options.name, certificateHash: certificateHash(leaf) };
      if (options.dryRun) print({ dryRun: true, ...system }, options);
      else print(await callAdmin(options, 'PUT', '/information-systems', system), options);
    }),
  );
}

function listCommand(): Command {
  const command = new Command('system-list')
    .description('list the information systems of this server')
    .argument('[subsystem]', 'only those of this subsystem');
  return withAdmin(command).action(
    runAction(async (subsystem: string | undefined, options: AdminOptions) => {
      const systems = await listAdmin(options, '/information-systems');
      const shown = systems.filter((one) => subsystem === undefined || one['subsystem'] === subsystem);
      print(shown, options, ['subsystem', 'name', 'certificateHash']);
    }),
  );
}

function removeCommand(): Command {
  const command = new Command('system-remove')
    .description('let an information system speak for a subsystem no longer, at once')
    .argument('<subsystem>', 'INSTANCE/CLASS/MEMBER/SUBSYSTEM')
    .argument(
      '<certificate-hash>',
      'as `accord subsystem system-list` shows it; last and behind -- where it begins with a dash',
    )
    .option('--dry-run', 'print what would be removed, change nothing');
  return withAdmin(command).action(
    runAction(async (subsystem: string, certificateHash: string, options: ChangeOptions) => {
      if (options.dryRun) {
        print({ dryRun: true, subsystem, certificateHash }, options);
        return;
      }
      await callAdmin(options, 'DELETE', `/information-systems/${encodeURIComponent(certificateHash)}/${subsystem}`);
      print({ subsystem, certificateHash, removed: true }, options);
    }),
  );
}
