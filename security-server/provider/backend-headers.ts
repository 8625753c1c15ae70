// Which headers go to a backend and come back from it. The consumer controls those of the request, the department's backend
// those of the answer; neither may add a hop-by-hop header (RFC 9110 7.6.1) or one that says who is asking, in any
// spelling a backend may take for it.
import { meantBy } from '#core/http/server-frame.ts';
import type { HeaderList, RequestContext } from '#schemas/context.ts';
import type { Statement } from '#schemas/statement.ts';
import { NEVER_PASSED } from '#security-server/xroad/headers.ts';

const words = (text: string) => text.split(' ');
const HOP_BY_HOP = words(
  'connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade expect host content-length server date',
);

/** What is left out: of a lookup more than of a call in X-Road's protocol, which passes on what it is not for. */
export interface HeaderRules {
  notForwarded: ReadonlySet<string>;
  notReturned: ReadonlySet<string>;
  /** Whether the answer may come in a content coding: what is looked into may not. */
  coded: boolean;
}

const LOOKUP_RULES: HeaderRules = {
  notForwarded: new Set([...HOP_BY_HOP, ...words('user-agent accept-encoding cookie authorization')]),
  notReturned: new Set([...HOP_BY_HOP, ...words('set-cookie content-type')]),
  coded: false,
};
/** PR-REST 4.3: only the list of the protocol is taken out. */
const XROAD_RULES: HeaderRules = {
  notForwarded: NEVER_PASSED,
  notReturned: new Set([...NEVER_PASSED, 'content-type']),
  coded: true,
};
/** The same of a bound service, whose answer this server has to be able to read. */
const BOUND_XROAD_RULES: HeaderRules = {
  ...LOOKUP_RULES,
  notForwarded: new Set([...NEVER_PASSED, 'accept-encoding']),
};

export function headerRules(isXRoad: boolean, isBound: boolean): HeaderRules {
  if (!isXRoad) return LOOKUP_RULES;
  return isBound ? BOUND_XROAD_RULES : XROAD_RULES;
}

const OWN = /^(?:accord|x-road)-/;

/** Headers a request may carry on to the backend. */
export function forwardable(headers: HeaderList, { notForwarded }: HeaderRules): HeaderList {
  return allowed(headers, notForwarded);
}

/** Headers an answer may carry back. */
export function returnable(headers: HeaderList, { notReturned }: HeaderRules): HeaderList {
  return allowed(headers, notReturned).filter(([name]) => NAME.test(name));
}

const NAME = /^[a-z0-9!#$%&'*+.^_`|~-]{1,128}$/;

function allowed(headers: HeaderList, not: ReadonlySet<string>): HeaderList {
  const named = namedByConnection(headers);
  return headers.filter(([name]) => {
    const meant = meantBy(name);
    return !not.has(meant) && !named.has(name) && !OWN.test(meant);
  });
}

/** RFC 9110 7.6.1: what the Connection header names ends at the next hop as well. */
function namedByConnection(headers: HeaderList): Set<string> {
  const values = headers.filter(([name]) => name === 'connection').map(([, value]) => value.toLowerCase());
  return new Set(values.join(',').split(/[\s,]+/));
}

/** Who asks, on what grounds, under which number: what the department's backend may rely on. */
export function identityHeaders(
  { id, client, service, basis, purpose }: Pick<Statement, 'id' | 'client' | 'service' | 'basis' | 'purpose'>,
  context: RequestContext,
): HeaderList {
  const { issue, userId, xroad } = context;
  return [
    ['accord-message-id', id],
    ['accord-client', client],
    ['accord-service', service],
    ['accord-basis', basis],
    ...given('accord-purpose', purpose),
    ...given('accord-issue', issue && encodeURIComponent(issue)),
    ...given('accord-user-id', userId && encodeURIComponent(userId)),
    ...(xroad === null
      ? []
      : ([
          ['X-Road-Client', client],
          ['X-Road-Service', service],
          ['X-Road-Id', bytes(xroad.id)],
          ['X-Road-Request-Id', id],
          ...given('X-Road-UserId', userId && bytes(userId)),
          ...given('X-Road-Issue', issue && bytes(issue)),
          ...given('X-Road-Represented-Party', xroad.representedParty && bytes(xroad.representedParty)),
          ...given('X-Road-Security-Server', xroad.securityServer),
        ] as HeaderList)),
  ];
}

function given(name: string, value: string | null): HeaderList {
  return value === null ? [] : [[name, value]];
}

/** X-Road's headers hold UTF-8 as it is; on the wire they are latin1 to Node. */
function bytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
