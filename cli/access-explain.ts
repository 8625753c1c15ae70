// `accord access explain`: which access right of this provider decides a request, and what each of the others lacks. Asked
// of the provider's own server, which judges as it would a real request and asks nobody.
import { Command, Option } from 'commander';
import type { EndpointRule } from '#schemas/access-right.ts';
import type { Explained, ExplainInput } from '#security-server/admin/explain.ts';
import { type AdminOptions, callAdmin, withAdmin } from './admin-client.ts';
import { collectWords } from './option-values.ts';
import { CommandEnd, EXIT, outputFormat, print, runAction } from './output.ts';

interface ExplainOptions extends AdminOptions {
  client: string;
  service: string;
  endpoint?: EndpointRule[];
  field?: string[];
  partial?: true;
  purpose?: string;
  basis: ExplainInput['basis'];
  userId?: string;
  issue?: string;
}

/** @param collectEndpoint reads METHOD PATH, as `accord access grant` does */
export function explainCommand(collectEndpoint: (text: string, before?: EndpointRule[]) => EndpointRule[]): Command {
  const command = new Command('explain')
    .description('say which access right decides a request, and what the others lack')
    .requiredOption('--client <id>', 'who would ask: INSTANCE/CLASS/MEMBER/SUBSYSTEM')
    .requiredOption('--service <id>', 'which service: INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE')
    .option('--endpoint <rule>', "method and path, 'GET /residents/7'; else every operation", collectEndpoint)
    .option('--field <list>', 'paths, elements or predicates, comma-separated; repeatable', collectWords)
    .option('--partial', 'what is not permitted may be left out')
    .option('--purpose <purpose>', 'purpose that would be named')
    .addOption(
      new Option('--basis <basis>', 'legal basis').choices(['open', 'law', 'consent', 'emergency']).default('open'),
    )
    .option('--user-id <id>', 'for the bases law and emergency: the official who would ask')
    .option('--issue <case>', 'for the basis law: the case number');
  return withAdmin(command).action(runAction(explain));
}

async function explain(options: ExplainOptions): Promise<void> {
  const { client, service, endpoint = [], field, partial, purpose, basis, userId, issue } = options;
  const [rule, second] = endpoint;
  if (second !== undefined || rule?.method === '*') {
    throw new CommandEnd(
      EXIT.usage,
      "One request has one endpoint.\nNext: Write it like --endpoint 'GET /residents/7'.",
    );
  }
  const input = {
    client,
    service,
    endpoint: rule ?? null,
    fields: field ?? null,
    partial: partial ?? false,
    purpose: purpose ?? null,
    basis,
    userId: userId ?? null,
    issue: issue ?? null,
  };
  const { items } = (await callAdmin(options, 'POST', '/access-rights/explain', input)) as unknown as {
    items: Explained[];
  };
  print(outputFormat(options) === 'table' ? items.flatMap((item) => rows(item, client)) : items, options);
}

const ASSUMED = {
  official: ' (if the official signs this very request)',
  emergency: ' (if two officials have opened an emergency for it)',
};

/** One line for each access right, the one that decides marked. */
function rows(
  { method, path, code, detail, rightId, release, rights, consentAssumed, evidenceAssumed }: Explained,
  client: string,
) {
  const request = `${method} ${path}`;
  const note = consentAssumed ? ' (if the citizen agrees)' : evidenceAssumed === null ? '' : ASSUMED[evidenceAssumed];
  const listed = (items: { path: string | null; element: string }[] = []) =>
    items.map((one) => (one.path === null ? one.element : `${one.path} (${one.element})`)).join('\n');
  const none = {
    request,
    right: '(none)',
    decides: 'yes',
    says: `${code} ${detail}`.trim(),
    permitted: '',
    omitted: '',
  };
  const lines = rights.map((right) => {
    const decides = right.id === rightId;
    return {
      request,
      right: right.client === client ? right.id : `${right.id}\nthrough ${right.client}`,
      decides: decides ? 'yes' : '',
      says: `${decides ? code : right.code} ${decides ? detail : right.detail}`.trim() + (decides ? note : ''),
      permitted: decides ? listed(release?.asked) : '',
      omitted: decides ? listed(release?.omitted) : '',
    };
  });
  return rightId === null ? [none, ...lines] : lines;
}
