// What the global configuration says of this server, from the server's own verified copy: how fresh it is, whether the
// server, its certificates, its keys and its log are the registered ones. And what the registry says now, whose signed
// time is the only clock beside our own.
import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { validatePath } from '#certs/path.ts';
import { buildSnapshot } from '#core/configuration/build-snapshot.ts';
import { ConfigurationCache, type HeldSet } from '#core/configuration/cache.ts';
import { fetchOverHttp } from '#core/configuration/fetch.ts';
import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';
import { verifyFreshness } from '#core/configuration/verify.ts';
import { openClient } from '#core/http/client.ts';
import { formatVerifierKey, noteVerifier } from '#core/log/signed-note.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { type ConfigurationAnchor, MAX_SIGNED_FILE_BYTES } from '#schemas/configuration.ts';
import { CLOCK_WINDOW_MS } from '#schemas/limits.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import type { Settings } from '#security-server/settings.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

const REGISTRY_TIMEOUT_MS = 5_000;
/** The news is signed once a minute; a clock that agrees sees it at most that old, and never from the future. */
const SLACK_MS = 5_000;

/** What this server holds of itself, to be compared with what is registered. */
export interface OwnFacts {
  authentication?: string;
  signing?: string;
  encryptionKids?: readonly string[];
  verifierKey: string | null;
}

/** The verified copy on disk. @throws CONFIGURATION_MISSING when there is none */
export function readCopy(folder: string, anchor: ConfigurationAnchor): { held: HeldSet; findings: Finding[] } {
  const place = join(folder, 'configuration');
  if (!existsSync(place)) throw new AccordError('CONFIGURATION_MISSING', 'none was ever stored');
  const findings: Finding[] = [];
  const held = new ConfigurationCache(place).load(anchor, (what, error) => {
    const code = isAccordError(error) ? error.code : String((error as Error).message);
    findings.push(fail('configuration', 'CONFIGURATION_CACHE_CORRUPT', `${what}: ${code}`));
  });
  return { held, findings };
}

export function checkFreshness(held: HeldSet, maxStaleMs: number, nowMs: number): Finding[] {
  const check = 'configuration';
  const { content, freshness } = held;
  if (!content || !freshness) return [fail(check, 'CONFIGURATION_MISSING', 'the stored copy is not whole')];
  const { signedAtMs, expiresAtMs } = freshness.document;
  const detail = `version ${content.document.version}, news of ${new Date(signedAtMs).toISOString()}`;
  if (content.document.expiresAtMs <= nowMs) return [fail(check, 'CONFIGURATION_EXPIRED', detail)];
  if (nowMs < expiresAtMs) return [ok(check, detail)];
  if (nowMs - signedAtMs > maxStaleMs) return [fail(check, 'CONFIGURATION_TOO_OLD', detail)];
  return [warn(check, 'CONFIGURATION_STALE', detail)];
}

export function snapshotOf({ content, parts, distrust, locks, roots }: HeldSet): ConfigurationSnapshot {
  const root = roots.at(-1);
  if (!content || !root) throw new AccordError('CONFIGURATION_MISSING');
  const indexes = [...parts.values()].map(({ index }) => index);
  return buildSnapshot(content, indexes, distrust, root, locks);
}

/** @throws SERVER_NOT_REGISTERED */
export function checkRegistration(
  snapshot: ConfigurationSnapshot,
  settings: Settings,
  own: OwnFacts,
  nowMs: number,
): Finding[] {
  const check = 'registration';
  const entry = snapshot.server(settings.id);
  if (entry === undefined) throw new AccordError('SERVER_NOT_REGISTERED', settings.id);
  const findings: Finding[] = [];
  if (snapshot.isDistrusted(settings.id))
    findings.push(fail(check, 'PEER_UNKNOWN', 'the server is on the distrust list'));
  for (const [name, hash, registered] of [
    ['authentication', own.authentication, entry.authenticationCertificates],
    ['signing', own.signing, entry.signingCertificates],
  ] as const) {
    if (hash === undefined) continue;
    const found = registered.find((one) => one.hash === hash);
    if (found === undefined || snapshot.isDistrusted(hash)) {
      findings.push(fail(`certificate ${name}`, 'CERTIFICATE_NOT_REGISTERED', hash));
    } else findings.push(...checkChain(name, found.der, snapshot, nowMs));
  }
  const usable = entry.encryptionKeys.filter(
    ({ kid, notAfterMs }) => own.encryptionKids?.includes(kid) && notAfterMs > nowMs,
  );
  if (own.encryptionKids && usable.length === 0) {
    findings.push(fail('keys', 'PEER_KEY_MISSING', 'no usable encryption key of this server is registered'));
  }
  const verifierKey = formatVerifierKey(noteVerifier(entry.log.origin, fromBase64url(entry.log.key)));
  if (own.verifierKey !== null && own.verifierKey !== verifierKey) {
    findings.push(fail('log', 'LOG_CHECKPOINT_WRONG', 'another checkpoint key is registered'));
  }
  if (findings.some(({ state }) => state === 'fail')) return findings;
  return [
    ...findings,
    ok(check, `${settings.id} at ${entry.address}; speaks for ${[...entry.subsystems].join(', ') || 'no subsystem'}`),
  ];
}

/** The path that peers will build. */
function checkChain(
  name: 'authentication' | 'signing',
  der: Buffer,
  { trust }: ConfigurationSnapshot,
  nowMs: number,
): Finding[] {
  const verdict = validatePath({
    leaf: der,
    intermediates: [...trust.intermediates],
    anchors: trust.anchors.map((anchor) => ({ der: anchor })),
    atMs: nowMs,
    purpose: name === 'authentication' ? 'server' : 'sign',
  });
  if (verdict.valid) return [];
  const { issuer } = new X509Certificate(der);
  return [
    fail(`certificate ${name}`, 'CERTIFICATE_INVALID', `${verdict.code} (issuer ${issuer.replaceAll('\n', ', ')})`),
  ];
}

/** Asks the registry for its newest signed time. */
export async function checkRegistry(
  anchor: ConfigurationAnchor,
  held: HeldSet | undefined,
  now: () => number,
): Promise<Finding[]> {
  const client = openClient({ timeoutMs: REGISTRY_TIMEOUT_MS });
  try {
    return await Promise.all(
      anchor.urls.map(async (url) => {
        const check = `registry ${url}`;
        try {
          const answer = await fetchOverHttp(client, url).get('freshness.jws', MAX_SIGNED_FILE_BYTES);
          const root = held?.roots.at(-1);
          if (answer === 'unchanged' || root === undefined) return ok(check, 'reachable');
          // Judged below: its time is what is asked about.
          const { signedAtMs, expiresAtMs } = verifyFreshness(answer.bytes, root, Infinity).document;
          return judgeClock(check, signedAtMs, expiresAtMs, now());
        } catch (error) {
          if (!isAccordError(error)) throw error;
          return warn(check, error.code, error.detail);
        }
      }),
    );
  } finally {
    await client.close();
  }
}

function judgeClock(check: string, signedAtMs: number, expiresAtMs: number, nowMs: number): Finding {
  const aheadMs = signedAtMs - nowMs;
  if (aheadMs > CLOCK_WINDOW_MS)
    return fail(check, 'CLOCK_OUT_OF_WINDOW', `this clock is ${Math.round(aheadMs / 1000)} s behind the registry`);
  if (aheadMs > SLACK_MS)
    return warn(check, 'CLOCK_OUT_OF_WINDOW', `this clock is ${Math.round(aheadMs / 1000)} s behind the registry`);
  if (nowMs >= expiresAtMs) {
    const minutes = Math.round((nowMs - signedAtMs) / 60_000);
    return fail(
      check,
      'CONFIGURATION_STALE',
      `it last signed ${minutes} minutes ago: its signer stands still, or this clock is ahead`,
    );
  }
  return ok(check, `reachable; signed ${Math.max(0, Math.round(-aheadMs / 1000))} s ago by its clock`);
}
