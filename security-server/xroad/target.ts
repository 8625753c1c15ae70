// The target of a call in X-Road's REST message protocol (PR-REST 4.1): /r1/{instance}/{class}/{member}/{subsystem}/{service},
// then the service path and the query, which are forwarded byte for byte. Five segments are identifiers and are
// percent-decoded; the rest has to have one reading, or is refused before access is checked (service-path.ts). The calling
// information system controls every byte.
import { type ServiceId, serviceId } from '#schemas/identifiers.ts';
import { AccordError } from '#schemas/problems.ts';
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

/** @throws XROAD_TARGET_MALFORMED, PATH_REFUSED */
export function readTarget(target: string): XRoadTarget {
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const query = mark === -1 ? null : target.slice(mark + 1);
  if (!path.startsWith(XROAD_PREFIX)) throw malformed('it does not begin with /r1/');
  const segments = path.slice(XROAD_PREFIX.length).split('/');
  if (segments.length < SEGMENTS)
    throw malformed('five identifiers are needed: instance, class, member, subsystem, service');
  const rest = segments.slice(SEGMENTS);
  return {
    service: identifier(segments.slice(0, SEGMENTS)),
    path: servicePath(rest.length === 0 ? '' : `/${rest.join('/')}`),
    query: query === null ? null : serviceQuery(query),
  };
}

/** @throws XROAD_TARGET_MALFORMED */
function identifier(segments: readonly string[]): ServiceId {
  try {
    return serviceId(segments.map(decodeSegment).join('/'));
  } catch (cause) {
    if (cause instanceof AccordError && cause.code === 'XROAD_TARGET_MALFORMED') throw cause;
    throw malformed('an identifier', cause);
  }
}

// RFC 3986 pchar.
const SEGMENT = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})+$/;

/** Percent-decodes one identifier, UTF-8. @throws XROAD_TARGET_MALFORMED */
export function decodeSegment(segment: string): string {
  if (!SEGMENT.test(segment)) throw malformed('an identifier has characters outside RFC 3986, or is empty');
  let text: string;
  try {
    text = decodeURIComponent(segment);
  } catch (cause) {
    throw malformed('an identifier’s escapes are not UTF-8', cause);
  }
  if (/\p{Cc}/u.test(text)) throw malformed('an identifier has a control character');
  // An encoded slash is part of the identifier; no registered one has it, so that this names nobody.
  if (text.includes('/')) throw malformed('no identifier here has a slash');
  return text;
}

function malformed(detail: string, cause?: unknown): AccordError {
  return new AccordError('XROAD_TARGET_MALFORMED', detail, { cause });
}
