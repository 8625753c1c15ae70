// What the routes of all citizen pages work with: the parts they are given, and how a page is sent.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Consents } from '#consent-service/consents.ts';
import type { Sessions } from '#consent-service/sign-in/sign-in.ts';
import type { Clock } from '#core/clock.ts';
import { languageOf } from './language.ts';
import { type Body, document } from './layout.ts';
import { type Voice, voiceOf } from './words.ts';

export interface PagesOptions {
  consents: Consents;
  sessions: Sessions;
  clock: Clock;
  /** Of the network's legal days, for the times on the pages. */
  utcOffsetMinutes: () => number;
}

/** A sign-in that proves a person; giving the most sensitive items asks for more. */
export const LEVEL = 2;

export function show(
  { sessions }: PagesOptions,
  request: FastifyRequest,
  reply: FastifyReply,
  voice: Voice,
  body: Body,
): FastifyReply {
  const csrf = sessions.person(request) === null ? null : sessions.csrfToken(request);
  return reply.type('text/html; charset=utf-8').send(document({ voice, path: pagePath(request), csrf }, body));
}

/** The page on which this address, or the form that was sent to it, can be read again. */
export function pagePath(request: FastifyRequest): string {
  const [path = '/'] = request.url.split('?', 1);
  return path.replace(/\/(?:withdraw|pause|resume|agreed)$/, '');
}

export function voiceFor({ utcOffsetMinutes }: PagesOptions, request: FastifyRequest): Voice {
  return voiceOf(languageOf(request), utcOffsetMinutes());
}

export function param(request: FastifyRequest, name: string): string {
  return String((request.params as Record<string, unknown>)[name]);
}
