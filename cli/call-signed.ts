// `accord call --sign-as`: what a department's sign-on does for a lookup on the basis of law. The own security server says
// what it would send; that is compared with what was asked for here, and the official's token binds exactly that
// (schemas/evidence.ts). The server controls the description and cannot get anything else signed by it.

import type { Accord, Lookup } from '#adapters/client.ts';
import { sha256 } from '#certs/commitment.ts';
import { evidencedHash, signOfficialEvidence } from '#certs/evidence.ts';
import { systemClock } from '#core/clock.ts';
import { newMessageId } from '#core/message-id.ts';
import type { EvidencedRequest } from '#schemas/evidence.ts';
import { type OfficialFile, openOfficialKey, readOfficialFile } from './official-file.ts';
import { CommandEnd, EXIT } from './output.ts';
import type { PassphraseOptions } from './passphrase.ts';

/** Long enough for a slow exchange, and half of what is allowed. */
const LIFETIME_S = 300;

export interface SignedLookup {
  lookup: Lookup;
  signer: OfficialFile;
}

/** The lookup in the name of the official in the file. @throws CommandEnd (usage) when it says otherwise itself */
export function inNameOf(file: string, lookup: Lookup): SignedLookup {
  const signer = readOfficialFile(file);
  const { userId = signer.official.id, basis = 'law' } = lookup;
  if (userId !== signer.official.id) throw usage(`--user-id ${userId} is not who signs`, 'Leave --user-id out.');
  if (basis !== 'law') throw usage('--sign-as is for the basis law', 'See `accord emergency` for two officials.');
  if (lookup.issue === undefined) throw usage('Which case?', 'Name it with --issue.');
  if (lookup.evidence !== undefined) throw usage('--sign-as makes the token itself', 'Leave --evidence out.');
  return { lookup: { ...lookup, userId, basis }, signer };
}

/** Makes the token, having said on standard error what is signed. @throws CommandEnd when the server describes another lookup */
export async function withToken(
  accord: Accord,
  client: string,
  { lookup, signer }: SignedLookup,
  options: PassphraseOptions,
): Promise<Lookup> {
  const { request, asked } = await accord.digest(lookup);
  const other = difference(asked, client, lookup);
  if (evidencedHash(asked) !== request || other !== null) {
    const what = `The security server describes another lookup: ${other ?? 'its hash'}`;
    throw new CommandEnd(EXIT.verificationFailed, `${what}.\nNext: Nothing was signed; ask the server's operator.`);
  }
  const { name, unit } = signer.official;
  const target = `${asked.method} ${asked.service}${asked.path}${asked.query === null ? '' : `?${asked.query}`}`;
  process.stderr.write(`${name} (${unit}) signs for case ${asked.issue}: ${target}\n`);
  const nowMs = systemClock.nowMs();
  const iat = Math.floor(nowMs / 1000);
  const token = signOfficialEvidence(
    {
      v: 1,
      jti: newMessageId(nowMs),
      iss: client,
      official: signer.official,
      issue: asked.issue,
      request,
      iat,
      exp: iat + LIFETIME_S,
    },
    await openOfficialKey(signer, options),
  );
  return { ...lookup, evidence: [token] };
}

/** The first member that is not what was asked for; null when all are. What was left to the server to find is shown. */
function difference(asked: EvidencedRequest, client: string, lookup: Lookup): string | null {
  const { service, method, path, query, fields, elements, partial, asOf, hiddenUntil, purpose, issue, body, subject } =
    lookup;
  const written = body instanceof Uint8Array ? body : Buffer.from(body === undefined ? '' : JSON.stringify(body));
  const same: [string, boolean][] = [
    ['client', asked.client === client],
    ['service', service === undefined || asked.service === service],
    ['method', method === undefined || asked.method === method],
    ['path', path === undefined || asked.path === path],
    ['subject', subject === undefined || body !== undefined || namesIn(asked).includes(subject.value)],
    // The server adds the parameters of the subject and of the day.
    ['query', query === undefined || path === undefined || asOf !== undefined || asked.query === query],
    ['fields', JSON.stringify(asked.fields) === JSON.stringify(fields ?? elements ?? null)],
    ['partial', asked.partial === (partial ?? false)],
    ['asOf', asked.asOf === (asOf ?? null)],
    ['hiddenUntil', asked.hiddenUntil === (hiddenUntil ?? null)],
    ['purpose', asked.purpose === (purpose ?? null)],
    ['basis', asked.basis === 'law'],
    ['issue', asked.issue === issue],
    ['body', asked.body === sha256(written)],
  ];
  return same.find(([, isSame]) => !isSame)?.[0] ?? null;
}

/** Everything that stands in the path or is the value of a parameter. */
function namesIn({ path, query }: EvidencedRequest): string[] {
  const values = [...new URLSearchParams(query ?? '').values()];
  return [...path.split('/').map(decoded), ...values];
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

function usage(what: string, next: string): CommandEnd {
  return new CommandEnd(EXIT.usage, `${what}.\nNext: ${next}`.replace('?.', '?'));
}
