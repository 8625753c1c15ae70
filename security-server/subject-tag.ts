// A person's identifier as this server may keep it beside a counter: a keyed tag, so that the file alone names nobody,
// and one use of the tags tells nothing about another.
import { createHmac, createSecretKey } from 'node:crypto';
import { storageSubkeyOf } from '#certs/storage-key.ts';
import type { Subject } from '#policy/binding/binding.ts';

export type SubjectTag = (subject: Subject) => string;

/** @param storageKey the server's, 32 bytes. Tags are base64url. */
export function openSubjectTag(storageKey: Buffer, use: string): SubjectTag {
  // As a KeyObject: bytes would be made one for every tag, at five times the cost.
  const key = createSecretKey(storageSubkeyOf(storageKey, use));
  return ({ scheme, value }) =>
    createHmac('sha256', key)
      .update(JSON.stringify([scheme, value]))
      .digest('base64url');
}
