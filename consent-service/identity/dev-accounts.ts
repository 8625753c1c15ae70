// Who one can be at the development identity provider, and how well known: residents, accounts, levels of assurance.
import { createHash } from 'node:crypto';

/** A person whom one can choose to be. */
export interface DevResident {
  /** The identifier that the provider vouches for, e.g. a resident identity number. */
  id: string;
  name: string;
  nameEn?: string;
}

/** Authentication context classes, by level of assurance. */
export const DEV_ACR = {
  2: 'urn:accord:level:2',
  3: 'urn:accord:level:3',
  4: 'urn:accord:level:4',
} as const;

/** The claim of the ID token with the resident's identifier. */
export const DEV_CLAIM = 'resident_id';

/** `sub` of a resident's account; says nothing about the resident. */
export function accountOf(residentId: string): string {
  return createHash('sha256').update(`account ${residentId}`).digest('base64url');
}
