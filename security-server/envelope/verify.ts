// The verification of an opened peer message; reads like the protocol's list. Judged under this server's own newest
// configuration: the version the statement names is evidence, not law.
import type { KeyObject } from 'node:crypto';
import { type BatchClaims, batchMembers, readBatch, verifyBatch } from '#certs/batch.ts';
import { opens, sha256 } from '#certs/commitment.ts';
import type { ConfigurationSnapshot, RegisteredCertificate } from '#core/configuration/snapshot.ts';
import { subsystemOfService } from '#schemas/identifiers.ts';
import { CLOCK_WINDOW_MS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { opensBody } from '#security-server/body.ts';
import type { CertificateTrust } from '#security-server/certificate-trust.ts';
import type { OpenedMessage } from './incoming.ts';

declare const verifiedBrand: unique symbol;
/** Only `verify` makes one: every check of the list below has passed. */
export type VerifiedMessage = OpenedMessage & { readonly [verifiedBrand]: true };

const MAX_REMEMBERED = 20_000;

/**
 * A batch whose statements come one after the other: its JWS is read once, and what one path has shown is not hashed again.
 * Few are kept, because hashes out of a message keep its bytes.
 */
interface RecentBatch {
  claims: BatchClaims;
  holds: ReturnType<typeof batchMembers>;
  /** The certificate under whose key the signature was verified. */
  signedBy: string | null;
}
const MAX_RECENT = 16;

export interface Verifier {
  /** All checks but the body's commitment, for a message whose body is still to come. @throws as `verify` */
  verifyHead(message: Omit<OpenedMessage, 'body'>, snapshot: ConfigurationSnapshot, nowMs: number): void;
  /** @throws the code of the first check that fails; `nowMs` is wall-clock time */
  verify(message: OpenedMessage, snapshot: ConfigurationSnapshot, nowMs: number): VerifiedMessage;
}

/** @param trust chain, validity, distrust and revocation of signing certificates; remembers them itself */
export function openVerifier(trust: CertificateTrust): Verifier {
  // A batch signature is checked once for all its statements: by the exact JWS and certificate.
  const signatures = new Set<string>();
  const recent = new Map<string, RecentBatch>();

  /** @throws JWS_MALFORMED, JWS_ALGORITHM_REFUSED, BATCH_MALFORMED */
  function read(jws: string): RecentBatch {
    const known = recent.get(jws);
    if (known !== undefined) return known;
    const claims = readBatch(jws);
    const batch = { claims, holds: batchMembers(claims), signedBy: null };
    for (const oldest of recent.keys()) {
      if (recent.size < MAX_RECENT) break;
      recent.delete(oldest);
    }
    recent.set(jws, batch);
    return batch;
  }

  function checkSignature(batch: RecentBatch, jws: string, certificate: RegisteredCertificate, key: KeyObject): void {
    if (batch.signedBy === certificate.hash) return;
    const cacheKey = `${sha256(jws)} ${certificate.hash}`;
    if (!signatures.has(cacheKey)) {
      if (!verifyBatch(batch.claims, key)) throw new AccordError('SIGNATURE_WRONG', 'the batch signature');
      if (signatures.size >= MAX_REMEMBERED) signatures.clear();
      signatures.add(cacheKey);
    }
    batch.signedBy = certificate.hash;
  }

  function verifyHead(message: Omit<OpenedMessage, 'body'>, snapshot: ConfigurationSnapshot, nowMs: number): void {
    const { statement, head, peer } = message;
    checkRegistration(message, snapshot);
    const batch = read(head.signature.jws);
    const { claims } = batch;
    const certificate = peer.signingCertificates.find((one) => one.hash === claims.certificateHash);
    if (certificate === undefined || snapshot.isDistrusted(certificate.hash)) {
      throw new AccordError('CERTIFICATE_NOT_REGISTERED', peer.id);
    }
    const { key, answer } = trust.judge(certificate, 'sign', snapshot, nowMs);
    if (claims.size !== head.signature.size) throw new AccordError('BATCH_MALFORMED', 'size');
    if (!batch.holds(head.statement, head.signature.index, head.signature.path)) {
      throw new AccordError('SIGNATURE_WRONG', 'the statement does not stand in the signed batch');
    }
    checkSignature(batch, head.signature.jws, certificate, key);
    if (!opens(statement.context.commitment, head.contextSalt, head.context)) {
      throw new AccordError('COMMITMENT_WRONG', 'context');
    }
    const skewMs = Math.abs(statement.at - nowMs);
    if (skewMs > CLOCK_WINDOW_MS || Math.abs(claims.issuedAtSeconds * 1000 - statement.at) > CLOCK_WINDOW_MS) {
      throw new AccordError('CLOCK_OUT_OF_WINDOW', `${Math.round(skewMs / 1000)} s apart`);
    }
    head.answer = answer;
  }

  function verify(message: OpenedMessage, snapshot: ConfigurationSnapshot, nowMs: number): VerifiedMessage {
    verifyHead(message, snapshot, nowMs);
    const { statement, head, body } = message;
    if (!opensBody(statement.body.commitment, head.bodySalt, body)) throw new AccordError('COMMITMENT_WRONG', 'body');
    return message as VerifiedMessage;
  }

  return { verify, verifyHead };
}

/** Who may say this: the client on the sender's server for requests, the service's subsystem there for answers. */
function checkRegistration({ statement, peer }: Omit<OpenedMessage, 'body'>, snapshot: ConfigurationSnapshot): void {
  const isAnswer = statement.kind === 'response' || statement.kind === 'refusal';
  const speaker = isAnswer ? subsystemOfService(statement.service) : statement.client;
  if (!peer.subsystems.has(speaker)) {
    throw new AccordError(isAnswer ? 'SERVICE_NOT_ON_SERVER' : 'CLIENT_NOT_ON_SERVER', speaker);
  }
  const { version, hash } = statement.configuration;
  if (version === snapshot.version && hash !== snapshot.hash) {
    throw new AccordError('CONFIGURATION_CONFLICT', `version ${version}`);
  }
}
