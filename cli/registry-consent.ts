// `accord registry consent-service…|identity-provider…|official-keys…`: whose receipts the providers' servers believe, whose
// word they take for who a citizen is, and with which keys a department's officials sign. Each entry is a file; the registry judges it, and two approvers see every key in it.
import { Command } from 'commander';
import { isJsonObject } from '#schemas/json.ts';
import { print, runAction } from './output.ts';
import { confirm } from './passphrase.ts';
import { callRegistry, type RegistryCallOptions, withChange, withRegistry } from './registry-call.ts';

type ChangeOptions = RegistryCallOptions & { yes?: true };

interface Noun {
  /** Verbs are `NAME-set`, `NAME-remove`, `NAME-list`. */
  name: 'consent-service' | 'identity-provider' | 'official-keys';
  path: string;
  plural: string;
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
    path: '/consent-services',
    plural: 'consent services',
    what: 'a consent service: its subsystem, the keys of its receipts, where it is',
    members: '{subsystem, keys: [{kid, jwk}], statusUrl, citizenUrl}',
    argument: '<subsystem>',
    columns: ['subsystem', 'statusUrl', 'citizenUrl'],
    placeOf: (id) => id,
  },
  {
    name: 'identity-provider',
    path: '/identity-providers',
    plural: 'identity providers',
    what: 'an OpenID Connect provider that citizens sign in with',
    members: '{issuer, name, clientId, keys: [{kid, jwk}], scheme, claim, levels}',
    argument: '<issuer>',
    columns: ['issuer', 'clientId', 'scheme', 'claim', 'levels'],
    placeOf: encodeURIComponent,
  },
  {
    name: 'official-keys',
    path: '/official-keys',
    plural: 'keys of officials',
    what: "the keys of a subsystem's officials: what they sign evidence and emergencies with",
    members: '{subsystem, keys: [{kid, jwk}]}',
    argument: '<subsystem>',
    columns: ['subsystem', 'keys'],
    placeOf: (id) => id,
  },
];

export function consentCommands(): Command[] {
  return NOUNS.flatMap(({ name, path, plural, what, members, argument, columns, placeOf }) => {
    const set = new Command(`${name}-set`)
      .description(`register ${what}; replaces an earlier registration`)
      .argument('<file>', `YAML or JSON: ${members}`);
    const list = new Command(`${name}-list`).description(`registered ${plural}`);
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
