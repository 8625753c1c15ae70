// A sign-in under way (RFC 6749 10.12, RFC 7636, OpenID Connect Core 3.1.2.1): everything the callback has to match. It
// lies in the browser that started it, sealed, in a cookie of its own: what strangers start costs no row here, and a
// callback is worth something only in the browser that started it.
import type { KeyObject } from 'node:crypto';
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type {} from '@fastify/cookie';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { decipher, encipher } from '#certs/record-cipher.ts';
import { base64url } from '#schemas/base64url.ts';
import { Level } from '#schemas/dictionary-entry.ts';
import { parseJson } from '#schemas/json.ts';
import { MAX_SIGN_INS_PER_BROWSER, SIGN_IN_ATTEMPT_MS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';

const Text = Type.String({ maxLength: 1200 });
const SignInAttempt = Type.Object(
  {
    /** `again`: the person who is signed in, once more; `link`: another account of theirs. */
    kind: Type.Union([Type.Literal('sign-in'), Type.Literal('again'), Type.Literal('link')]),
    issuer: Text,
    state: Text,
    nonce: Text,
    /** PKCE. */
    verifier: Text,
    to: Text,
    level: Level,
    /** The person must prove anew who they are. */
    fresh: Type.Boolean(),
    /** Hash of the session id that asked, for `again` and `link`. */
    session: Type.Union([Text, Type.Null()]),
    startedAtMs: Type.Integer(),
  },
  { additionalProperties: false },
);
export type SignInAttempt = Static<typeof SignInAttempt>;

const check = compile(SignInAttempt, 'SIGN_IN_EXPIRED');
const ASSOCIATED = Buffer.from('accord-sign-in-attempt/1');
const STATE = /^[A-Za-z0-9_-]{43}$/;

/** 32 random bytes, base64url: state, verifier and nonce. */
export function randomValue(): string {
  return base64url(randomBytes(32));
}

export interface Attempts {
  /** Gives the browser its cookie, and takes back the oldest when it has too many. */
  keep(request: FastifyRequest, reply: FastifyReply, attempt: SignInAttempt): void;
  /** Takes the cookie of this state out of the browser. @throws SIGN_IN_EXPIRED when there is none that counts */
  take(request: FastifyRequest, reply: FastifyReply, state: unknown, nowMs: number): SignInAttempt;
}

/** @param prefix name of the cookies, e.g. `__Host-accord-sign-in-`; `secure` goes with it */
export function openAttempts(key: KeyObject, prefix: string, secure: boolean): Attempts {
  const options = { path: '/', httpOnly: true, secure, sameSite: 'lax' } as const;
  const nameOf = (state: string) => prefix + state.slice(0, 8);
  return {
    keep(request, reply, attempt) {
      const others = Object.keys(request.cookies).filter((name) => name.startsWith(prefix));
      for (const name of others.slice(0, Math.max(0, others.length + 1 - MAX_SIGN_INS_PER_BROWSER))) {
        reply.clearCookie(name, options);
      }
      const sealed = encipher(key, ASSOCIATED, Buffer.from(JSON.stringify(attempt)));
      reply.setCookie(nameOf(attempt.state), base64url(sealed), { ...options, maxAge: SIGN_IN_ATTEMPT_MS / 1000 });
    },
    take(request, reply, state, nowMs) {
      if (typeof state !== 'string' || !STATE.test(state)) throw new AccordError('SIGN_IN_EXPIRED', 'state');
      const cookie = request.cookies[nameOf(state)];
      if (cookie === undefined) throw new AccordError('SIGN_IN_EXPIRED', 'this browser started no such sign-in');
      reply.clearCookie(nameOf(state), options);
      const opened = decipher(key, ASSOCIATED, Buffer.from(cookie, 'base64url'));
      if (opened === null) throw new AccordError('SIGN_IN_EXPIRED', 'state');
      const attempt = check(parseJson(opened));
      if (!timingSafeEqual(Buffer.from(attempt.state), Buffer.from(state))) {
        throw new AccordError('SIGN_IN_EXPIRED', 'state');
      }
      if (nowMs - attempt.startedAtMs > SIGN_IN_ATTEMPT_MS) throw new AccordError('SIGN_IN_EXPIRED', 'too long ago');
      return attempt;
    },
  };
}
