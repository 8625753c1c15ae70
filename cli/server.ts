// `accord server`: a security server from its making to its registration. Verbs of five files under one noun.
import { Command } from 'commander';
import { type AdminOptions, callAdmin, withAdmin } from './admin-client.ts';
import { print, runAction } from './output.ts';
import { serverCommand } from './registry.ts';
import { auditorKeyCommand } from './server-auditor.ts';
import { serverInitCommand, serverStartCommand } from './server-init.ts';
import { reloadKeysCommand, rotateEncryptionKeyCommand, rotateSubjectKeyCommand } from './server-keys.ts';
import { announceMaintenanceCommand, maintenanceCommand } from './server-maintenance.ts';
import { initWitnessCommand } from './server-witness.ts';

export function serverNoun(): Command {
  const server = new Command('server')
    .addCommand(serverInitCommand())
    .addCommand(serverStartCommand())
    .addCommand(initWitnessCommand())
    .addCommand(auditorKeyCommand());
  server.addCommand(statusCommand()).addCommand(reloadKeysCommand());
  server.addCommand(maintenanceCommand()).addCommand(announceMaintenanceCommand());
  server.addCommand(rotateEncryptionKeyCommand()).addCommand(rotateSubjectKeyCommand());
  for (const command of serverCommand().commands) server.addCommand(command);
  return server;
}

function statusCommand(): Command {
  const command = new Command('status').description('log, configuration and load of a running security server');
  return withAdmin(command).action(
    runAction(async (options: AdminOptions) => print(await callAdmin(options, 'GET', '/status'), options)),
  );
}
