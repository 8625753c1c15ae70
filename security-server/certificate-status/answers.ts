// The OCSP answers (RFC 6960) that this server holds, of its own certificates and of its peers': one for each certificate,
// the newest. An answer that says `revoked` stays whatever comes later, an older `good` above all; only a hold may be
// lifted, by a newer one. Peers and responders control the bytes; what is held here was verified.
import { sha256 } from '#certs/commitment.ts';
import type { OcspVerdict } from '#certs/ocsp.ts';

/** One verified answer. */
export interface HeldAnswer {
  /** SHA-256 of its DER, base64url: what entries of the log name. */
  hash: string;
  der: Buffer;
  /** SHA-256 of the certificate it is about, base64url. */
  certificate: string;
  status: 'good' | 'revoked';
  /** Of revoked ones. */
  reason: string | null;
  thisUpdateMs: number;
  /** Until when it counts by its own word; a far time when it names no end. */
  endsMs: number;
}

export interface HeldAnswers {
  of(certificate: string): HeldAnswer | undefined;
  /** Whether these very bytes are held or were. */
  knows(hash: string): boolean;
  /** @returns what is held of the certificate now */
  take(answer: HeldAnswer): HeldAnswer;
}

const MAX_HELD = 20_000;

/** @param revokedBefore answers that a store kept @param onRevoked told of each certificate once, to keep it */
export function holdAnswers(
  revokedBefore: readonly HeldAnswer[] = [],
  onRevoked: (answer: HeldAnswer) => void = () => {},
): HeldAnswers {
  const held = new Map<string, HeldAnswer>(revokedBefore.map((one) => [one.certificate, one]));
  const known = new Set<string>(revokedBefore.map(({ hash }) => hash));

  function forgetOne(): void {
    for (const [certificate, { status, hash }] of held) {
      if (status === 'revoked') continue;
      held.delete(certificate);
      known.delete(hash);
      return;
    }
  }

  return {
    of: (certificate) => held.get(certificate),
    knows: (hash) => known.has(hash),
    take(answer) {
      if (known.size >= 2 * MAX_HELD) known.clear();
      known.add(answer.hash);
      const before = held.get(answer.certificate);
      if (before !== undefined && !succeeds(answer, before)) return before;
      if (before === undefined && held.size >= MAX_HELD) forgetOne();
      held.set(answer.certificate, answer);
      if (answer.status === 'revoked') onRevoked(answer);
      return answer;
    },
  };
}

function succeeds(next: HeldAnswer, before: HeldAnswer): boolean {
  if (isForGood(before)) return false;
  if (isForGood(next) || next.thisUpdateMs > before.thisUpdateMs) return true;
  // Of one moment: in doubt not good.
  return next.thisUpdateMs === before.thisUpdateMs && next.status === 'revoked' && before.status === 'good';
}

function isForGood({ status, reason }: HeldAnswer): boolean {
  return status === 'revoked' && reason !== 'certificateHold';
}

/** What was verified, as it is held; null when the verdict says nothing of the certificate. */
export function heldAnswer(der: Buffer, certificate: string, said: OcspVerdict): HeldAnswer | null {
  if (said.status !== 'good' && said.status !== 'revoked') return null;
  const { status, thisUpdateMs, endsMs } = said;
  const reason = status === 'revoked' ? said.reason : null;
  return { hash: sha256(der), der, certificate, status, reason, thisUpdateMs, endsMs };
}

/** Until when an answer counts as good without grace, under this freshness. */
export function countsUntilMs({ thisUpdateMs, endsMs }: HeldAnswer, freshnessMs: number): number {
  return Math.min(endsMs, thisUpdateMs + freshnessMs);
}
