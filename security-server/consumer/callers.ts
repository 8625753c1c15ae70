// Who calls on behalf of which subsystem. A connection has up to two things to show: a client certificate, and the address
// it comes from; each subsystem says what is enough (state.ts, ConnectionRule). A registered certificate always is; a
// weaker mode only adds ways. Headers such as X-Forwarded-For are never looked at: the address is the socket's own.
//
// The information system controls the certificate it shows and the subsystem it names, the network its address.
import type { CallerWay } from '#schemas/context.ts';
import { AccordError } from '#schemas/problems.ts';
import type { ConsumerParts } from '#security-server/server-parts.ts';
import { type AddressList, LOOPBACK_ADDRESSES, openAddressList } from '#security-server/source-addresses.ts';
import type { ConnectionRule } from '#security-server/state.ts';
import type { Caller } from './call.ts';

export interface Connection {
  isTls: boolean;
  /** As the socket says. */
  address: string;
  /** The client certificate, base64url SHA-256 of its DER; null when none was shown. */
  certificate: { hash: string; isInTime: boolean } | null;
}

export const isLoopback = openAddressList(LOOPBACK_ADDRESSES);

/** Rules do not change; a new one is another object. */
const opened = new WeakMap<ConnectionRule, AddressList>();

function isListed(rule: ConnectionRule, address: string): boolean {
  const list = opened.get(rule) ?? openAddressList(rule.addresses);
  opened.set(rule, list);
  return list(address);
}

/** Whether an address is enough for some subsystem, over TLS or in clear. */
export function isExpectedAddress({ state }: ConsumerParts, address: string, isTls: boolean): boolean {
  if (!isTls && isLoopback(address)) return true;
  return state.connectionRules().some((rule) => {
    const isWay = rule.mode === 'NOSSL' || (isTls && rule.mode === 'SSLNOAUTH');
    return isWay && isListed(rule, address);
  });
}

/** True when the connection can speak for no subsystem at all, so that nothing needs to be read from it. */
export function isStranger(server: ConsumerParts, { isTls, address, certificate }: Connection): boolean {
  const isRegistered = certificate?.isInTime && server.state.systemsByCertificate(certificate.hash).length > 0;
  return !isRegistered && !isExpectedAddress(server, address, isTls);
}

export function openCaller(server: ConsumerParts, connection: Connection): Caller {
  return { authenticate: (subsystem) => authenticate(server, connection, subsystem) };
}

/** @throws CALLER_NOT_ALLOWED, CALLER_UNPROVEN */
function authenticate(server: ConsumerParts, connection: Connection, subsystem: string): CallerWay {
  const { isTls, address, certificate } = connection;
  const registered = certificate === null ? [] : server.state.systemsByCertificate(certificate.hash);
  const isItsOwn = registered.some((system) => system.subsystem === subsystem);
  if (isItsOwn && certificate?.isInTime) return 'certificate';
  const isMine = server.configuration.current().server(server.self)?.subsystems.has(subsystem) ?? false;
  if (!isMine) throw new AccordError('CALLER_NOT_ALLOWED', subsystem);
  const rule = server.state.connectionRule(subsystem);
  if (rule === null) {
    if (!isTls && isLoopback(address)) return 'loopback';
  } else if (rule.mode !== 'SSLAUTH' && isListed(rule, address)) {
    if (isTls) return 'tls-address';
    if (rule.mode === 'NOSSL') return 'address';
  }
  const came = cameAs(connection);
  // A system that is known, and speaks for another.
  if (registered.length > 0 && certificate?.isInTime) {
    throw new AccordError('CALLER_NOT_ALLOWED', `${subsystem}: expected ${expected(rule)}; came ${came}`);
  }
  throw new AccordError('CALLER_UNPROVEN', `${subsystem}: expected ${expected(rule)}; came ${came}`);
}

/** What a stranger is told that named no subsystem. */
export function strangerDetail(connection: Connection): string {
  const wanted = connection.isTls
    ? 'a registered client certificate, or a listed address'
    : 'loopback, or a listed address';
  return `expected ${wanted}; came ${cameAs(connection)}`;
}

function expected(rule: ConnectionRule | null): string {
  if (rule === null) return "HTTPS with a registered client certificate, or plain HTTP on the server's own machine";
  if (rule.mode === 'SSLAUTH') return 'HTTPS with a registered client certificate (SSLAUTH)';
  if (rule.mode === 'SSLNOAUTH') return 'HTTPS from a listed address (SSLNOAUTH)';
  return 'HTTP or HTTPS from a listed address (NOSSL)';
}

function cameAs({ isTls, address, certificate }: Connection): string {
  if (!isTls) return `plain HTTP from ${address}`;
  if (certificate === null) return `HTTPS without a client certificate from ${address}`;
  if (!certificate.isInTime) return `HTTPS with a certificate that has expired or is not valid yet from ${address}`;
  return `HTTPS with a certificate that is not registered for it from ${address}`;
}
