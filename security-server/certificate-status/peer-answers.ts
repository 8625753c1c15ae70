// OCSP answers that peers send of their own certificates, beside what they sign. One is verified when its bytes come for
// the first time; what does not verify is left out, because the sender may know another configuration, and the mode
// decides what a certificate without an answer is worth. A peer controls the bytes, and how many it sends.
import type { FastifyBaseLogger } from 'fastify';
import { sha256 } from '#certs/commitment.ts';
import { verifyOcsp } from '#certs/ocsp.ts';
import { MAX_OCSP_RESPONSE_BYTES, readOcspResponse } from '#certs/ocsp-response.ts';
import { readCertificate } from '#certs/x509-read.ts';
import type { Clock } from '#core/clock.ts';
import type { ConfigurationSource, RegisteredCertificate, ServerEntry } from '#core/configuration/snapshot.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { candidatesFor, pathAmong, type Trust } from '#security-server/certificate-paths.ts';
import { type HeldAnswer, type HeldAnswers, heldAnswer } from './answers.ts';

export interface PeerAnswers {
  /** One answer, DER. Returns at once. @throws MESSAGE_MALFORMED for what is no answer at all */
  heard(peer: ServerEntry, der: Buffer): void;
  /** Hashes of the answers that are held of the peer's certificates. */
  heldOf(peer: ServerEntry): string[];
}

export interface PeerAnswerParts {
  answers: HeldAnswers;
  configuration: Pick<ConfigurationSource, 'current'>;
  clock: Clock;
  logger: FastifyBaseLogger;
  counted: (of: 'own' | 'peer', outcome: string) => void;
}

/** Answers of one peer that are verified in one minute; it has few certificates, and renews them seldom. */
const VERIFIED_PER_MINUTE = 16;
const MINUTE_MS = 60_000;
const MAX_PEERS_REMEMBERED = 4_096;
/** Freshness is judged when a certificate is used; here only the answer's own times count. */
const ANY_AGE_MS: number = 2 ** 50;

export function openPeerAnswers({ answers, configuration, clock, logger, counted }: PeerAnswerParts): PeerAnswers {
  const tried = new Map<string, { sinceMs: number; count: number }>();

  function mayTry(peer: string): boolean {
    const nowMs = clock.monotonicMs();
    let turn = tried.get(peer);
    if (turn === undefined || nowMs - turn.sinceMs >= MINUTE_MS) {
      if (tried.size >= MAX_PEERS_REMEMBERED) tried.clear();
      turn = { sinceMs: nowMs, count: 0 };
      tried.set(peer, turn);
    }
    turn.count += 1;
    return turn.count <= VERIFIED_PER_MINUTE;
  }

  function judge(peer: ServerEntry, der: Buffer, trust: Trust): void {
    const graceMs = trust.ocsp?.graceMs ?? 0;
    for (const [certificate, purpose] of aboutWhich(peer, der)) {
      const said = judgeAnswer(certificate, purpose, der, trust, { atMs: clock.nowMs(), graceMs });
      if (typeof said !== 'string') answers.take(said);
      else logger.warn({ peer: peer.id, certificate: certificate.hash, reason: said }, 'an OCSP answer does not count');
      counted('peer', typeof said === 'string' ? said : said.status);
    }
  }

  return {
    heard(peer, der) {
      const { trust } = configuration.current();
      if (trust.ocsp === undefined || trust.ocsp.mode === 'off' || answers.knows(sha256(der))) return;
      if (der.length > MAX_OCSP_RESPONSE_BYTES) throw new AccordError('MESSAGE_MALFORMED', 'an OCSP answer too large');
      if (mayTry(peer.id)) judge(peer, der, trust);
    },
    heldOf: ({ signingCertificates, authenticationCertificates }) =>
      [...signingCertificates, ...authenticationCertificates].flatMap(({ hash }) => answers.of(hash)?.hash ?? []),
  };
}

type Purpose = 'sign' | 'client';

/** @throws MESSAGE_MALFORMED */
function aboutWhich(peer: ServerEntry, der: Buffer): [RegisteredCertificate, Purpose][] {
  const serials = serialsOf(der);
  const named = ({ der: bytes }: RegisteredCertificate) =>
    serials.has(readCertificate(bytes).serialHex.replace(/^0+/, ''));
  return [
    ...peer.signingCertificates.filter(named).map((one): [RegisteredCertificate, Purpose] => [one, 'sign']),
    ...peer.authenticationCertificates.filter(named).map((one): [RegisteredCertificate, Purpose] => [one, 'client']),
  ];
}

function serialsOf(der: Buffer): Set<string> {
  try {
    const answer = readOcspResponse(der);
    return new Set('refused' in answer ? [] : answer.answers.map(({ id }) => id.serial));
  } catch (error) {
    if (isAccordError(error, 'DER_INVALID')) throw new AccordError('MESSAGE_MALFORMED', `OCSP: ${error.detail}`);
    throw error;
  }
}

/** The answer as it is held, or why it does not count. */
export function judgeAnswer(
  certificate: RegisteredCertificate,
  purpose: Purpose,
  der: Buffer,
  trust: Trust,
  { atMs, graceMs }: { atMs: number; graceMs: number },
): HeldAnswer | string {
  const path = pathAmong(certificate.der, candidatesFor(certificate.der, trust), trust, { purpose, atMs });
  if (!path.valid) return path.code;
  const crls = trust.crls ?? [];
  const said = verifyOcsp({ response: der, path: path.path, atMs, freshnessMs: ANY_AGE_MS, graceMs, crls });
  if (said.status === 'refused') return said.detail === '' ? said.code : `${said.code}: ${said.detail}`;
  return heldAnswer(der, certificate.hash, said) ?? said.status;
}
