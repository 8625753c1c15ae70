// What all routes of the auditor's pages work with: the parts they are given, sessions, forms, and how a page is sent. The
// auditor's browser controls cookies, addresses and forms.

import { createHash } from 'node:crypto';
import type {} from '@fastify/cookie';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { fieldsOf, readFields } from '#core/http/pages/form.ts';
import type { Body } from '#core/http/pages/frame.ts';
import { AccordError } from '#schemas/problems.ts';
import type { ServerParts } from '#security-server/server-parts.ts';
import type { AuditRun } from './audit-run.ts';
import type { PackSigner } from './examine.ts';
import { languageOf } from './language.ts';
import { document } from './layout.ts';
import { type AuditorSession, type AuditorSessions, checkCsrf } from './sessions.ts';
import type { AuditorThread } from './thread.ts';
import type { AuditorTrail } from './trail.ts';

export interface AuditorParts {
  server: ServerParts;
  sessions: AuditorSessions;
  thread: AuditorThread;
  audit: AuditRun;
  trail: AuditorTrail;
}

/** Cookies know hosts, not ports: servers on one machine must not take each other's away. */
export function cookieName(server: string): string {
  return `accord-auditor-${createHash('sha256').update(server).digest('hex').slice(0, 12)}`;
}

export function sessionOf({ server, sessions }: AuditorParts, { cookies }: FastifyRequest): AuditorSession | null {
  return sessions.of(cookies[cookieName(server.self)]);
}

/** @throws SESSION_REQUIRED */
export function requireSession(parts: AuditorParts, request: FastifyRequest): AuditorSession {
  const session = sessionOf(parts, request);
  if (session === null) throw new AccordError('SESSION_REQUIRED');
  return session;
}

/**
 * A form of these pages: from this origin, of this session, with known fields only, each at most once.
 * @throws SESSION_REQUIRED, CSRF_REFUSED, SCHEMA_MISMATCH
 */
export function readForm<N extends string>(
  parts: AuditorParts,
  request: FastifyRequest,
  maxChars: Readonly<Record<N, number>>,
): { session: AuditorSession; fields: Partial<Record<N, string>> } {
  requireSameOrigin(request);
  const session = requireSession(parts, request);
  checkCsrf(fieldsOf(request)['csrf'], session);
  return { session, fields: readFields(request, maxChars) };
}

/** The browser says where a form comes from (Fetch Metadata; RFC 6454). @throws CSRF_REFUSED */
export function requireSameOrigin({ headers }: FastifyRequest): void {
  const site = headers['sec-fetch-site'];
  const origin = URL.parse(headers.origin ?? '')?.host;
  if (site === undefined ? origin !== headers.host : site !== 'same-origin') {
    throw new AccordError('CSRF_REFUSED', 'the request comes from another site');
  }
}

export function show(parts: AuditorParts, request: FastifyRequest, reply: FastifyReply, body: Body): FastifyReply {
  const frame = {
    language: languageOf(request),
    server: parts.server.self,
    path: pagePath(request),
    session: sessionOf(parts, request),
  };
  return reply.type('text/html; charset=utf-8').send(document(frame, body));
}

/** The page on which this address, or the form that was sent to it, can be read again. */
export function pagePath({ method, url }: FastifyRequest): string {
  if (method === 'GET') return url;
  return url.startsWith('/auditor/log')
    ? '/auditor/log'
    : url.startsWith('/auditor/sign')
      ? '/auditor/sign-in'
      : '/auditor';
}

/** With what packs are sealed: the signing key in use. @throws KEY_UNUSABLE, CERTIFICATE_NOT_REGISTERED */
export function packSigner({ configuration, keys, self }: ServerParts): PackSigner {
  const { key, certificateHash } = keys.signing();
  const registered = configuration.current().server(self)?.signingCertificates ?? [];
  const certificate = registered.find(({ hash }) => hash === certificateHash)?.der;
  if (certificate === undefined) throw new AccordError('CERTIFICATE_NOT_REGISTERED', self);
  return { key, certificate };
}
