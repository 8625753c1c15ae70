// The list of locks (DESIGN: who may ask for what, Emergency): subsystems that get nothing because an emergency of theirs
// was not reviewed in time. A lock only ever refuses, and it has to come and go by the clock, so no approver signs it: the
// online key does, which also signs the freshness and could stop everybody by signing nothing. A list names every lock
// there is; the freshness names the newest list by number and hash, and numbers never go back. The number is the second in
// which the list was signed, so that a registry restored from a backup goes on above everything that was ever seen.
//
// Whoever serves the files controls their bytes. A list counts as long as the newest root names the key that signed it.
import type { KeyObject } from 'node:crypto';
import { type JwsHeader, verifyCompact } from '#certs/jws.ts';
import { CONFIGURATION_TYP, LocksList, MAX_SIGNED_FILE_BYTES } from '#schemas/configuration.ts';
import { CLOCK_WINDOW_MS } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { compile } from '#schemas/validate.ts';
import { fileHash, keysOf, readCanonical, type VerifiedRoot } from './verify.ts';

export interface VerifiedLocks {
  version: number;
  hash: string;
  file: Buffer;
  /** Of the online key that signed. */
  by: string;
  locks: LocksList['locks'];
}

const readLocks = compile(LocksList, 'CONFIGURATION_INVALID');

/** The version that a list signed now has, after `previous`. */
export function locksVersionAt(nowMs: number, previous: number): number {
  return Math.max(Math.floor(nowMs / 1000), previous + 1);
}

/**
 * The file `locks.V.jws`: a compact JWS by the online key, subsystems ascending.
 * @param nowMs `Infinity` for a copy that was judged when it came
 * @throws CONFIGURATION_INVALID (form, order, from the future), CONFIGURATION_INSTANCE, JWS_*
 */
export function verifyLocks(file: Buffer, root: VerifiedRoot, nowMs: number): VerifiedLocks {
  const { instance, roles } = root.document;
  const online = keysOf(root.document, roles.freshness.kids);
  let by = '';
  const keyOf = (header: JwsHeader): KeyObject | undefined => {
    by = String(header['kid']);
    return online(by);
  };
  const policy = { typ: CONFIGURATION_TYP.locks, headers: ['alg', 'typ', 'kid'], maxBytes: MAX_SIGNED_FILE_BYTES };
  const { payload } = verifyCompact(file.toString('latin1'), keyOf, policy);
  const { instance: said, version, locks } = readLocks(readCanonical(payload));
  if (said !== instance) throw new AccordError('CONFIGURATION_INSTANCE', 'locks');
  // A stolen online key cannot number its lists so high that no later one is ever taken.
  if (version * 1000 > nowMs + CLOCK_WINDOW_MS) throw new AccordError('CONFIGURATION_INVALID', 'locks from the future');
  for (const [at, { subsystem }] of locks.entries()) {
    if (!subsystem.startsWith(`${instance}/`)) throw new AccordError('CONFIGURATION_INSTANCE', subsystem);
    if ((locks[at - 1]?.subsystem ?? '') >= subsystem) {
      throw new AccordError('CONFIGURATION_INVALID', `${subsystem} is out of order or occurs twice`);
    }
  }
  return { version, hash: fileHash(file), file, by, locks };
}

/** Whether that root still names the key that signed. */
export function isStillSigned({ by }: VerifiedLocks, { document }: VerifiedRoot): boolean {
  return document.roles.freshness.kids.includes(by);
}
