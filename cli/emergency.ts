// `accord emergency open|confirm|show|review|list`: an emergency from its beginning to its review (docs/emergency.md). Two
// officials of two units sign the same terms, each with the own key (official-file.ts); the tokens go with the look-ups;
// a third official reviews it at the registry. Whoever wrote a token file controls its text until its signature is checked,
// which the providers' servers and the registry do.
import { writeFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { readEvidence, signEmergencyEvidence, signEmergencyReview } from '#certs/evidence.ts';
import { systemClock } from '#core/clock.ts';
import { newMessageId } from '#core/message-id.ts';
import type { EmergencyEvidence, Official } from '#schemas/evidence.ts';
import { isJsonObject } from '#schemas/json.ts';
import { EMERGENCY_LIFETIME_MS, MAX_EMERGENCY_PERSONS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { readSecretFile } from './argument-secrets.ts';
import { askRegistry, type PublicRegistryOptions, requireRegistry, withPublicRegistry } from './emergency-registry.ts';
import { openOfficialKey, readOfficialFile } from './official-file.ts';
import { collectWords, wholeNumber } from './option-values.ts';
import { CommandEnd, EXIT, type OutputOptions, outputFormat, print, runAction, withOutput } from './output.ts';
import { confirm, PASSPHRASE_VARIABLE, type PassphraseOptions, passphraseOption } from './passphrase.ts';
import { listRegistry, type RegistryCallOptions, withRegistry } from './registry-call.ts';

interface SignerOptions extends OutputOptions, PassphraseOptions {
  official: string;
  yes?: true;
}

interface OpenOptions extends SignerOptions {
  client: string;
  purpose: string;
  service: string[];
  persons: string;
  reason: string;
  hours: string;
  out: string;
}

interface ReviewOptions extends SignerOptions, PublicRegistryOptions {
  client?: string;
  evidence?: string[];
  finding: 'justified' | 'not-justified';
  text: string;
}

export function emergencyCommand(): Command {
  const emergency = new Command('emergency').description('emergencies: two officials open one, a third reviews it');
  withSigner(emergency.command('open').description('make the token by which the first official opens an emergency'))
    .requiredOption('--client <subsystem>', 'subsystem of the department that will ask')
    .requiredOption('--purpose <purpose>', 'purpose that the access rights name')
    .requiredOption('--service <id>', 'services that may be asked, comma-separated or repeated', collectWords)
    .requiredOption('--persons <number>', `how many persons at each provider, at most ${MAX_EMERGENCY_PERSONS}`)
    .requiredOption('--reason <text>', 'what happened: the citizen and the review read it')
    .option('--hours <number>', 'how long, at most 2', '2')
    .option('--out <file>', 'the token', 'emergency.opens.jws')
    .action(runAction(openEmergency));
  withSigner(emergency.command('confirm').description('show what the first official opened, and confirm it'))
    .argument('<file>', 'the token of the first official')
    .option('--out <file>', 'the second token', 'emergency.confirms.jws')
    .action(runAction(confirmEmergency));
  withOutput(emergency.command('show').description('say what the tokens of an emergency say; verifies no signature'))
    .argument('<file...>', 'one token or both')
    .action(runAction(show));
  const review = emergency.command('review').description('sign what a third official found, and hand it in');
  withPublicRegistry(withSigner(review))
    .argument('[id]', 'id of the emergency; by default that of --evidence')
    .option('--client <subsystem>', 'whose emergency it is; by default that of --evidence')
    .option('--evidence <file...>', 'both tokens: they are reported to the registry first')
    .addOption(
      new Option('--finding <finding>', 'what was found').choices(['justified', 'not-justified']).makeOptionMandatory(),
    )
    .requiredOption('--text <text>', 'why')
    .action(runAction(reviewEmergency));
  const list = emergency.command('list').description('emergencies that wait for a review, or (auditors) all of them');
  withPublicRegistry(withRegistry(list))
    .option('--client <subsystem>', 'what this subsystem owes, from the public port; without it all, by an API key')
    .action(runAction(listEmergencies));
  return emergency;
}

function withSigner(command: Command): Command {
  return withOutput(command)
    .requiredOption('--official <file>', 'JSON file of the official who signs: id, name, unit, key')
    .addOption(passphraseOption(PASSPHRASE_VARIABLE))
    .option('--yes', 'do not ask');
}

async function openEmergency(options: OpenOptions): Promise<void> {
  const lasts = Number(options.hours) * 3600;
  if (!(lasts >= 60 && lasts * 1000 <= EMERGENCY_LIFETIME_MS)) {
    throw new CommandEnd(EXIT.usage, `--hours ${options.hours}: more than 0, at most 2.`);
  }
  const nowMs = systemClock.nowMs();
  const iat = Math.floor(nowMs / 1000);
  const signer = readOfficialFile(options.official);
  const claims: EmergencyEvidence = {
    v: 1,
    emergency: newMessageId(nowMs),
    iss: options.client,
    role: 'opens',
    official: signer.official,
    purpose: options.purpose,
    services: options.service,
    persons: wholeNumber(options.persons, '--persons'),
    reason: options.reason,
    iat,
    nbf: iat,
    exp: iat + Math.floor(lasts),
  };
  await agree(claims, 'Sign this as who opens it?', options);
  writeToken(options.out, signEmergencyEvidence(claims, await openOfficialKey(signer, options)));
  print({ emergency: claims.emergency, token: options.out, until: at(claims.exp) }, options);
}

async function confirmEmergency(file: string, options: SignerOptions & { out: string }): Promise<void> {
  const opened = readHalf(file);
  const signer = readOfficialFile(options.official);
  const nowS = Math.floor(systemClock.nowMs() / 1000);
  if (opened.role !== 'opens') throw new CommandEnd(EXIT.usage, `${file} is not the token of who opens it.`);
  if (opened.exp <= nowS) throw new AccordError('EMERGENCY_ENDED', opened.emergency);
  requireOther(opened.official, signer.official);
  await agree(opened, 'Confirm this emergency?', options);
  const claims: EmergencyEvidence = { ...opened, role: 'confirms', official: signer.official, iat: nowS };
  writeToken(options.out, signEmergencyEvidence(claims, await openOfficialKey(signer, options)));
  print({ emergency: claims.emergency, token: options.out, until: at(claims.exp) }, options);
}

/** The providers judge it more strictly; this spares an official a useless signature. */
function requireOther(one: Official, other: Official): void {
  const same = (a: string, b: string) =>
    a.normalize('NFKC').trim().toLowerCase() === b.normalize('NFKC').trim().toLowerCase();
  if (same(one.id, other.id) || same(one.unit, other.unit)) {
    throw new CommandEnd(
      EXIT.precondition,
      'Two people of two units are needed.\nNext: Let an official of another unit confirm it.',
    );
  }
}

/** On standard error, so that the output stays the command's own. */
async function agree(claims: EmergencyEvidence, question: string, options: SignerOptions): Promise<void> {
  const lines = Object.entries(inWords(claims)).map(([name, value]) => `${name.padEnd(10)} ${String(value)}\n`);
  process.stderr.write(lines.join(''));
  await confirm(question, options.yes);
}

function show(files: string[], options: OutputOptions): void {
  const halves = files.map(readHalf);
  for (const half of halves) if (outputFormat(options) === 'table') print(inWords(half), options);
  if (outputFormat(options) !== 'table') print(halves, options);
}

async function reviewEmergency(id: string | undefined, options: ReviewOptions): Promise<void> {
  const tokens = options.evidence?.map((file) => readSecretFile(file)) ?? [];
  const half = options.evidence?.[0] === undefined ? undefined : readHalf(options.evidence[0]);
  const [emergency, client] = [id ?? half?.emergency, options.client ?? half?.iss];
  if (emergency === undefined || client === undefined) {
    throw new CommandEnd(
      EXIT.usage,
      'Which emergency?\nNext: Give its id and --client, or --evidence with both tokens.',
    );
  }
  requireRegistry(options);
  const { finding, text } = options;
  const signer = readOfficialFile(options.official);
  process.stderr.write(
    `${signer.official.name} (${signer.official.unit}) finds ${emergency} of ${client} ${finding}: ${text}\n`,
  );
  await confirm('Sign this review?', options.yes);
  const iat = Math.floor(systemClock.nowMs() / 1000);
  const claims = { v: 1 as const, emergency, iss: client, official: signer.official, finding, text, iat };
  const token = signEmergencyReview(claims, await openOfficialKey(signer, options));
  if (tokens.length > 0) await askRegistry(options, 'emergencies', { v: 1, tokens, by: null });
  print(await askRegistry(options, `emergencies/${emergency}/reviews`, { v: 1, token }), options);
}

async function listEmergencies(
  options: RegistryCallOptions & PublicRegistryOptions & { client?: string },
): Promise<void> {
  const columns = ['emergency', 'subsystem', 'state', 'reviewDueAtMs'];
  if (options.client === undefined) return print(await listRegistry(options, '/emergencies'), options, columns);
  const answer = await askRegistry(options, `emergencies?subsystem=${encodeURIComponent(options.client)}`);
  print(isJsonObject(answer) ? answer['items'] : answer, options, columns);
}

/** @throws EVIDENCE_MALFORMED, KEY_FILE_MODE; CommandEnd (usage) for a token of another kind */
function readHalf(file: string): EmergencyEvidence {
  const read = readEvidence(readSecretFile(file));
  if (read.kind !== 'emergency') throw new CommandEnd(EXIT.usage, `${file} is no token of an emergency.`);
  return read.claims;
}

/** Never over an old one: it may be in use. */
function writeToken(file: string, token: string): void {
  writeFileSync(file, `${token}\n`, { mode: 0o600, flag: 'wx' });
}

function inWords({ role, emergency, iss, official, purpose, services, persons, reason, nbf, exp }: EmergencyEvidence) {
  const by = `${official.name} (${official.id}), ${official.unit}`;
  const terms = { emergency, department: iss, reason, purpose, services: services.join(', '), persons };
  return { [role]: by, ...terms, from: at(nbf), until: at(exp) };
}

function at(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}
