// What officials of the asking department signed for a request on the basis of law or emergency (schemas/evidence.ts),
// verified with the keys that the configuration registers for the client, and bound to this very request. The peer
// controls the tokens; why one is not genuine is told nobody. The asking department's own security server cannot make them.
import {
  type Emergency,
  evidencedHash,
  evidencedRequest,
  verifyEmergencyPair,
  verifyOfficialEvidence,
} from '#certs/evidence.ts';
import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';
import type { Subject } from '#policy/binding/binding.ts';
import type { EvidenceFacts } from '#policy/decision-inputs.ts';
import type { RequestContext } from '#schemas/context.ts';
import type { Official, OfficialEvidence } from '#schemas/evidence.ts';
import { orNull } from '#schemas/problems.ts';
import type { Statement } from '#schemas/statement.ts';
import type { ServerParts } from '#security-server/server-parts.ts';

/** Allowed difference between the clock of the department's sign-on and ours. */
const TOLERANCE_MS = 30_000;

export interface OpenedEvidence {
  /** How many tokens the request carried. */
  given: number;
  /** By a registered key, for this request; its time is judged with the decision. */
  official: OfficialEvidence | null;
  emergency: Emergency | null;
}

/** Null on every other basis than law and emergency. Reads the request and the configuration only. */
export function openEvidence(
  snapshot: ConfigurationSnapshot,
  statement: Statement,
  context: RequestContext,
  body: Buffer,
): OpenedEvidence | null {
  const { basis, client } = statement;
  const tokens = context.evidence;
  const given = tokens.length;
  const keys = snapshot.officialKeys(client);
  if (basis === 'emergency') {
    const emergency = given === 0 ? null : orNull(() => verifyEmergencyPair(tokens, keys));
    return { given, official: null, emergency: emergency?.iss === client ? emergency : null };
  }
  if (basis !== 'law') return null;
  const [token, ...others] = tokens;
  if (token === undefined || others.length > 0) return { given, official: null, emergency: null };
  const claims = orNull(() => verifyOfficialEvidence(token, keys));
  const request = evidencedRequest(statement, context, body);
  const isForThis =
    claims !== null &&
    request !== null &&
    claims.iss === client &&
    claims.issue === request.issue &&
    claims.request === evidencedHash(request);
  return { given, official: isForThis ? claims : null, emergency: null };
}

/** As they stand now; what others used up meanwhile counts. */
export function evidenceFacts(
  server: ServerParts,
  { given, official, emergency }: OpenedEvidence,
  client: string,
  subject: Subject | null,
  nowMs: number,
): EvidenceFacts {
  const isInTime = official !== null && isGoodAt(official, nowMs);
  return {
    given,
    official: isInTime ? named(official.official) : null,
    usedBefore: isInTime && server.state.evidenceUsed(client, official.jti),
    emergency: emergency && {
      id: emergency.emergency,
      officials: emergency.officials.map(named),
      reason: emergency.reason,
      purpose: emergency.purpose,
      services: emergency.services,
      fromMs: emergency.nbf * 1000,
      untilMs: emergency.exp * 1000,
      persons: emergency.persons,
      otherPersons: server.state.emergencyPersons(client, emergency.emergency, subject && server.subjectTag(subject)),
    },
  };
}

/** Spends what an allowed request was allowed on, durably; returns how to take it back when the request does not run. */
export function spendEvidence(
  server: ServerParts,
  { official, emergency }: OpenedEvidence,
  client: string,
  subject: Subject | null,
): () => void {
  if (official !== null) {
    const { jti, exp } = official;
    server.state.useEvidence(client, jti, exp);
    return () => server.state.takeBackEvidence(client, jti);
  }
  if (emergency === null || subject === null) return () => {};
  const tag = server.subjectTag(subject);
  const { emergency: id, exp } = emergency;
  server.state.countEmergencyPerson(client, id, tag, exp);
  return () => server.state.takeBackEmergencyPerson(client, id, tag);
}

function isGoodAt({ iat, exp }: OfficialEvidence, nowMs: number): boolean {
  return iat * 1000 <= nowMs + TOLERANCE_MS && nowMs < exp * 1000 + TOLERANCE_MS;
}

/** The name stays in the token, which only the sealed record keeps. */
function named({ id, unit }: Official) {
  return { id, unit };
}
