// A receipt as the consent service makes it, for the tests of what is made of it. `person` and `client` vary; the rest is
// fresh each time, as it has to be.
import { randomBytes } from 'node:crypto';
import { exportPublicJwk, generateKeys, thumbprint } from '#certs/keys.ts';
import { pseudonymOf } from '#certs/pseudonym.ts';
import type { NamedKey, RegisteredKey } from '#certs/registered-key.ts';
import { sealSubject } from '#certs/sealed-subject.ts';
import { newMessageId } from '#core/message-id.ts';
import type { Receipt } from '#schemas/receipt.ts';
import type { EncryptionKey } from '#schemas/registrations.ts';

export type TestKey = NamedKey & RegisteredKey & EncryptionKey;

/** A private key with its registration; for signing and for subjects alike. */
export function testKey(): TestKey {
  const { privateKey } = generateKeys('P-256');
  const jwk = exportPublicJwk(privateKey) as EncryptionKey['jwk'];
  return { kid: thumbprint(privateKey), privateKey, jwk, notAfterMs: Number.MAX_SAFE_INTEGER };
}

export function receiptOf(
  person: { scheme: string; value: string },
  client: string,
  subjectKeys: readonly EncryptionKey[],
  secret: Buffer,
): Receipt {
  const jti = newMessageId(1_800_000_000_000);
  const hash = () => randomBytes(32).toString('base64url');
  return {
    v: 1,
    iss: 'DEV/GOV/3003/consent',
    jti,
    iat: 1_800_000_000,
    nbf: 1_800_000_000,
    exp: 1_800_086_400,
    client,
    aud: 'DEV/GOV/2002/provider',
    service: 'DEV/GOV/2002/provider/person',
    purpose: { id: 'gx.benefit', version: 1, hash: 'A'.repeat(43) },
    elements: ['gx.person.name@1', 'gx.person.birth_date@1'],
    sub: pseudonymOf(secret, client, person),
    subject: subjectKeys.map((key) => sealSubject({ jti, ...person }, key)),
    uses: 3,
    retentionDays: 30,
    notice: { hash: 'B'.repeat(43), language: 'zh' },
    signIn: { hash: hash(), record: 7, level: 3 },
    status: { uri: 'https://consent.example/status/provider-1', idx: randomBytes(2).readUInt16BE() },
  };
}
