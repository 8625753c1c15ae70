// `accord config rotate-root`: the next root, when a root holder, an approver or the online key changes. `plan` writes a
// file, holders of the old and of the new root keys `sign` it (each on a machine of his own: copies of the file may
// travel), `publish` puts the signatures together and hands the root in. Nothing the registry or a mirror says is believed:
// every command follows the chain of roots from the anchor. A mirror that hides the newest root makes a plan that the
// registry refuses, nothing worse.
import { readFileSync, writeFileSync } from 'node:fs';
import { Command } from 'commander';
import { importPublicJwk, thumbprint } from '#certs/keys.ts';
import { assembleSigned, type DetachedSignature, parseSignature } from '#certs/multi-signature.ts';
import { systemClock } from '#core/clock.ts';
import { readAnchor } from '#core/configuration/anchor.ts';
import { gatherRootChain } from '#core/configuration/gather.ts';
import { type Holder, planRoot, signOne } from '#core/configuration/sign.ts';
import { readCanonical, type VerifiedRoot, verifyNextRoot } from '#core/configuration/verify.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { CONFIGURATION_TYP, RootConfiguration } from '#schemas/configuration.ts';
import { type JsonValue, parseJson } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import { Sha256 } from '#schemas/registrations.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';
import { holderOf, openHolderKey } from './config-keys.ts';
import { fromFirst } from './config-source.ts';
import { collect, personAndFile, wholeNumber } from './option-values.ts';
import { CommandEnd, EXIT, type OutputOptions, outputFormat, print, runAction, withOutput } from './output.ts';
import { confirm, PASSPHRASE_VARIABLE, type PassphraseOptions, passphraseOption } from './passphrase.ts';
import { callRegistry, type RegistryCallOptions, withChange } from './registry-call.ts';

const DAY_MS = 86_400_000;
const closed = { additionalProperties: false };
const Text = Type.String({ pattern: '^[A-Za-z0-9_-]+$', maxLength: 200_000 });
const PlanFile = Type.Object(
  {
    v: Type.Literal(1),
    payload: Text,
    signatures: Type.Array(Type.Object({ kid: Sha256, protected: Text, signature: Text }, closed), { maxItems: 64 }),
  },
  closed,
);
type PlanFile = Static<typeof PlanFile>;
const checkPlan = compile(PlanFile, 'CONFIGURATION_INVALID');
const readRoot = compile(RootConfiguration, 'CONFIGURATION_INVALID');

interface PlanOptions extends OutputOptions {
  anchor: string;
  from: string[];
  root: string[];
  approver: string[];
  freshness: string[];
  remove: string[];
  threshold?: string;
  days: string;
  out: string;
}

export function rotateRootCommand(): Command {
  const rotate = new Command('rotate-root').description('the next root: other holders, approvers, keys, thresholds');
  const from = (command: Command) =>
    command
      .requiredOption('--anchor <file>', 'configuration anchor')
      .option('--from <source>', 'folder or URL of the published configuration; default the anchor’s', collect, []);
  from(withOutput(rotate.command('plan').description('write a plan of the next root; what is not named stays')))
    .option('--root <person=file>', 'a further root holder: key file or public key; repeatable', collect, [])
    .option('--approver <person=file>', 'a further approver; repeatable', collect, [])
    .option('--freshness <file>', 'a further online key; repeatable', collect, [])
    .option('--remove <person or kid>', 'a person, or one key, that ends in every role; repeatable', collect, [])
    .option('--threshold <n>', 'root holders who must sign a root; default as before')
    .option('--days <n>', 'how long the root is valid', '365')
    .requiredOption('--out <file>', 'the plan')
    .action(runAction(plan));
  from(withOutput(rotate.command('sign <plan>').description('show what the plan changes, and sign it')))
    .requiredOption('--key <file>', "a root holder's key file, of the old root or the new one")
    .option('--out <file>', 'write the signed plan there; default into the plan itself')
    .option('--yes', 'sign without asking')
    .addOption(passphraseOption(PASSPHRASE_VARIABLE))
    .action(runAction(sign));
  from(
    withChange(rotate.command('publish <plan...>').description('put signed copies of one plan together, hand it in')),
  ).action(runAction(publish));
  return rotate;
}

/** The newest root that the chain from the anchor leads to. */
async function newestRoot({ anchor: file, from }: Pick<PlanOptions, 'anchor' | 'from'>): Promise<VerifiedRoot> {
  const anchor = readAnchor(readFileSync(file));
  return fromFirst(from.length > 0 ? from : anchor.urls, (fetch) => gatherRootChain(fetch, anchor));
}

async function plan(options: PlanOptions): Promise<void> {
  const previous = await newestRoot(options);
  const { instance, keys, roles } = previous.document;
  const gone = new Set(options.remove);
  for (const each of gone) {
    const known = keys[each] !== undefined || Object.values(keys).some(({ person }) => person === each);
    if (!known) throw new CommandEnd(EXIT.usage, `--remove ${each}: the root names no such person or key.`);
  }
  const kept = (kids: readonly string[]): Holder[] =>
    kids.flatMap((kid) => {
      const key = keys[kid];
      if (!key || gone.has(kid) || gone.has(key.person)) return [];
      return [{ key: importPublicJwk(key.jwk as JsonValue, 'sig'), person: key.person }];
    });
  const added = (list: readonly string[]): Holder[] =>
    list.map(personAndFile).map(({ person, file }) => ({ person, key: holderOf(file) }));
  const payload = planRoot({
    instance,
    previous,
    rootKeys: [...kept(roles.root.kids), ...added(options.root)],
    rootThreshold:
      options.threshold === undefined ? roles.root.threshold : wholeNumber(options.threshold, '--threshold'),
    approvers: [...kept(roles.content.kids), ...added(options.approver)],
    freshness: [...kept(roles.freshness.kids), ...added(options.freshness.map((file) => `registry=${file}`))],
    expiresAtMs: systemClock.nowMs() + wholeNumber(options.days, '--days') * DAY_MS,
  });
  writePlan(options.out, { v: 1, payload: payload.toString('base64url'), signatures: [] }, 'wx');
  print({ plan: options.out, ...summaryOf(rootIn(payload), previous) }, options);
}

async function sign(
  file: string,
  options: PlanOptions & PassphraseOptions & { key: string; yes?: true },
): Promise<void> {
  const previous = await newestRoot(options);
  const read = readPlan(file);
  const payload = fromBase64url(read.payload);
  const root = rootIn(payload);
  requireSuccessor(root, previous);
  const shown = summaryOf(root, previous);
  if (outputFormat(options) === 'table') print(shown, options);
  await confirm(`Sign root ${root.version} of ${root.instance}?`, options.yes);
  const key = await openHolderKey(options.key, options, 'Passphrase of the root holder: ');
  const kid = thumbprint(key);
  if (![...previous.document.roles.root.kids, ...root.roles.root.kids].includes(kid)) {
    throw new AccordError(
      'SIGNED_FILE_SIGNATURE_WRONG',
      `${kid} is no root key, neither of the old root nor of the new`,
    );
  }
  const signatures = [...read.signatures.filter((one) => one.kid !== kid), signOne('root', payload, key)];
  writePlan(options.out ?? file, { ...read, signatures }, options.out === undefined ? 'w' : 'wx');
  const signedBy = signatures.map((one) => one.kid);
  print({ plan: options.out ?? file, signedBy, ...(outputFormat(options) !== 'table' && shown) }, options);
}

async function publish(files: string[], options: PlanOptions & RegistryCallOptions): Promise<void> {
  const previous = await newestRoot(options);
  const plans = files.map(readPlan);
  const [first] = plans;
  if (!first || plans.some(({ payload }) => payload !== first.payload)) {
    throw new CommandEnd(EXIT.usage, 'The files are copies of different plans.\nNext: Let all sign the same plan.');
  }
  const payload = fromBase64url(first.payload);
  requireSuccessor(rootIn(payload), previous);
  const byKid = new Map(plans.flatMap(({ signatures }) => signatures).map((one) => [one.kid, one] as const));
  for (const one of byKid.values()) parseSignature(payload, one, CONFIGURATION_TYP.root);
  const file = assembleSigned(payload, [...byKid.values()] as DetachedSignature[]);
  verifyNextRoot(file, previous);
  print(await callRegistry(options, 'POST', '/configuration/roots', { file: file.toString('base64url') }), options);
}

function requireSuccessor(root: RootConfiguration, previous: VerifiedRoot): void {
  if (root.instance !== previous.document.instance) throw new AccordError('CONFIGURATION_INSTANCE', 'plan');
  if (root.version !== previous.document.version + 1) {
    throw new AccordError('CONFIGURATION_ROLLBACK', `root ${previous.document.version} is in force; plan again`);
  }
  if (root.previousHash !== previous.hash)
    throw new AccordError('CONFIGURATION_FORKED', 'the plan follows another root');
}

/** Who comes, who goes, and who may sign, in words that a holder can judge. */
function summaryOf(root: RootConfiguration, { document: before }: VerifiedRoot): object {
  const lines = (of: RootConfiguration) =>
    (['root', 'content', 'freshness'] as const).flatMap((role) =>
      of.roles[role].kids.map((kid) => `${role === 'content' ? 'approver' : role} ${of.keys[kid]?.person} ${kid}`),
    );
  const [old, next] = [lines(before), lines(root)];
  return {
    instance: root.instance,
    version: root.version,
    expires: new Date(root.expiresAtMs).toISOString(),
    added: next.filter((line) => !old.includes(line)),
    removed: old.filter((line) => !next.includes(line)),
    needs: [
      `${before.roles.root.threshold} holders of root ${before.version}`,
      `${root.roles.root.threshold} holders of root ${root.version}`,
    ],
  };
}

function rootIn(payload: Buffer): RootConfiguration {
  return readRoot(readCanonical(payload));
}

function readPlan(file: string): PlanFile {
  return checkPlan(parseJson(readFileSync(file)));
}

function writePlan(file: string, content: PlanFile, flag: 'w' | 'wx'): void {
  writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`, { flag });
}
