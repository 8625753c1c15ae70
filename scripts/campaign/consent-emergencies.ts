// The two tokens by which officials of a department open an emergency, for campaign `consent`: good ones, and such as must
// open nothing.
import { signEmergencyEvidence } from '#certs/evidence.ts';
import type { NamedKey } from '#certs/registered-key.ts';
import { newMessageId } from '#core/message-id.ts';
import type { EmergencyEvidence } from '#schemas/evidence.ts';
import type { ConsentCase } from './consent-cases.ts';
import { CLIENTS, SERVICES } from './consent-facts.ts';

/** Who asks, and who opened the emergency. */
export const OFFICIAL = 'official-7';
export const EMERGENCIES = [
  'opened',
  'by one alone',
  'by one person twice',
  'for another purpose',
  'at another service',
  'of another department',
  'by a stranger',
  'over',
  'by others than who asks',
] as const;

/** @param keys of each department's officials, and one that nobody registered */
export function emergencyTokens(
  { emergency, request, nowMs }: ConsentCase,
  keys: Record<(typeof CLIENTS)[number] | 'stranger', NamedKey>,
): string[] {
  if (emergency === null) return [];
  const nowS = Math.floor(nowMs / 1000);
  const asking = emergency === 'by others than who asks' ? 'official-9' : OFFICIAL;
  const elsewhere = SERVICES.find((service) => service !== request.service) ?? SERVICES[0];
  const other = CLIENTS.find((client) => client !== request.client) ?? CLIENTS[0];
  const iss = emergency === 'of another department' ? other : request.client;
  const key = keys[emergency === 'by a stranger' ? 'stranger' : request.client];
  const terms = {
    ...{ emergency: newMessageId(nowMs), iss, persons: 1, reason: 'a fall' },
    purpose: emergency === 'for another purpose' ? 'other' : request.purpose,
    services: [emergency === 'at another service' ? elsewhere : request.service],
    nbf: nowS - 3_600,
    exp: emergency === 'over' ? nowS - 300 : nowS + 3_000,
    iat: nowS - 3_600,
  };
  const half = (role: EmergencyEvidence['role'], id: string, unit: string) =>
    signEmergencyEvidence({ ...terms, v: 1, role, official: { id, name: id, unit } }, key);
  const second = emergency === 'by one person twice' ? asking : 'official-8';
  const tokens = [half('opens', asking, 'ward'), half('confirms', second, 'control')];
  return emergency === 'by one alone' ? tokens.slice(0, 1) : tokens;
}
