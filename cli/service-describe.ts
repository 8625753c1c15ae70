// `accord service describe ID FILE`: keeps the OpenAPI document of a service at its security server, which hands it out to
// systems that speak X-Road's protocol (getOpenAPI) and lists its endpoints (listMethods). Only the document that is
// registered under the service's name is ever shown.
import { Command } from 'commander';
import { type AdminOptions, callAdmin, withAdmin } from './admin-client.ts';
import { print, runAction } from './output.ts';

export function describeCommand(): Command {
  const command = new Command('describe')
    .description('give this security server the OpenAPI document that is registered for a service')
    .argument('<id>', 'INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE')
    .argument('<file>', 'its OpenAPI 3 document, YAML or JSON')
    .option('--dry-run', 'read the document, change nothing');
  return withAdmin(command).action(
    runAction(async (id: string, file: string, options: AdminOptions & { dryRun?: true }) => {
      // Loaded here, because every other verb of this noun does without.
      const { readDocumentFile } = await import('./document-file.ts');
      const { document } = readDocumentFile(file);
      if (options.dryRun) print({ dryRun: true, id, openapi: document['openapi'] ?? null }, options);
      else print(await callAdmin(options, 'PUT', `/service-descriptions/${id}`, document), options);
    }),
  );
}
