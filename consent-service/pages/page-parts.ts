// What the routes of all citizen pages work with: the parts they are given, and how a page is sent.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { StatusOf } from '#consent-service/check-receipt.ts';
import type { Consents } from '#consent-service/consents.ts';
import type { Departments } from '#consent-service/departments.ts';
import type { EmergencyNotices } from '#consent-service/emergency-notices.ts';
import type { ReceiptUses } from '#consent-service/receipt-uses.ts';
import type { ShownAccesses } from '#consent-service/shown-accesses.ts';
import type { Sessions } from '#consent-service/sign-in/sign-in.ts';
import type { Clock } from '#core/clock.ts';
import type { ConfigurationSource } from '#core/configuration/snapshot.ts';
import type { Body } from '#core/http/pages/frame.ts';
import type { AskedQuestions } from './asked-question.ts';
import { languageOf } from './language.ts';
import { document } from './layout.ts';
import { type Voice, voiceOf } from './words.ts';

export interface PagesOptions {
  consents: Consents;
  notices: EmergencyNotices;
  sessions: Sessions;
  clock: Clock;
  /** Of the network's legal days, for the times on the pages. */
  utcOffsetMinutes: () => number;
  configuration: ConfigurationSource;
  /** What stands in this service's own status lists. */
  statusOf: StatusOf;
  /** Null without an own security server: then nobody can be asked. */
  departments: Departments | null;
  uses: ReceiptUses | null;
  questions: AskedQuestions;
  shown: ShownAccesses;
}

/** A sign-in that proves a person; giving the most sensitive items asks for more. */
export const LEVEL = 2;

const unread = new WeakMap<FastifyRequest, number>();

/** Counts, before a page is made, what the visitor has not read of what departments told: each page says so at its top. */
export async function countNotices({ sessions, notices }: PagesOptions, request: FastifyRequest): Promise<void> {
  const person = sessions.person(request);
  if (person !== null) unread.set(request, await notices.countUnread(person));
}

export function show(
  { sessions }: PagesOptions,
  request: FastifyRequest,
  reply: FastifyReply,
  voice: Voice,
  body: Body,
): FastifyReply {
  const csrf = sessions.person(request) === null ? null : sessions.csrfToken(request);
  const frame = { voice, path: pagePath(request), csrf, unread: unread.get(request) ?? 0 };
  return reply.type('text/html; charset=utf-8').send(document(frame, body));
}

/** The page on which this address, or the form that was sent to it, can be read again. */
export function pagePath(request: FastifyRequest): string {
  const [path = '/'] = request.url.split('?', 1);
  return path.replace(/\/(?:withdraw|pause|resume|accept|decline|end|agreed|answers|reported)$/, '');
}

export function voiceFor({ utcOffsetMinutes }: PagesOptions, request: FastifyRequest): Voice {
  return voiceOf(languageOf(request), utcOffsetMinutes());
}

export function param(request: FastifyRequest, name: string): string {
  return String((request.params as Record<string, unknown>)[name]);
}

/** The mandate in an address under which somebody acts for another; undefined for their own. */
export function actingFor(request: FastifyRequest): string | undefined {
  const mandate = (request.params as Record<string, unknown>)['mandate'];
  return mandate === undefined ? undefined : String(mandate);
}
