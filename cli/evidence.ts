// `accord evidence show FILE…`: what tokens of officials say (schemas/evidence.ts), and whether they are genuine by the keys
// of a verified configuration or by public keys in files. Whoever made the files controls their text.
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { isSignedBy, type OfficialKey, type ReadEvidence, readEvidence, verifyEmergencyPair } from '#certs/evidence.ts';
import { exportPublicJwk, importPublicJwk, thumbprint } from '#certs/keys.ts';
import { systemClock } from '#core/clock.ts';
import { readAnchor } from '#core/configuration/anchor.ts';
import { buildSnapshot } from '#core/configuration/build-snapshot.ts';
import { verifyPublished } from '#core/configuration/gather.ts';
import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';
import { type JsonValue, parseJson } from '#schemas/json.ts';
import { isAccordError } from '#schemas/problems.ts';
import { readSecretFile } from './argument-secrets.ts';
import { fromFirst } from './config-source.ts';
import { CommandEnd, EXIT, type OutputOptions, outputFormat, print, runAction, withOutput } from './output.ts';

interface ShowOptions extends OutputOptions {
  key?: string[];
  config?: string;
  anchor?: string;
}

export function evidenceCommand(): Command {
  const evidence = new Command('evidence').description('what officials signed: read it, verify it');
  withOutput(evidence.command('show'))
    .description('say what tokens say, and by --key or --config whether they are genuine')
    .argument('<file...>', 'token of an official, or both tokens of an emergency')
    .option('--key <file...>', 'public key of the officials (JWK), as `accord key export --format jwk` writes it')
    .option('--config <source>', 'folder or URL of a published configuration, whose keys count')
    .option('--anchor <file>', 'configuration anchor, with --config')
    .action(runAction(show));
  return evidence;
}

async function show(files: string[], options: ShowOptions): Promise<void> {
  const tokens = files.map((file) => readSecretFile(file));
  const read = tokens.map((token) => readEvidence(token));
  const keysOf = await keySource(options);
  const rows = read.map((one, at) => {
    const keys = keysOf?.(one.claims.iss);
    const genuine = keys === undefined ? null : isSignedBy(tokens[at] ?? '', keys);
    return { ...one, genuine };
  });
  const isPair = rows.length === 2 && rows.every(({ kind }) => kind === 'emergency');
  const pair = isPair && keysOf !== null ? pairVerdict(tokens, keysOf(rows[0]?.claims.iss ?? '')) : null;
  if (outputFormat(options) !== 'table') print({ tokens: rows, ...(pair !== null && { pair }) }, options);
  else for (const row of rows) print(inWords(row), options);
  if (rows.some(({ genuine }) => genuine === false)) {
    throw refused(
      'No key given here signed it',
      'Do not use it; ask for the keys that the registry has for this department.',
    );
  }
  if (pair === false) {
    throw refused('The two are no emergency', 'Two people of two units sign the same terms: one opens, one confirms.');
  }
}

/** By subsystem; null when nothing was given to verify with. */
async function keySource({ key, config, anchor }: ShowOptions): Promise<((id: string) => OfficialKey[]) | null> {
  if ((config === undefined) !== (anchor === undefined)) {
    throw new CommandEnd(EXIT.usage, 'A configuration is believed by its anchor.\nNext: Give --config and --anchor.');
  }
  const given = key?.map(readPublicKey) ?? [];
  const snapshot = config === undefined || anchor === undefined ? null : await snapshotOf(config, anchor);
  if (key === undefined && snapshot === null) return null;
  return (id) => [...given, ...(snapshot?.officialKeys(id) ?? [])];
}

async function snapshotOf(source: string, anchor: string): Promise<ConfigurationSnapshot> {
  const trusted = readAnchor(readFileSync(anchor));
  const nowMs = systemClock.nowMs();
  const { content, parts, distrust, root, locks } = await fromFirst([source], (fetch) =>
    verifyPublished(fetch, trusted, nowMs),
  );
  const indexes = [...parts.values()].map(({ index }) => index);
  return buildSnapshot(content, indexes, distrust, root, locks);
}

/** @throws KEY_MALFORMED, KEY_UNSUITABLE */
function readPublicKey(file: string): OfficialKey {
  const document = parseJson(readFileSync(file), { maxBytes: 16_384, maxDepth: 4, maxValues: 32 });
  const { kty, crv, x, y } = document as Record<string, JsonValue>;
  const publicKey = importPublicJwk({ kty, crv, x, y } as JsonValue, 'sig');
  return { kid: thumbprint(publicKey), jwk: exportPublicJwk(publicKey) };
}

function pairVerdict(tokens: readonly string[], keys: readonly OfficialKey[]): boolean {
  try {
    verifyEmergencyPair(tokens, keys);
    return true;
  } catch (error) {
    if (isAccordError(error)) return false;
    throw error;
  }
}

function inWords({ kind, kid, claims, genuine }: ReadEvidence & { genuine: boolean | null }) {
  const { name, id, unit } = claims.official;
  const by = `${name} (${id}), ${unit}, of ${claims.iss}`;
  const judged = {
    genuine: genuine === null ? 'not checked: give --key or --config' : genuine ? 'yes' : 'NO',
    key: kid,
  };
  const at = (seconds: number) => new Date(seconds * 1000).toISOString();
  if (kind === 'official') {
    const { issue, request, iat, exp, jti } = claims;
    return { says: 'asks', by, case: issue, request, made: at(iat), until: at(exp), id: jti, ...judged };
  }
  if (kind === 'review') {
    const { emergency, finding, text, iat } = claims;
    return { says: `found the emergency ${finding}`, by, emergency, text, made: at(iat), ...judged };
  }
  const { role, emergency, purpose, services, persons, reason, nbf, exp } = claims;
  const says = role === 'opens' ? 'opens an emergency' : 'confirms an emergency';
  const terms = { emergency, reason, purpose, services: services.join('\n'), persons, from: at(nbf), until: at(exp) };
  return { says, by, ...terms, ...judged };
}

function refused(what: string, next: string): CommandEnd {
  return new CommandEnd(EXIT.verificationFailed, `${what}.\nNext: ${next}`);
}
