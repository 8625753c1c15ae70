// `accord config approve`: an approver looks at what a draft changes and signs it with a key that never leaves this
// machine. Nothing the registry says is believed: the content before is verified from the anchor, every part of the
// draft is checked against the hash in the bytes that are signed, and the changes are worked out here.
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { systemClock } from '#core/clock.ts';
import { readAnchor } from '#core/configuration/anchor.ts';
import { type ConfigurationChange, changesBetween } from '#core/configuration/changes.ts';
import { requireWholeDictionary } from '#core/configuration/dictionary-parts.ts';
import { requireConfirmed } from '#core/configuration/distrust.ts';
import { type Part, type PublishedSet, verifyPublished } from '#core/configuration/gather.ts';
import { type PartIndex, readPart, requirePart } from '#core/configuration/parts.ts';
import { signOne } from '#core/configuration/sign.ts';
import { checkContentRules, readCanonical, readUnverifiedFreshness } from '#core/configuration/verify.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { type ConfigurationAnchor, ContentConfiguration, MAX_SIGNED_FILE_BYTES } from '#schemas/configuration.ts';
import { isJsonObject, type JsonValue } from '#schemas/json.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { compile } from '#schemas/validate.ts';
import { openHolderKey } from './config-keys.ts';
import { fromFirst } from './config-source.ts';
import { outputFormat, print, runAction } from './output.ts';
import { confirm, PASSPHRASE_VARIABLE, type PassphraseOptions, passphraseOption } from './passphrase.ts';
import { callRegistry, type RegistryCallOptions, withChange } from './registry-call.ts';

type ApproveOptions = RegistryCallOptions &
  PassphraseOptions & { key: string; anchor: string; draft?: string; yes?: true };

const readContent = compile(ContentConfiguration, 'CONFIGURATION_INVALID');

export function approveCommand(): Command {
  return withChange(new Command('approve').description('show what a draft changes, and sign it'))
    .requiredOption('--key <file>', "the approver's key file")
    .requiredOption('--anchor <file>', 'configuration anchor')
    .option('--draft <version>', 'which draft; default the newest')
    .option('--yes', 'sign without asking')
    .addOption(passphraseOption(PASSPHRASE_VARIABLE))
    .action(runAction(approve));
}

async function approve(options: ApproveOptions): Promise<void> {
  const anchor = readAnchor(readFileSync(options.anchor));
  const before = await publishedBefore(anchor);
  const version = options.draft ?? (await newestDraft(options));
  const draft = await callRegistry(options, 'GET', `/configuration/drafts/${version}`);
  const payload = fromBase64url(textOf(draft, 'payload'));
  const content = readContent(readCanonical(payload));
  requireSuccessor(content, anchor, before);
  const after = await partsOfDraft(options, content, before?.parts ?? new Map());
  const changes = [
    ...distrustChanges(content, before),
    ...changesBetween(
      [...(before?.parts.values() ?? [])].map(({ index }) => index),
      after,
    ),
  ];
  if (outputFormat(options) === 'table') {
    process.stdout.write(`Content ${content.version} of ${content.instance} changes:\n`);
    print(changes, options, ['change', 'kind', 'id']);
  }
  if (options.dryRun) {
    if (outputFormat(options) !== 'table') print({ version: content.version, changes }, options);
    return;
  }
  await confirm(`Sign content ${content.version}?`, options.yes);
  const key = await openHolderKey(options.key, options, 'Passphrase of the approver: ');
  const path = `/configuration/drafts/${content.version}/signatures`;
  const answer = await callRegistry(options, 'POST', path, signOne('content', payload, key));
  const [state, signedBy] = [textOf(answer, 'state'), isJsonObject(answer) ? answer['signedBy'] : []];
  print({ version: content.version, state, signedBy, changes: changes.length }, options);
}

/** The content in force, verified; undefined when nothing was ever published. */
async function publishedBefore(anchor: ConfigurationAnchor): Promise<PublishedSet | undefined> {
  try {
    return await fromFirst(anchor.urls, async (fetch) => {
      // What was published last may have expired long ago, and a successor is then needed most: it is judged as of the
      // moment its freshness was signed, and only compared with.
      const news = await fetch.get('freshness.jws', MAX_SIGNED_FILE_BYTES);
      const signedAtMs = news === 'unchanged' ? 0 : readUnverifiedFreshness(news.bytes).signedAtMs;
      return verifyPublished(fetch, anchor, Math.min(systemClock.nowMs(), signedAtMs), 'root of its day');
    });
  } catch (error) {
    // A registry that hides what it published would show everything as added; that is seen by whoever approves.
    if (isAccordError(error, 'CONFIGURATION_UNAVAILABLE')) return undefined;
    throw error;
  }
}

function requireSuccessor(
  content: ContentConfiguration,
  anchor: ConfigurationAnchor,
  before: PublishedSet | undefined,
): void {
  if (content.instance !== anchor.instance) throw new AccordError('CONFIGURATION_INSTANCE', 'draft');
  if (before) {
    checkContentRules(content, before.root);
    requireConfirmed(content, before.distrust);
    if (content.previous?.hash !== before.content.hash) throw new AccordError('DRAFT_SUPERSEDED', `${content.version}`);
  }
  const nowMs = systemClock.nowMs();
  if (content.expiresAtMs <= nowMs) throw new AccordError('CONFIGURATION_EXPIRED', 'draft');
}

/** What the content says of distrust: statements that two approvers now confirm, or lift. */
function distrustChanges(content: ContentConfiguration, before: PublishedSet | undefined): ConfigurationChange[] {
  const entries = before?.distrust?.entries ?? [];
  const was = before?.content.document;
  const id = ({ statement, hash }: (typeof entries)[number]) => `${statement.value} ${hash}`;
  const confirmed = entries.slice(was?.distrust?.version ?? 0, content.distrust?.version ?? 0);
  const lifted = new Set(content.distrustLifted);
  const liftedBefore = new Set(was?.distrustLifted);
  return [
    ...confirmed.map((each): ConfigurationChange => ({ change: 'added', kind: 'distrust', id: id(each) })),
    ...entries.flatMap((each): ConfigurationChange[] => {
      if (lifted.has(each.hash) === liftedBefore.has(each.hash)) return [];
      return [{ change: lifted.has(each.hash) ? 'removed' : 'added', kind: 'distrust', id: id(each) }];
    }),
  ];
}

async function partsOfDraft(
  options: ApproveOptions,
  content: ContentConfiguration,
  known: ReadonlyMap<string, Part>,
): Promise<PartIndex[]> {
  const parts: PartIndex[] = [];
  for (const [name, hash] of Object.entries(content.parts)) {
    const held = known.get(hash);
    if (held) {
      parts.push(held.index);
      continue;
    }
    const bytes = fromBase64url(textOf(await callRegistry(options, 'GET', `/configuration/parts/${hash}`), 'part'));
    requirePart(name, bytes, hash);
    parts.push(readPart(name, bytes, content.instance));
  }
  requireWholeDictionary(parts);
  return parts;
}

async function newestDraft(options: ApproveOptions): Promise<string> {
  const shown = await callRegistry(options, 'GET', '/configuration');
  const draft = isJsonObject(shown) ? shown['draft'] : undefined;
  if (!isJsonObject(draft)) throw new AccordError('DRAFT_UNKNOWN', 'there is no draft yet');
  return String(draft['version']);
}

function textOf(value: JsonValue, name: string): string {
  const text = isJsonObject(value) ? value[name] : undefined;
  if (typeof text !== 'string') throw new AccordError('SCHEMA_MISMATCH', `the registry's answer has no ${name}`);
  return text;
}
