// Sessions of citizens: an opaque random id in a cookie, a sealed row in the store, and the linked accounts of the same
// person. The browser controls the cookie; nothing else of a request says who somebody is.
import { createHash, createHmac, type KeyObject, randomBytes } from 'node:crypto';
import { cipherKey, decipher, encipher } from '#certs/record-cipher.ts';
import { storageSubkeyOf } from '#certs/storage-key.ts';
import type { Person } from '#consent-service/consents.ts';
import type { Clock } from '#core/clock.ts';
import { base64url } from '#schemas/base64url.ts';
import { Level } from '#schemas/dictionary-entry.ts';
import { parseJson } from '#schemas/json.ts';
import {
  MAX_LINKED_ACCOUNTS,
  MAX_SESSIONS_PER_ACCOUNT,
  SESSION_ABSOLUTE_MS,
  SESSION_IDLE_MS,
  SIGN_IN_ATTEMPT_MS,
} from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';
import type { LinkRow, SessionStore } from './session-store.ts';

const closed = { additionalProperties: false };
const Subject = { issuer: Type.String(), sub: Type.String(), scheme: Type.String(), value: Type.String() };
/** An account at an identity provider and the identifier that it vouches for. */
const Account = Type.Object(Subject, closed);
export type Account = Static<typeof Account>;

/** What a verified sign-in says. */
const SignIn = Type.Object(
  {
    account: Account,
    level: Level,
    /** Of the ID token: our own random value, or what the caller bound to this sign-in. */
    nonce: Type.String(),
    idToken: Type.String(),
    salt: Type.String(),
  },
  closed,
);
export type SignIn = Static<typeof SignIn>;

/** A session in force, as one request found it. */
export interface LiveSession {
  id: string;
  idHash: string;
  startedAtMs: number;
  signIn: SignIn;
  person: Person;
  /** Accounts of the person, the one that is signed in with first; `key` names one in forms. */
  accounts: (Account & { key: string })[];
}

export interface SessionRegister {
  /** The session of a cookie's value; null for everything that is no session in force. */
  find(id: string | undefined): Promise<LiveSession | null>;
  /**
   * Begins a session under a new id, in place of `replaces`; its end is reckoned from `startedAtMs`.
   * @returns the id for the cookie @throws SIGN_IN_EXPIRED when this sign-in was used before
   */
  begin(signIn: SignIn, state: string, replaces: LiveSession | null, startedAtMs: number): Promise<string>;
  end(session: LiveSession): Promise<void>;
  /** Makes a second account the same person's. @throws LINK_CONFLICT */
  link(session: LiveSession, added: SignIn): Promise<void>;
  unlink(session: LiveSession, accountKey: string): Promise<void>;
  /** True when the account is the session's own or linked with it. */
  isSamePerson(session: LiveSession, account: Account): boolean;
}

const SEEN_EVERY_MS = 30_000;
const ID = /^[A-Za-z0-9_-]{43}$/;
const readSignIn = compile(SignIn, 'INTERNAL');
const readAccount = compile(Account, 'INTERNAL');

/**
 * @param secret 32 bytes, kept outside the database: without it the rows say nothing
 * @param onAlarm told when a linked account came back with another identifier
 */
export function openSessionRegister(
  store: SessionStore,
  secret: Buffer,
  clock: Clock,
  onAlarm: (code: string, detail: string) => void,
): SessionRegister {
  const key = cipherKey(storageSubkeyOf(secret, 'sessions'));
  const tagKey = storageSubkeyOf(secret, 'sign-in tags');
  const accountKey = ({ issuer, sub }: Account) => tag(tagKey, 'account', issuer, sub);
  const linkRow = ({ account, level }: SignIn): LinkRow => {
    const id = accountKey(account);
    const subject = tag(tagKey, 'subject', account.scheme, account.value);
    return { account: id, subject, scheme: account.scheme, level, sealed: seal(key, `link ${id}`, account) };
  };

  async function live(id: string, idHash: string, startedAtMs: number, signIn: SignIn): Promise<LiveSession> {
    const own = accountKey(signIn.account);
    const linked = (await store.linked(own)).filter((row) => row.account !== own);
    const others = linked.flatMap(({ account: id, level, sealed }) => {
      const account = open(key, `link ${id}`, sealed);
      return account === null ? [] : [{ ...readAccount(account), key: id, level }];
    });
    // An identifier counts up to the level at which its own account proved it: or a weak account could borrow a strong one.
    const counting = [signIn.account, ...others.filter(({ level }) => level >= signIn.level)];
    const subjects = new Map(counting.map(({ scheme, value }) => [`${scheme} ${value}`, { scheme, value }]));
    const { salt, idToken, level, account, nonce } = signIn;
    const idTokenHash = createHash('sha256').update(Buffer.from(salt, 'base64url')).update(idToken).digest('base64url');
    const person = {
      subjects: [...subjects.values()],
      level,
      signIn: { issuer: account.issuer, idTokenHash, salt, nonce },
    };
    const accounts = [{ ...account, key: own }, ...others.map(({ level: _, ...rest }) => rest)];
    return { id, idHash, startedAtMs, signIn, person, accounts };
  }

  /** What the links say about an account is older than what it says itself. */
  async function refreshLink(signIn: SignIn): Promise<void> {
    const now = linkRow(signIn);
    const before = (await store.linked(now.account)).find(({ account }) => account === now.account);
    if (before === undefined) return;
    if (before.subject === now.subject) {
      await store.raise(now.account, signIn.level);
    } else {
      await store.unlink(now.account);
      onAlarm('LINK_CONFLICT', `a linked account of ${signIn.account.issuer} has another identifier now; unlinked`);
    }
  }

  return {
    async find(id) {
      if (id === undefined || !ID.test(id)) return null;
      const idHash = hashOf(id);
      const row = await store.session(idHash);
      const nowMs = clock.nowMs();
      if (row === null || isOver(row.startedAtMs, row.seenAtMs, nowMs)) return null;
      const signIn = open(key, `session ${idHash}`, row.sealed);
      if (signIn === null) return null;
      if (nowMs - row.seenAtMs >= SEEN_EVERY_MS) await store.seen(idHash, nowMs);
      return await live(id, idHash, row.startedAtMs, readSignIn(signIn));
    },
    async begin(signIn, state, replaces, startedAtMs) {
      const nowMs = clock.nowMs();
      await store.forget({ startedMs: nowMs - SESSION_ABSOLUTE_MS, seenMs: nowMs - SESSION_IDLE_MS, nowMs });
      const id = base64url(randomBytes(32));
      const idHash = hashOf(id);
      const sealed = seal(key, `session ${idHash}`, signIn);
      const row = { idHash, account: accountKey(signIn.account), startedAtMs, seenAtMs: nowMs, sealed };
      const used = { state: hashOf(state), untilMs: nowMs + 2 * SIGN_IN_ATTEMPT_MS };
      if (!(await store.begin(row, used, replaces?.idHash ?? null, MAX_SESSIONS_PER_ACCOUNT))) {
        throw new AccordError('SIGN_IN_EXPIRED', 'used before');
      }
      await refreshLink(signIn);
      return id;
    },
    end: (session) => store.end(session.idHash),
    async link(session, added) {
      if (!(await store.link(linkRow(session.signIn), linkRow(added), MAX_LINKED_ACCOUNTS))) {
        throw new AccordError('LINK_CONFLICT');
      }
    },
    async unlink(session, accountToRemove) {
      if (session.accounts.some((account) => account.key === accountToRemove)) await store.unlink(accountToRemove);
    },
    isSamePerson: (session, account) => session.accounts.some((one) => one.key === accountKey(account)),
  };
}

function isOver(startedAtMs: number, seenAtMs: number, nowMs: number): boolean {
  return nowMs - seenAtMs >= SESSION_IDLE_MS || nowMs - startedAtMs >= SESSION_ABSOLUTE_MS;
}

function hashOf(id: string): string {
  return createHash('sha256').update(id).digest('base64url');
}

/** HMAC over length-prefixed parts. */
function tag(key: Buffer, ...parts: string[]): string {
  const hmac = createHmac('sha256', key);
  for (const part of parts) hmac.update(`${Buffer.byteLength(part)}:${part}`);
  return hmac.digest('base64url');
}

function seal(key: KeyObject, place: string, value: SignIn | Account): Buffer {
  return encipher(key, Buffer.from(`accord-sign-in/1 ${place}`), Buffer.from(JSON.stringify(value)));
}

/** Null for what another key or another place sealed: after a change of the secret everybody signs in again. */
function open(key: KeyObject, place: string, sealed: Buffer): unknown {
  const opened = decipher(key, Buffer.from(`accord-sign-in/1 ${place}`), sealed);
  return opened === null ? null : parseJson(opened);
}
