// What a case of the conformance suite is: the number and the words of one rule, what is sent, what has to come back and what
// has to arrive at the backend. Placeholders in texts are filled from the setting:
//   {service} {provider} {instance} {service code} {escaped service} {client}; {denied} {disabled} {over the limit}, which the
//   command line names; {base}, the path of the backend's base URL without a slash at its end

import type { Seen } from './echo.ts';
import type { Came, Header } from './wire.ts';

/** What a case needs beyond the server under test. */
export type Need = 'echo' | 'denied' | 'disabled' | 'described' | 'limit';

export interface Ask {
  method?: string;
  /** `/r1/{service}/conformance/echo` unless said. */
  target?: string;
  /** Sent behind Host, X-Road-Client and the case's own header, in this order. */
  headers?: readonly Header[];
  /** Sends X-Road-Client unless false. */
  client?: boolean;
  body?: Buffer | 'large';
  /** Sends the body in chunks, without a length. */
  chunked?: boolean;
}

/** A text as it is, one of a form, several in this order, or none at all. */
export type Wanted = string | RegExp | readonly string[] | null;

export interface Expect {
  status?: number | readonly number[];
  /** Type of the exchange's error, in CamelCase. Without it the backend's own answer is expected. */
  error?: string | RegExp;
  /** Of the answer; names in lower case. */
  headers?: Readonly<Record<string, Wanted>>;
  body?: Buffer | RegExp | 'sent';
  /** What arrived at the backend. */
  seen?: {
    method?: string /** One of them. */;
    target?: string | readonly string[];
    headers?: Readonly<Record<string, Wanted>>;
    body?: 'sent' | Buffer;
  };
  /** What data cannot say: null, or what was wrong. */
  also?: (told: Told) => string | null;
}

export interface Case {
  /** Chapter and number; stable. */
  rule: string;
  words: string;
  ask: Ask;
  expect: Expect;
  /** The answer need not be in the form of the protocol: whoever reads a request first may have refused it. */
  anyError?: boolean;
  needs?: readonly Need[];
}

/** One case after it was sent. */
export interface Told {
  came: Came;
  seen: Seen | null;
  /** The request line's target and every header as they were sent. */
  sent: { method: string; target: string; headers: readonly Header[]; body: Buffer };
  fill(text: string): string;
  /** The answer of an earlier case to this target. */
  earlier(target: string): Came | undefined;
}

/** All values of a header, in order. */
export function valuesOf(headers: readonly Header[], name: string): string[] {
  return headers.filter(([each]) => each.toLowerCase() === name).map(([, value]) => value);
}

/** The cases of one rule, numbered in their order. */
export function rule(number: string, words: string, rows: readonly Omit<Case, 'rule' | 'words'>[]): Case[] {
  return rows.map((row, at) => ({ rule: `${number}.${at + 1}`, words, ...row }));
}

export const badRequest: Expect = { status: 400, error: 'Client.BadRequest' };
/** Needs the test service behind the server under test. */
export const byEcho = ['echo'] as const;
