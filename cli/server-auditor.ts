// `accord server auditor-key`: makes the API key that opens the auditor's pages of a security server. The key goes into a file
// for the auditor; the server keeps its hash and knows it from its next start on.
import { join } from 'node:path';
import { Command } from 'commander';
import { addAuditorKey, FILES } from '#security-server/data-folder.ts';
import { type OutputOptions, print, runAction, withOutput } from './output.ts';

export function auditorKeyCommand(): Command {
  return withOutput(
    new Command('auditor-key')
      .description("make an API key for the auditor's pages; in force when the server is started again")
      .requiredOption('--dir <folder>', "the server's data folder")
      .requiredOption('--name <name>', 'who will hold it: stands in what is noted of its use'),
  ).action(
    runAction(async (options: OutputOptions & { dir: string; name: string }) => {
      addAuditorKey(options.dir, options.name);
      print({ name: options.name, role: 'auditor', keyFile: join(options.dir, FILES.auditorKey) }, options);
    }),
  );
}
