// The contract of the store of sessions and linked accounts. Rows tell nothing to who reads the file: ids are hashed,
// accounts and identifiers are tags (HMAC), everything else is sealed. Every promise that resolves is durable.

export interface SessionRow {
  /** SHA-256 of the id in the cookie. */
  idHash: string;
  /** Tag of issuer and `sub`. */
  account: string;
  startedAtMs: number;
  seenAtMs: number;
  sealed: Buffer;
}

/** One of several accounts of one person. */
export interface LinkRow {
  account: string;
  /** Tag of scheme and value. */
  subject: string;
  scheme: string;
  /** The highest level at which this account was proved while it was linked. */
  level: number;
  sealed: Buffer;
}

export interface SessionStore {
  /**
   * In one transaction: uses up the sign-in (false when it was used before, and nothing is changed), ends the session
   * that this one replaces, and all but the newest `keep - 1` of the account, and begins this one.
   */
  begin(
    row: SessionRow,
    signIn: { state: string; untilMs: number },
    replaces: string | null,
    keep: number,
  ): Promise<boolean>;
  session(idHash: string): Promise<SessionRow | null>;
  seen(idHash: string, atMs: number): Promise<void>;
  end(idHash: string): Promise<void>;
  /** Deletes sessions begun or seen before these times, and sign-ins whose time is over. */
  forget(before: { startedMs: number; seenMs: number; nowMs: number }): Promise<void>;
  /** All accounts linked with this one, itself included; none when it is not linked. */
  linked(account: string): Promise<LinkRow[]>;
  /**
   * Makes both accounts one person's, in one transaction. False, and nothing is changed, when one of them or of their
   * identifiers belongs to another person already, when the person has another identifier of the same scheme, or has
   * `max` accounts.
   */
  link(own: LinkRow, added: LinkRow, max: number): Promise<boolean>;
  /** A linked account proved itself at a higher level. */
  raise(account: string, level: number): Promise<void>;
  /** Takes an account out; a last one left alone is taken out too. */
  unlink(account: string): Promise<void>;
  close(): void;
}
