// `accord registry consent-service…|identity-provider…`: whose receipts the providers' servers believe, and whose word they
// take for who a citizen is. Each entry is a file; the registry judges it, and two approvers see every key in it.
import { Command } from 'commander';
import { isJsonObject } from '#schemas/json.ts';
import { print, runAction } from './output.ts';
import { confirm } from './passphrase.ts';
import { callRegistry, type RegistryCallOptions, withChange, withRegistry } from './registry-call.ts';

type ChangeOptions = RegistryCallOptions & { yes?: true };

interface Noun {
  /** Verbs are `NAME-set`, `NAME-remove`, `NAME-list`; the path is `/NAMEs`. */
  name: 'consent-service' | 'identity-provider';
  what: string;
  members: string;
  argument: string;
  columns: readonly string[];
  /** Its place below the path. */
  placeOf: (id: string) => string;
}

const NOUNS: readonly Noun[] = [
  {
    name: 'consent-service',
    what: 'a consent service: its subsystem, the keys of its receipts, where it is',
    members: '{subsystem, keys: [{kid, jwk}], statusUrl, citizenUrl}',
    argument: '<subsystem>',
    columns: ['subsystem', 'statusUrl', 'citizenUrl'],
    placeOf: (id) => id,
  },
  {
    name: 'identity-provider',
    what: 'an OpenID Connect provider that citizens sign in with',
    members: '{issuer, name, clientId, keys: [{kid, jwk}], scheme, claim, levels}',
    argument: '<issuer>',
    columns: ['issuer', 'clientId', 'scheme', 'claim', 'levels'],
    placeOf: encodeURIComponent,
  },
];

export function consentCommands(): Command[] {
  return NOUNS.flatMap(({ name, what, members, argument, columns, placeOf }) => {
    const path = `/${name}s`;
    const set = new Command(`${name}-set`)
      .description(`register ${what}; replaces an earlier registration`)
      .argument('<file>', `YAML or JSON: ${members}`);
    const list = new Command(`${name}-list`).description(`registered ${name.replace('-', ' ')}s`);
    const remove = new Command(`${name}-remove`)
      .description(`remove ${what.split(':')[0]}`)
      .argument(argument)
      .option('--yes', 'do not ask');
    return [
      withChange(set).action(
        runAction(async (file: string, options: RegistryCallOptions) => {
          const { readDocumentFile } = await import('./document-file.ts');
          print(await callRegistry(options, 'POST', path, readDocumentFile(file).document), options);
        }),
      ),
      withRegistry(list).action(
        runAction(async (options: RegistryCallOptions) => {
          const answer = await callRegistry(options, 'GET', path);
          print(isJsonObject(answer) ? answer['items'] : answer, options, columns);
        }),
      ),
      withChange(remove).action(
        runAction(async (id: string, options: ChangeOptions) => {
          if (!options.dryRun) await confirm(`Remove ${name.replace('-', ' ')} ${id}?`, options.yes);
          print(await callRegistry(options, 'DELETE', `${path}/${placeOf(id)}`), options);
        }),
      ),
    ];
  });
}
