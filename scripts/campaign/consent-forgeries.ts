// What somebody without a consent service's key can do to a receipt, and a few things that one with such a key must not:
// each makes a text that stands for nothing. None gives back the text it was given.
import { createHmac } from 'node:crypto';
import { signCompact } from '#certs/jws.ts';
import type { NamedKey } from '#certs/registered-key.ts';
import { base64url, fromBase64url } from '#schemas/base64url.ts';

export interface Forged {
  /** The text, and another that is as good as it, of another subject and of the other consent service. */
  text: string;
  other: string;
  /** Nobody registered it. */
  stranger: NamedKey;
}

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

const FORGERIES = {
  padding: ({ text }) => edited(text, 1, (payload) => `${payload}=`),
  'padding of the signature': ({ text }) => `${text}==`,
  'spare bits': ({ text }) => text.slice(0, -1) + twinOf(text.at(-1) ?? ''),
  'another alphabet': ({ text }) =>
    text.replace(/[-_]/, (mark) => (mark === '-' ? '+' : '/')).replace(/^(?!.*[+/])/, '+'),
  'white space': ({ text }) => text.replace('.', '.\n'),
  'upper case': ({ text }) =>
    edited(text, 2, (signature) => signature.replace(/[a-z]/, (letter) => letter.toUpperCase())),
  'a fourth part': ({ text }) => `${text}.`,
  'no signature': ({ text }) => edited(text, 2, () => ''),
  'half a signature': ({ text }) => edited(text, 2, (signature) => signature.slice(0, 43)),
  'the twin signature': ({ text }) => edited(text, 2, twinSignature),
  'header in another order': ({ text }) => reheaded(text, ({ alg, typ, kid }) => ({ kid, typ, alg })),
  'one more header': ({ text }) => reheaded(text, (header) => ({ ...header, iat: 1 })),
  'no algorithm': ({ text }) =>
    edited(
      reheaded(text, (header) => ({ ...header, alg: 'none' })),
      2,
      () => '',
    ),
  'a shared secret': ({ text }) => withSharedSecret(reheaded(text, (header) => ({ ...header, alg: 'HS256' }))),
  'a key of its own': ({ text, stranger }) => withOwnKey(text, stranger),
  'spaces in the claims': ({ text }) => reclaimed(text, (claims) => claims, 1),
  'claims in another order': ({ text }) =>
    reclaimed(text, (claims) => Object.fromEntries(Object.entries(claims).reverse())),
  'one more claim': ({ text }) => reclaimed(text, (claims) => ({ ...claims, more: 1 })),
  'more elements': ({ text }) => reclaimed(text, (claims) => ({ ...claims, elements: ['gx.name@1', 'gx.never@1'] })),
  'a longer life': ({ text }) => reclaimed(text, (claims) => ({ ...claims, exp: Number(claims['exp']) + 1 })),
  'more uses': ({ text }) => reclaimed(text, (claims) => ({ ...claims, uses: 999_999 })),
  'status of another': ({ text, other }) =>
    reclaimed(text, (claims) => ({ ...claims, status: claimsOf(other)['status'] })),
  'subject of another': ({ text, other }) =>
    reclaimed(text, (claims) => ({ ...claims, subject: claimsOf(other)['subject'] })),
  'header of another': ({ text, other }) => edited(text, 0, () => part(other, 0)),
  'claims of another': ({ text, other }) => edited(text, 1, () => part(other, 1)),
  'signature of another': ({ text, other }) => edited(text, 2, () => part(other, 2)),
  'cut off': ({ text }) => text.slice(0, -7),
  'not a receipt': () => 'x',
} satisfies Record<string, (forged: Forged) => string>;

/** Signed as it stands by the consent service itself: the subject is not what a subject has to be. */
const MISMADE = [
  'sealed for another receipt',
  'sealed for another provider',
  'a subject that leads elsewhere',
] as const;

export type Forgery = keyof typeof FORGERIES;
export type Spoil = Forgery | (typeof MISMADE)[number];
export const SPOILS: readonly Spoil[] = [...(Object.keys(FORGERIES) as Forgery[]), ...MISMADE];

export function isForgery(spoil: Spoil): spoil is Forgery {
  return spoil in FORGERIES;
}

/** @throws TypeError when nothing was changed */
export function forge(forgery: Forgery, forged: Forged): string {
  const text = FORGERIES[forgery](forged);
  if (text === forged.text) throw new TypeError(`${forgery} changed nothing`);
  return text;
}

type Claims = Record<string, unknown>;

function part(text: string, at: number): string {
  return text.split('.')[at] ?? '';
}

function edited(text: string, at: number, edit: (part: string) => string): string {
  return text
    .split('.')
    .map((each, place) => (place === at ? edit(each) : each))
    .join('.');
}

function reheaded(text: string, change: (header: Claims) => Claims): string {
  return edited(text, 0, (header) => encoded(change(JSON.parse(fromBase64url(header).toString())), 0));
}

function reclaimed(text: string, change: (claims: Claims) => Claims, spaces = 0): string {
  return edited(text, 1, () => encoded(change(claimsOf(text)), spaces));
}

function claimsOf(text: string): Claims {
  return JSON.parse(fromBase64url(part(text, 1)).toString());
}

function encoded(value: Claims, spaces: number): string {
  return base64url(Buffer.from(JSON.stringify(value, null, spaces)));
}

/** Another last letter for the same bytes: 86 letters hold four bits more than 64 bytes. */
function twinOf(letter: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return alphabet[alphabet.indexOf(letter) ^ 1] ?? '';
}

/** (r, n - s) verifies wherever (r, s) does. */
function twinSignature(signature: string): string {
  const bytes = fromBase64url(signature);
  const s = BigInt(`0x${bytes.subarray(32).toString('hex')}`);
  return base64url(
    Buffer.concat([bytes.subarray(0, 32), Buffer.from((ORDER - s).toString(16).padStart(64, '0'), 'hex')]),
  );
}

/** As if the registered name of the key were a secret. */
function withSharedSecret(text: string): string {
  const input = text.slice(0, text.lastIndexOf('.'));
  return `${input}.${createHmac('sha256', part(text, 0)).update(input).digest('base64url')}`;
}

function withOwnKey(text: string, { kid, privateKey }: NamedKey): string {
  return signCompact(
    fromBase64url(part(text, 1)),
    { typ: 'accord-receipt+jwt', kid },
    { alg: 'ES256', key: privateKey },
  );
}
