// Identifiers of members, subsystems, security servers and services, in the words and the order X-Road uses:
// INSTANCE/CLASS/MEMBER, .../SUBSYSTEM or .../SERVER, .../SUBSYSTEM/SERVICE. They come from requests, from the
// configuration and from administrators; all of them pass here before anything is looked up.
import { AccordError } from './problems.ts';

export type MemberId = string & { readonly brand?: 'MemberId' };
export type SubsystemId = string & { readonly brand?: 'SubsystemId' };
export type ServerId = string & { readonly brand?: 'ServerId' };
export type ServiceId = string & { readonly brand?: 'ServiceId' };

/**
 * One segment: visible characters that need no escaping in a path and cannot be mistaken for another segment. Two points
 * one after the other are refused beside it.
 */
export const SEGMENT_PATTERN = '[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?';
/** JSON Schema patterns for identifiers. */
export const MEMBER_ID_PATTERN = `^${SEGMENT_PATTERN}(?:/${SEGMENT_PATTERN}){2}$`;
export const SUBSYSTEM_ID_PATTERN = `^${SEGMENT_PATTERN}(?:/${SEGMENT_PATTERN}){3}$`;
export const SERVICE_ID_PATTERN = `^${SEGMENT_PATTERN}(?:/${SEGMENT_PATTERN}){4}$`;

/** A provider's own group of subsystems, and one of the whole instance, as access rights name them. */
export const LOCAL_GROUP = 'local-group:';
export const GLOBAL_GROUP = 'global-group:';
export const GROUP_PATTERN = `(?:${LOCAL_GROUP}${SEGMENT_PATTERN}|${GLOBAL_GROUP}${SEGMENT_PATTERN}/${SEGMENT_PATTERN})`;

const shapeOf = (count: number) => new RegExp(`^${SEGMENT_PATTERN}(?:/${SEGMENT_PATTERN}){${count - 1}}$`);
const [THREE, FOUR, FIVE] = [shapeOf(3), shapeOf(4), shapeOf(5)];

/** The identifier, of exactly `count` segments. @throws IDENTIFIER_INVALID */
function shaped(text: string, shape: RegExp, count: number): string {
  if (shape.test(text) && !text.includes('..')) return text;
  throw new AccordError('IDENTIFIER_INVALID', `expected ${count} segments of letters, digits, '.', '_' and '-'`);
}

/** INSTANCE/CLASS/MEMBER. @throws IDENTIFIER_INVALID */
export function memberId(text: string): MemberId {
  return shaped(text, THREE, 3);
}

/** INSTANCE/CLASS/MEMBER/SUBSYSTEM. @throws IDENTIFIER_INVALID */
export function subsystemId(text: string): SubsystemId {
  return shaped(text, FOUR, 4);
}

/** INSTANCE/CLASS/MEMBER/SERVER. @throws IDENTIFIER_INVALID */
export function serverId(text: string): ServerId {
  return shaped(text, FOUR, 4);
}

/** INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE. @throws IDENTIFIER_INVALID */
export function serviceId(text: string): ServiceId {
  return shaped(text, FIVE, 5);
}

/** The subsystem that offers a service: the first four segments of a valid service identifier. */
export function subsystemOfService(service: ServiceId): SubsystemId {
  return service.slice(0, service.lastIndexOf('/'));
}

/** The member a subsystem or a security server belongs to: the first three segments. */
export function memberOf(subsystemOrServer: SubsystemId | ServerId): MemberId {
  return subsystemOrServer.slice(0, subsystemOrServer.lastIndexOf('/'));
}
