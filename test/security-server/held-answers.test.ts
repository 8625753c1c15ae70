// What a server remembers of OCSP answers: laws over any order in which they come, and the alarms about its own.
import fc from 'fast-check';
import { pino } from 'pino';
import t from 'tap';
import { certificateHash } from '#certs/path.ts';
import { CLIENT, CONSUMER, openPair, SERVICE } from '#scripts/campaign/pair.ts';
import { type HeldAnswer, holdAnswers } from '#security-server/certificate-status/answers.ts';
import { post } from './asking.ts';
import { MovingClock } from './moving-clock.ts';

const MINUTE = 60_000;
let made = 0;
const answer = (status: 'good' | 'revoked', thisUpdateMs: number, reason: string | null = null): HeldAnswer => {
  made += 1;
  return { hash: `h${made}`, der: Buffer.alloc(0), certificate: 'c', status, reason, thisUpdateMs, endsMs: 2 ** 50 };
};

t.test('in any order', async (t) => {
  const some = fc.array(fc.tuple(fc.constantFrom('good', 'hold', 'revoked'), fc.nat(20)), {
    minLength: 1,
    maxLength: 12,
  });
  fc.assert(
    fc.property(some, (list) => {
      const told: HeldAnswer[] = [];
      const held = holdAnswers([], (one) => told.push(one));
      const all = list.map(([kind, atMs]) =>
        kind === 'good'
          ? answer('good', atMs)
          : answer('revoked', atMs, kind === 'hold' ? 'certificateHold' : 'keyCompromise'),
      );
      for (const one of all) held.take(one);
      const last = held.of('c');
      const newestMs = Math.max(...all.map(({ thisUpdateMs }) => thisUpdateMs));
      const forGood = all.some(({ reason }) => reason === 'keyCompromise');
      const isKnown = all.every(({ hash }) => held.knows(hash));
      // Once revoked for good, always; else the newest says, and a hold ends by something newer only.
      if (forGood) return isKnown && last?.reason === 'keyCompromise' && told.length > 0;
      return isKnown && last?.thisUpdateMs === newestMs;
    }),
    { numRuns: 300 },
  );
  const held = holdAnswers([answer('revoked', 5, 'keyCompromise')]);
  held.take(answer('good', 9));
  t.equal(held.of('c')?.status, 'revoked', 'what was kept over a restart counts as well');
});

t.test('alarms about own answers, one each', async (t) => {
  const clock = new MovingClock();
  const alarms: string[] = [];
  const logger = pino({ level: 'error' }, { write: (line: string) => void alarms.push(JSON.parse(line).alarm) });
  const pair = await openPair({ clock, consumer: { logger } });
  t.teardown(() => pair.close());
  const { certificateStatus } = pair.consumer.parts;
  const issuer = certificateHash(pair.authority.trust.intermediates[0] as Buffer);
  const rules = { mode: 'require' as const, namedInCertificate: false, freshnessMs: 60 * MINUTE, graceMs: 30 * MINUTE };
  // Nobody listens on port 1.
  const ocsp = { ...rules, responders: [{ issuer, url: 'http://127.0.0.1:1/' }] };
  pair.configuration.trust = { ...pair.authority.trust, ocsp };
  await certificateStatus.look();
  await certificateStatus.look();
  t.same(alarms, ['OCSP_OWN_MISSING']);
  t.match(certificateStatus.own(), [{ use: 'sign', status: 'none', endsMs: null }, { use: 'client' }]);

  const entry = pair.configuration.entries.get(CONSUMER);
  const nowMs = clock.nowMs();
  for (const { hash } of [...(entry?.signingCertificates ?? []), ...(entry?.authenticationCertificates ?? [])]) {
    certificateStatus.answers.take({ ...answer('good', nowMs), certificate: hash });
  }
  await certificateStatus.look();
  for (const minutes of [40, 46, 61]) {
    clock.aheadMs = minutes * MINUTE;
    await certificateStatus.look();
    await certificateStatus.look();
  }
  const each = ['OCSP_OWN_ENDS', 'OCSP_OWN_ENDS', 'OCSP_OWN_OVER', 'OCSP_OWN_OVER'];
  t.same(alarms.slice(1), each, 'in its last quarter, when it is over; for both certificates');

  const metrics = await (await fetch(`${pair.consumer.urls.health}/metrics`)).text();
  t.match(metrics, /accord_certificate_answers_total\{of="own",outcome="failed"\} [1-9]/);
  t.match(metrics, /accord_certificate_answer_ends_seconds \d{10}/);
});

t.test('a TLS certificate that is revoked, on a connection that is open', async (t) => {
  const pair = await openPair();
  t.teardown(() => pair.close());
  const rules = { mode: 'prefer' as const, namedInCertificate: false, responders: [] };
  pair.configuration.trust = { ...pair.authority.trust, ocsp: { ...rules, freshnessMs: MINUTE, graceMs: 0 } };
  const ask = async () => (await post(pair, '/lookups', { client: CLIENT, service: SERVICE, path: '/a' })).json;
  t.match(await ask(), { outcome: 'ok' });
  const tls = pair.configuration.entries.get(CONSUMER)?.authenticationCertificates[0]?.hash ?? '';
  const revoked = { ...answer('revoked', Date.now(), 'keyCompromise'), certificate: tls, hash: 'A'.repeat(43) };
  pair.provider.parts.certificateStatus.answers.take(revoked);
  const { outcome, detail } = await ask();
  t.match(`${outcome} ${detail}`, /PEER_UNKNOWN/);
  pair.consumer.parts.certificateStatus.answers.take(revoked);
  const ready = await fetch(`${pair.consumer.urls.health}/readyz`);
  t.equal(ready.status, 503, 'and it knows that it serves nobody');
  const { checks } = (await ready.json()) as { checks: { name: string; code: string }[] };
  t.match(
    checks.find(({ name }) => name === 'certificate-status'),
    { code: 'CERTIFICATE_INVALID' },
  );
});
