// The target of a call in X-Road's REST message protocol (PR-REST 4.1): /r1/{instance}/{class}/{member}/{subsystem}/{service},
// then the service path and the query, which are forwarded byte for byte. Five segments are identifiers and are
// percent-decoded; the rest has to have one reading, or is refused before access is checked (service-path.ts). X-Road's
// identifiers may hold nearly any character, encoded slashes too; here they are words joined by slashes, so that one which
// is no such word is nobody's, and is answered as any unknown name. The calling information system controls every byte.
import { type ServiceId, type SubsystemId, serviceId, subsystemId } from '#schemas/identifiers.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { servicePath, serviceQuery } from '#schemas/service-path.ts';

export const XROAD_PREFIX = '/r1/';
const SEGMENTS = 5;

export interface XRoadTarget {
  service: ServiceId;
  /** '' or '/…': appended to the service's base URL as it is. */
  path: string;
  /** Without '?'; null when there is none, '' for a lone '?'. */
  query: string | null;
}

/**
 * @param isProvider whether a subsystem is known to offer services: without it a service that cannot exist is all that is told
 * @throws XROAD_TARGET_MALFORMED, PATH_REFUSED; then PROVIDER_UNKNOWN, SERVICE_UNKNOWN for identifiers nobody here can have
 */
export function readTarget(target: string, isProvider: (id: SubsystemId) => boolean = () => true): XRoadTarget {
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const query = mark === -1 ? null : target.slice(mark + 1);
  if (!path.startsWith(XROAD_PREFIX)) throw malformed('it does not begin with /r1/');
  const segments = path.slice(XROAD_PREFIX.length).split('/');
  if (segments.length < SEGMENTS)
    throw malformed('five identifiers are needed: instance, class, member, subsystem, service');
  const rest = segments.slice(SEGMENTS);
  const parts = segments.slice(0, SEGMENTS).map(decodePart);
  const forwarded = {
    path: servicePath(rest.length === 0 ? '' : `/${rest.join('/')}`),
    query: query === null ? null : serviceQuery(query),
  };
  const provider = named(parts.slice(0, -1), subsystemId);
  const service = provider === null ? null : named(parts, serviceId);
  if (service !== null) return { service, ...forwarded };
  const isKnown = provider !== null && isProvider(provider);
  throw new AccordError(isKnown ? 'SERVICE_UNKNOWN' : 'PROVIDER_UNKNOWN', segments.slice(0, SEGMENTS).join('/'));
}

/** The identifier that these parts are; null when nothing here can bear it, as with a slash inside a part. */
export function named<T extends string>(parts: readonly string[], read: (text: string) => T): T | null {
  if (parts.some((part) => part.includes('/'))) return null;
  try {
    return read(parts.join('/'));
  } catch (cause) {
    if (isAccordError(cause, 'IDENTIFIER_INVALID')) return null;
    throw cause;
  }
}

// RFC 3986 pchar.
const PART = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})+$/;

/**
 * Percent-decodes one part of an identifier, UTF-8. An encoded slash belongs to it; what a reader on the way could take for
 * another target does not. @throws XROAD_TARGET_MALFORMED
 */
export function decodePart(part: string): string {
  if (!PART.test(part)) throw malformed('an identifier has characters outside RFC 3986, or is empty');
  let text: string;
  try {
    text = decodeURIComponent(part);
  } catch (cause) {
    throw malformed('an identifier’s escapes are not UTF-8', cause);
  }
  if (/\p{Cc}/u.test(text)) throw malformed('an identifier has a control character');
  if (/\\|%[0-9A-Fa-f]{2}/.test(text)) throw malformed('an identifier has a backslash, or is encoded twice');
  if (text.split('/').some((each) => /^\.{1,2}$/.test(each))) throw malformed('an identifier has a dot segment');
  return text;
}

function malformed(detail: string, cause?: unknown): AccordError {
  return new AccordError('XROAD_TARGET_MALFORMED', detail, { cause });
}
