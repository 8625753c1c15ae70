// What a request on the basis of consent brings, opened and judged as far as this server can by itself (DESIGN: consent):
// is the receipt genuine and for exactly this, whom is it about, does it still stand. Nobody is asked on the way; only a
// status list that is too old is fetched again, once. The peer controls the receipt; why it is not genuine is told nobody.
import { readReceipt, verifyReceipt } from '#certs/receipt.ts';
import { openSubject } from '#certs/sealed-subject.ts';
import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';
import type { Subject } from '#policy/binding/binding.ts';
import { statusMaxAgeMs } from '#policy/check-consent.ts';
import type {
  AskedElement,
  ConsentFacts,
  DecisionInputs,
  FrequencyFacts,
  ReceiptFacts,
} from '#policy/decision-inputs.ts';
import type { RequestContext } from '#schemas/context.ts';
import type { Frequency } from '#schemas/frequency.ts';
import { subsystemOfService } from '#schemas/identifiers.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { Receipt } from '#schemas/receipt.ts';
import { SUBJECT_PLACEHOLDER } from '#schemas/service-path.ts';
import type { Statement } from '#schemas/statement.ts';
import type { ServerParts } from '#security-server/server-parts.ts';

/** A slash, dots or an escape in an identifier would lead to another endpoint than the one that is decided. */
const NO_IDENTIFIER = /^\.{1,2}$|[/\\%\p{Cc}]/u;

export interface OpenedConsent {
  facts: ConsentFacts;
  /** The receipt and whom it is about; null when it is not genuine. */
  genuine: { receipt: Receipt; subject: Subject } | null;
}

/** What the request itself says: the place for the subject holds the placeholder, or exactly whom the receipt is about. */
interface Asked {
  subject: Subject | null;
  elements: readonly Pick<AskedElement, 'level'>[];
}

/** Null on every other basis than consent. Waits only for a status list that is too old. */
export async function openConsent(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  statement: Statement,
  context: RequestContext,
  asked: Asked,
): Promise<OpenedConsent | null> {
  if (statement.basis !== 'consent') return null;
  const text = context.receipt;
  const genuine = text === null ? null : genuineReceipt(server, snapshot, statement, text, asked.subject);
  if (genuine !== null) await freshStatus(server, genuine.receipt, statusMaxAgeMs(asked.elements));
  return { genuine, facts: consentFacts(server, text !== null, genuine?.receipt ?? null) };
}

/** The same receipt looked at again, after the backend was asked: a withdrawal meanwhile still counts. */
export function consentFacts(server: ServerParts, given: boolean, receipt: Receipt | null): ConsentFacts {
  const { nowMs, deviationMs } = server.status.trustedNowMs();
  const held = receipt && server.status.statusOf(receipt.status.uri, receipt.status.idx);
  return {
    given,
    receipt: receipt && {
      jti: receipt.jti,
      purposeHash: receipt.purpose.hash,
      elements: receipt.elements,
      notBeforeMs: receipt.nbf * 1000,
      notAfterMs: receipt.exp * 1000,
      uses: receipt.uses,
      used: receipt.uses === null ? 0 : server.state.receiptUsed(receipt.jti),
      ...(receipt.frequency !== undefined && { frequency: frequencyFacts(server, receipt, receipt.frequency, nowMs) }),
      ...(isCounted(receipt) && hasOtherServers(server, receipt) && { countedApart: true as const }),
    },
    status: held && { value: held.status, listIatMs: held.listIatMs },
    trustedNowMs: nowMs,
    deviationMs,
  };
}

/** Of a set-back clock, also over a restart, the log knows: what a window has counted does not leave it twice. */
function frequencyFacts(
  { state, log }: ServerParts,
  { jti, iss, exp }: Receipt,
  { uses, days }: Frequency,
  trustedNowMs: number,
): FrequencyFacts {
  const untilMs = Math.max(trustedNowMs, log.newestMs());
  const receipt = { jti, issuer: iss };
  const used = state.usedInWindow(receipt, untilMs);
  const againAtMs = used < uses ? null : state.leavesWindowAtMs(receipt, uses);
  const isEver = againAtMs !== null && againAtMs < exp * 1000;
  return { uses, days, untilMs, used, againAtMs: isEver ? againAtMs : null };
}

/** Whether this server has to count what the receipt is used for. */
function isCounted({ uses, frequency }: Receipt): boolean {
  return uses !== null || frequency !== undefined;
}

/** Several servers of one provider share no counters yet. */
function hasOtherServers({ configuration, self }: ServerParts, { aud }: Receipt): boolean {
  return configuration
    .current()
    .serversOf(aud)
    .some(({ id }) => id !== self);
}

function genuineReceipt(
  server: ServerParts,
  snapshot: ConfigurationSnapshot,
  { client, service, purpose }: Statement,
  text: string,
  subject: Subject | null,
): OpenedConsent['genuine'] {
  try {
    const { receipt } = readReceipt(text);
    const issuer = snapshot.consentService(receipt.iss);
    const isForThis =
      issuer !== undefined &&
      receipt.client === client &&
      receipt.aud === subsystemOfService(service) &&
      receipt.service === service &&
      receipt.purpose.id === purpose &&
      receipt.status.uri.startsWith(`${issuer.statusUrl}/`) &&
      verifyReceipt(text, issuer.keys);
    if (!isForThis || subject === null) return null;
    const about = openedSubject(server, receipt);
    if (about === null || about.scheme !== subject.scheme) return null;
    const isSame = subject.value === SUBJECT_PLACEHOLDER || subject.value === about.value;
    return isSame ? { receipt, subject: about } : null;
  } catch (error) {
    if (isAccordError(error)) return null;
    throw error;
  }
}

/** The first that opens: a receipt holds the subject once for each key that was registered when it was given. */
function openedSubject(server: ServerParts, { jti, subject }: Receipt): Subject | null {
  for (const sealed of subject) {
    try {
      const opened = openSubject(sealed, server.keys.subjectKeys());
      // Sealed for another receipt and moved here: it stands for nothing.
      const { scheme, value } = opened;
      return opened.jti === jti && !NO_IDENTIFIER.test(value) && value.isWellFormed() ? { scheme, value } : null;
    } catch (error) {
      if (!isAccordError(error)) throw error;
    }
  }
  return null;
}

async function freshStatus(server: ServerParts, { status }: Receipt, maxAgeMs: number): Promise<void> {
  const held = server.status.statusOf(status.uri, status.idx);
  if (held !== null && server.status.trustedNowMs().nowMs - held.listIatMs <= maxAgeMs) return;
  await server.status.refresh(status.uri);
}

/** The facts of a consent again, after the backend has worked; null when the request was on another basis. */
export async function consentAgain(
  server: ServerParts,
  { inputs, consent }: { inputs: DecisionInputs; consent: OpenedConsent | null },
): Promise<ConsentFacts | null> {
  const receipt = consent?.genuine?.receipt;
  if (receipt === undefined) return null;
  await freshStatus(server, receipt, statusMaxAgeMs(inputs.binding?.asked ?? []));
  const facts = consentFacts(server, true, receipt);
  return { ...facts, receipt: facts.receipt && withoutOwnUse(facts.receipt) };
}

/** This request's own use is counted by now. */
function withoutOwnUse({ used, frequency, ...facts }: ReceiptFacts): ReceiptFacts {
  const others = (count: number) => Math.max(0, count - 1);
  if (frequency === undefined) return { ...facts, used: others(used) };
  const usedInWindow = others(frequency.used);
  const againAtMs = usedInWindow < frequency.uses ? null : frequency.againAtMs;
  return { ...facts, used: others(used), frequency: { ...frequency, used: usedInWindow, againAtMs } };
}
