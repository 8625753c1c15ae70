// A consent service as the tests of the exchange need it: it signs receipts for whomever the test says and serves a
// status list that the test changes. The real one has tests of its own.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportPublicJwk, generateKeys, thumbprint } from '#certs/keys.ts';
import { pseudonymOf } from '#certs/pseudonym.ts';
import { signReceipt } from '#certs/receipt.ts';
import { sealSubject } from '#certs/sealed-subject.ts';
import { packStatuses, signStatusList } from '#certs/status-list.ts';
import type { Clock } from '#core/clock.ts';
import { newMessageId } from '#core/message-id.ts';
import { type Purpose, purposeText } from '#schemas/purpose.ts';
import type { Receipt } from '#schemas/receipt.ts';
import { CLIENT, type Pair, PROVIDER, SERVICE } from '#scripts/campaign/pair.ts';

const GIVER = 'DEV/GOV/9000/consent';

export const PURPOSE: Purpose = {
  id: 'housing-aid',
  version: 1,
  title: { zh: '住房补助', en: 'Housing aid' },
  text: { zh: '审核住房补助申请。', en: 'To decide on an application for housing aid.' },
  bases: ['consent'],
  elements: ['gx.name@1', 'gx.birth_date@1', 'gx.income@1', 'gx.currency@1', 'gx.pred.age_ge_18@1'],
  retentionDays: 90,
  quotaPerDay: null,
  from: '2020-01-01',
  until: null,
};
export const PURPOSE_HASH = createHash('sha256').update(purposeText(PURPOSE)).digest('base64url');

export interface ConsentGiver {
  receipt(over?: Partial<Receipt>, subject?: { scheme: string; value: string }, sealedFor?: string): string;
  statuses: Uint8Array;
  /** What the list's signature time is moved by; null: the list cannot be had. */
  ageMs: number | null;
  asked: number;
  uri: string;
  close(): void;
}

/** Registers itself, its key and the purpose in the pair's configuration. */
export async function openConsentGiver(pair: Pair, clock: Clock): Promise<ConsentGiver> {
  const pairOfKeys = generateKeys('P-256');
  const jwk = exportPublicJwk(pairOfKeys.publicKey);
  const key = { kid: thumbprint(pairOfKeys.publicKey), privateKey: pairOfKeys.privateKey };
  const giver: ConsentGiver = {
    statuses: new Uint8Array(64),
    ageMs: 0,
    asked: 0,
    uri: '',
    receipt(over = {}, subject = { scheme: 'gx.id@1', value: '7' }, sealedFor = undefined) {
      const nowS = Math.floor(clock.nowMs() / 1000);
      const jti = newMessageId(clock.nowMs());
      const [recipient] = pair.configuration.entries.get(PROVIDER)?.subjectKeys ?? [];
      if (recipient === undefined) throw new TypeError('the provider has no subject key');
      return signReceipt(
        {
          v: 1,
          iss: GIVER,
          jti,
          iat: nowS,
          nbf: nowS,
          exp: nowS + 3600,
          client: CLIENT,
          aud: 'DEV/GOV/2002/provider',
          service: SERVICE,
          purpose: { id: PURPOSE.id, version: 1, hash: PURPOSE_HASH },
          elements: ['gx.name@1', 'gx.pred.age_ge_18@1'],
          sub: pseudonymOf(Buffer.alloc(32, 1), CLIENT, subject),
          actor: null,
          subject: [sealSubject({ jti: sealedFor ?? jti, ...subject }, recipient)],
          uses: null,
          retentionDays: 30,
          notice: { hash: PURPOSE_HASH, language: 'zh' },
          signIn: { hash: PURPOSE_HASH, record: 0, level: 2 },
          status: { uri: giver.uri, idx: 5 },
          ...over,
        },
        key,
      );
    },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
  const server = createServer((_request, response) => {
    giver.asked += 1;
    if (giver.ageMs === null) {
      response.writeHead(503).end();
      return;
    }
    const iatMs = clock.nowMs() - giver.ageMs;
    const lst = packStatuses(2, giver.statuses);
    response.setHeader('content-type', 'application/statuslist+jwt');
    response.end(signStatusList({ uri: giver.uri, iatMs, expMs: iatMs + 3_600_000, ttlS: 5, lst }, key));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const statusUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/status`;
  giver.uri = `${statusUrl}/1`;
  pair.configuration.purposes = [PURPOSE];
  const keys = [{ kid: key.kid, jwk }] as never;
  pair.configuration.consentServices = [{ subsystem: GIVER, keys, statusUrl, citizenUrl: statusUrl }];
  return giver;
}
