// An OCSP responder that the authority appointed (RFC 6960 4.2.2.2): what its certificate says, whose answers count, and that
// no answer outlives it.
import { createPublicKey, randomBytes, X509Certificate } from 'node:crypto';
import t from 'tap';
import { createIssuing, createResponder, createRoot, type Issuer, issue, planRenewal } from '#certs/authority.ts';
import { createCsr, readCsr } from '#certs/csr.ts';
import { generateKeys } from '#certs/keys.ts';
import { Ledger } from '#certs/ledger.ts';
import { verifyOcsp } from '#certs/ocsp.ts';
import { answerOcsp, ledgerStatus } from '#certs/ocsp-make.ts';
import { makeOcspRequest } from '#certs/ocsp-request.ts';
import { readOcspResponse } from '#certs/ocsp-response.ts';
import { DAY_MS } from '#certs/profiles.ts';
import { readCertificate } from '#certs/x509-read.ts';

const NOW_MS = Date.parse('2026-11-20T12:00:00.750Z');
const NAMES = { kind: 'server' as const, id: 'DEV/GOV/1001/ss1', dnsNames: [], ipAddresses: [] };

t.test('an appointed OCSP responder', async (t) => {
  const ledger = new Ledger();
  const circumstances = { nowMs: NOW_MS, randomBytes, ledger };
  const [rootKey, issuingKey] = [generateKeys('P-384'), generateKeys('P-256')];
  const root = await createRoot('Test Root CA', rootKey.privateKey, circumstances);
  const rootIssuer: Issuer = { role: 'root', der: root.der, privateKey: rootKey.privateKey };
  const issuing = await createIssuing(rootIssuer, 'Test Issuing CA', issuingKey.publicKey, circumstances);
  const issuer: Issuer = { role: 'issuing', der: issuing.der, privateKey: issuingKey.privateKey };
  const csr = readCsr(Buffer.from(await createCsr(generateKeys().privateKey, NAMES)));
  const leaf = await issue(issuer, 'signing', csr, NAMES, circumstances);
  ledger.add(leaf);
  const { publicKey, privateKey } = generateKeys();
  const made = await createResponder(issuer, 'Test Issuing OCSP', publicKey, circumstances);
  circumstances.ledger.add(made);
  const { extensions } = readCertificate(made.der);
  t.match(extensions, { extendedKeyUsage: ['1.3.6.1.5.5.7.3.9'], basicConstraints: { ca: false } });
  t.equal(extensions.critical.get('1.3.6.1.5.5.7.48.1.5'), false, 'id-pkix-ocsp-nocheck');
  t.equal(made.notAfterMs - Math.floor(NOW_MS / 1000) * 1000, 14 * DAY_MS);
  const path = [leaf.der, issuing.der, root.der];
  const request = makeOcspRequest(leaf.der, issuing.der, 'sha-256');
  const answer = (by: { der: Uint8Array }, atMs: number, validityMs: number) =>
    answerOcsp(
      request,
      {
        issuer: issuing.der,
        certificate: by.der,
        privateKey,
        validityMs,
        statusOf: ledgerStatus(ledger, 'issuing'),
      },
      atMs,
    );
  const judge = (response: Buffer, atMs = NOW_MS) => verifyOcsp({ response, path, atMs });
  t.match(judge(answer(made, NOW_MS, DAY_MS)), { status: 'good', endsMs: Math.floor((NOW_MS + DAY_MS) / 1000) * 1000 });
  const late = made.notAfterMs - DAY_MS;
  t.match(
    judge(answer(made, late, 7 * DAY_MS), late),
    { status: 'good', endsMs: made.notAfterMs },
    'no longer than itself',
  );
  t.same(readOcspResponse(answer(made, made.notAfterMs, DAY_MS)), { refused: 'tryLater' });
  const above = await createResponder(rootIssuer, 'Test Root OCSP', generateKeys().publicKey, circumstances);
  t.match(judge(answer(above, NOW_MS, DAY_MS)), { code: 'OCSP_RESPONDER_UNAUTHORISED' }, 'appointed by the root');
  t.ok(await createResponder(issuer, 'Test Issuing OCSP', publicKey, circumstances), 'the same key once more');
  const bad: [string, Promise<unknown>, string][] = [
    ['31 days', createResponder(issuer, 'x', generateKeys().publicKey, circumstances, 31), 'VALIDITY_REFUSED'],
    [
      'a key of a server',
      createResponder(issuer, 'x', createPublicKey(leafKey(leaf)), circumstances),
      'KEY_ALREADY_CERTIFIED',
    ],
    ['for another authority', createResponder(issuer, 'Other', publicKey, circumstances), 'KEY_ALREADY_CERTIFIED'],
  ];
  for (const [name, act, code] of bad) await t.rejects(act, { code }, name);
  t.throws(() => planRenewal(issuer, { certificate: made }, undefined, circumstances), { code: 'RENEWAL_REFUSED' });
});

function leafKey({ der }: { der: Uint8Array }): string {
  return new X509Certificate(der).publicKey.export({ type: 'spki', format: 'pem' }).toString();
}
