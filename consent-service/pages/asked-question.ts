// A question that a citizen has asked and not yet signed in for: it lies sealed in the browser that asked, for as long as
// departments take it. It counts only if the nonce in the ID token that comes back is the hash of it.
import type { KeyObject } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { sha256 } from '#certs/commitment.ts';
import { decipher, encipher } from '#certs/record-cipher.ts';
import { AccessesQuestion, DoubtQuestion, questionText } from '#schemas/accesses.ts';
import { parseJson } from '#schemas/json.ts';
import { CITIZEN_QUESTION_LIFETIME_MS } from '#schemas/limits.ts';
import { compile } from '#schemas/validate.ts';

const COOKIE = 'accord-asked';
const ASSOCIATED = Buffer.from('accord-asked-question/1');
const check = {
  accesses: compile(AccessesQuestion, 'SIGN_IN_EXPIRED'),
  doubt: compile(DoubtQuestion, 'SIGN_IN_EXPIRED'),
};

export interface AskedQuestions {
  /** Gives it to the browser; returns the nonce for the sign-in. */
  keep(reply: FastifyReply, question: AccessesQuestion | DoubtQuestion): string;
  /** Takes it out of the browser; null when there is none of this kind, or the sign-in was made for something else. */
  take<K extends keyof typeof check>(
    request: FastifyRequest,
    reply: FastifyReply,
    kind: K,
    nonce: string | null,
  ): ReturnType<(typeof check)[K]> | null;
}

/** @param secure whether citizens come over https */
export function openAskedQuestions(key: KeyObject, secure: boolean): AskedQuestions {
  const options = { path: '/', httpOnly: true, secure, sameSite: 'lax' } as const;
  return {
    keep(reply, question) {
      const text = questionText(question);
      const sealed = encipher(key, ASSOCIATED, Buffer.from(text)).toString('base64url');
      reply.setCookie(COOKIE, sealed, { ...options, maxAge: CITIZEN_QUESTION_LIFETIME_MS / 1000 });
      return sha256(text);
    },
    take<K extends keyof typeof check>(request: FastifyRequest, reply: FastifyReply, kind: K, nonce: string | null) {
      const cookie = request.cookies[COOKIE];
      if (cookie === undefined) return null;
      const opened = decipher(key, ASSOCIATED, Buffer.from(cookie, 'base64url'));
      if (opened === null || sha256(opened) !== nonce) return null;
      const value = parseJson(opened);
      if (typeof value !== 'object' || value === null || !('kind' in value) || value['kind'] !== kind) return null;
      reply.clearCookie(COOKIE, options);
      return check[kind](value) as ReturnType<(typeof check)[K]>;
    },
  };
}
