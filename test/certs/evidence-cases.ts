// Tokens of officials as tests make them: good ones, to be changed one member at a time. Times are seconds.
import { newMessageId } from '#core/message-id.ts';
import type { EmergencyEvidence, EmergencyReview, Official, OfficialEvidence } from '#schemas/evidence.ts';

export const WANG: Official = { id: '110105001234', name: 'Wang Xiulan', unit: 'Population office' };
export const LI: Official = { id: '110105004321', name: 'Li Qiang', unit: 'Duty station' };
export const ZHAO: Official = { id: '110105009999', name: 'Zhao Min', unit: 'Legal affairs' };

/** One official for the request with this hash. */
export function officialOf(iss: string, request: string, issue: string, atMs: number): OfficialEvidence {
  const iat = Math.floor(atMs / 1000);
  return { v: 1, jti: newMessageId(atMs), iss, official: WANG, issue, request, iat, exp: iat + 300 };
}

/** Both halves of an emergency that begins now. */
export function emergencyOf(
  iss: string,
  { purpose, services }: Pick<EmergencyEvidence, 'purpose' | 'services'>,
  atMs: number,
): [EmergencyEvidence, EmergencyEvidence] {
  const iat = Math.floor(atMs / 1000);
  const terms = { purpose, services, persons: 2, reason: 'Flood at the river, whom to fetch' };
  const opens: EmergencyEvidence = {
    v: 1,
    emergency: newMessageId(atMs),
    iss,
    role: 'opens',
    official: WANG,
    iat,
    ...terms,
    nbf: iat,
    exp: iat + 7200,
  };
  return [opens, { ...opens, role: 'confirms', official: LI, iat: iat + 60 }];
}

export function reviewOf({ emergency, iss, exp }: EmergencyEvidence): EmergencyReview {
  const text = 'Everybody who was looked up lived in the flooded street.';
  return { v: 1, emergency, iss, official: ZHAO, finding: 'justified', text, iat: exp + 60 };
}
