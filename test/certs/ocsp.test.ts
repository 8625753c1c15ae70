// OCSP: every attack on an answer has its code, another library and ours understand one another, and no flipped byte
// changes what was verified.
import { sign } from 'node:crypto';
import { BasicOCSPResponse, OCSPRequest, OCSPResponse } from '@peculiar/asn1-ocsp';
import { AsnConvert, AsnParser, AsnSerializer, OctetString } from '@peculiar/asn1-schema';
import fc from 'fast-check';
import t from 'tap';
import { OCSP_CODES, type OcspRequest, verifyOcsp } from '#certs/ocsp.ts';
import { answerOcsp } from '#certs/ocsp-make.ts';
import { makeOcspRequest, ocspUrlsOf, readOcspRequest } from '#certs/ocsp-request.ts';
import { ca, keys, leaf, root, rsa, tampered } from './chains.ts';
import { ANY, der, ext, integer, type KeyPair, name, oid, SERVER, sequence } from './make-certificate.ts';
import {
  AT_MS,
  anchor,
  appointed,
  at,
  byKey,
  byName,
  delegated,
  issuing,
  MINUTE,
  NO_CHECK,
  OCSP_SIGNING,
  path,
  responderKey,
  responderOf,
  response,
  revoked,
  SERIAL,
  single,
  subject,
} from './ocsp-cases.ts';

const judge = (bytes: Uint8Array, more: Partial<OcspRequest> = {}) =>
  verifyOcsp({ response: bytes, path, atMs: AT_MS, ...more });
const saidOf = (bytes: Uint8Array, more: Partial<OcspRequest> = {}) => {
  const said = judge(bytes, more);
  return said.status === 'refused' ? said.code : said.status;
};
const critical = der(0xa1, sequence(sequence(oid('1.2.3.4'), der(0x01, [0xff]), der(0x04, sequence()))));
const harmless = der(0xa1, sequence(sequence(oid('1.3.6.1.5.5.7.48.1.2'), der(0x04, der(0x04, [1, 2, 3])))));
const responderBy = (signer: KeyPair, issuer: string, extensions = [NO_CHECK]) =>
  appointed({
    signer,
    issuer,
    extensions: [
      ...[ext.basic(false), ext.usage(0), ext.purposes(OCSP_SIGNING)],
      ...[ext.subjectKey(responderKey.id), ext.authorityKey(signer.id), ...extensions],
    ],
  });
const crl = (entries: Buffer[]) => {
  const utc = (text: string) => der(0x17, Buffer.from(text));
  const number = sequence(oid('2.5.29.20'), der(4, integer(7)));
  const authority = sequence(oid('2.5.29.35'), der(4, sequence(der(0x80, keys.ca.id))));
  const list = [utc('260531000000Z'), utc('260607000000Z'), ...(entries.length > 0 ? [sequence(...entries)] : [])];
  const es256 = sequence(oid('1.2.840.10045.4.3.2'));
  const tbs = sequence(integer(1), es256, name('CN=CA'), ...list, der(0xa0, sequence(authority, number)));
  return sequence(tbs, es256, der(3, [0], sign('sha256', tbs, keys.ca.privateKey)));
};
const withPurposes = (...purposes: string[]) => {
  const keyIds = [ext.subjectKey(responderKey.id), ext.authorityKey(keys.ca.id)];
  return appointed({ extensions: [ext.basic(false), ext.usage(0), ext.purposes(...purposes), ...keyIds, NO_CHECK] });
};
/** When the list above is over. */
const LATER_MS = Date.parse('2026-06-08T00:00:00Z');
const later = {
  thisUpdate: at(LATER_MS - MINUTE),
  producedAt: at(LATER_MS - MINUTE),
  nextUpdate: [der(0xa0, at(LATER_MS + MINUTE))],
};
t.test('what an answer says', async (t) => {
  const cases: [string, Buffer, string, Partial<OcspRequest>?][] = [
    ['good, by the CA', response(), 'good'],
    ['good, SHA-1 names it', response({ hash: 'sha1' }), 'good'],
    ['good, responder by name', response({ responder: byName('CN=CA') }), 'good'],
    ['good, among others', response({ answers: [single({ serial: integer(9) }), single()] }), 'good'],
    ['good, by an appointed responder', delegated(), 'good'],
    ['good, appointed, by name', delegated({ responder: byName('CN=Responder') }), 'good'],
    ['good, a nonce', response({ extensions: [harmless] }), 'good'],
    ['unknown', response({ status: der(0x82) }), 'unknown'],
    ['revoked', response({ status: revoked(1) }), 'revoked'],
    ['revoked, over for years', response({ status: revoked() }), 'revoked', { atMs: AT_MS + 200 * 86_400_000 }],
    ['of Ed25519', response({ signer: keys.ca, algorithm: 'ed25519' }), 'OCSP_SIGNATURE_INVALID'],
    // Structure.
    ['nothing', Buffer.alloc(0), 'OCSP_MALFORMED'],
    ['bytes behind it', Buffer.concat([response(), Buffer.of(0)]), 'OCSP_MALFORMED'],
    ['larger than the limit', Buffer.concat([response(), Buffer.alloc(17_000)]), 'OCSP_MALFORMED'],
    ['another type', response({ type: '1.3.6.1.5.5.7.48.1.9' }), 'OCSP_MALFORMED'],
    ['another version', response({ version: [der(0xa0, integer(1))] }), 'OCSP_MALFORMED'],
    ['version 1 written', response({ version: [der(0xa0, integer(0))] }), 'OCSP_MALFORMED'],
    ['a time with a fraction', response({ producedAt: der(0x18, Buffer.from('20260601110000.5Z')) }), 'OCSP_MALFORMED'],
    ['UTCTime', response({ thisUpdate: der(0x17, Buffer.from('260601110000Z')) }), 'OCSP_MALFORMED'],
    ['a day that is none', response({ thisUpdate: der(0x18, Buffer.from('20260231110000Z')) }), 'OCSP_MALFORMED'],
    ['no answers', response({ answers: [] }), 'OCSP_MALFORMED'],
    ['65 answers', response({ answers: Array.from({ length: 65 }, () => single()) }), 'OCSP_MALFORMED'],
    ['an unknown reason', response({ status: revoked(7) }), 'OCSP_MALFORMED'],
    ['another status', response({ status: der(0x83) }), 'OCSP_MALFORMED'],
    ['good with contents', response({ status: der(0x80, [0]) }), 'OCSP_MALFORMED'],
    ['MD5 names it', response({ hash: 'md5' }), 'OCSP_MALFORMED'],
    ['five certificates', delegated({ certificates: Array.from({ length: 5 }, () => appointed()) }), 'OCSP_MALFORMED'],
    ['success without an answer', sequence(der(0x0a, [0])), 'OCSP_MALFORMED'],
    ['refused', sequence(der(0x0a, [6])), 'OCSP_REFUSED'],
    ['refused and an answer', response({ responseStatus: 6 }), 'OCSP_MALFORMED'],
    ['a status that does not exist', sequence(der(0x0a, [4])), 'OCSP_MALFORMED'],
    ['nested without end', der(0x30, Buffer.alloc(12_000, 0x30)), 'OCSP_MALFORMED'],
    // What it speaks for.
    ['another serial', response({ serial: integer(0x1235) }), 'OCSP_CERTIFICATE_MISMATCH'],
    ['another name of the CA', response({ issuerName: 'CN=CA2' }), 'OCSP_CERTIFICATE_MISMATCH'],
    ['another key of the CA', response({ issuerKey: keys.ca2 }), 'OCSP_CERTIFICATE_MISMATCH'],
    [
      'good and revoked at once',
      response({ answers: [single(), single({ status: revoked() })] }),
      'OCSP_CERTIFICATE_MISMATCH',
    ],
    ['a critical extension', response({ extensions: [critical] }), 'OCSP_EXTENSION_CRITICAL'],
    ['a critical extension of one', response({ singleExtensions: [critical] }), 'OCSP_EXTENSION_CRITICAL'],
    // Who signed.
    [
      'by a stranger, in the name of the CA',
      response({ signer: keys.other, responder: byKey(keys.ca) }),
      'OCSP_SIGNATURE_INVALID',
    ],
    ['by a stranger', response({ signer: keys.other }), 'OCSP_RESPONDER_UNAUTHORISED'],
    [
      'by the certificate itself',
      response({ signer: keys.leaf, certificates: [subject] }),
      'OCSP_RESPONDER_UNAUTHORISED',
    ],
    ['by the root', response({ signer: keys.root, certificates: [anchor] }), 'OCSP_RESPONDER_UNAUTHORISED'],
    ['SHA-1 signature', response({ algorithm: 'es1' }), 'OCSP_ALGORITHM_UNSUPPORTED'],
    ['RSA', response({ signer: rsa.ca, algorithm: 'rs256', responder: byKey(keys.ca) }), 'OCSP_ALGORITHM_UNSUPPORTED'],
    ['tampered', tampered(response()), 'OCSP_SIGNATURE_INVALID'],
    [
      'appointed by the root',
      delegated({ certificates: [responderBy(keys.root, 'CN=Root')] }),
      'OCSP_RESPONDER_UNAUTHORISED',
    ],
    [
      'appointed by a stranger',
      delegated({ certificates: [responderBy(keys.other, 'CN=CA')] }),
      'OCSP_RESPONDER_UNAUTHORISED',
    ],
    ['no certificate of it', delegated({ certificates: null }), 'OCSP_RESPONDER_UNAUTHORISED'],
    ['another certificate', delegated({ certificates: [subject] }), 'OCSP_RESPONDER_UNAUTHORISED'],
    [
      'expired responder',
      delegated({ certificates: [appointed({ notAfter: '2026-05-01T00:00:00Z' })] }),
      'OCSP_RESPONDER_UNAUTHORISED',
    ],
    ['a TLS certificate', delegated({ certificates: [withPurposes(SERVER)] }), 'OCSP_RESPONDER_UNAUTHORISED'],
    ['any purpose', delegated({ certificates: [withPurposes(ANY)] }), 'OCSP_RESPONDER_UNAUTHORISED'],
    ['TLS beside', delegated({ certificates: [withPurposes(OCSP_SIGNING, SERVER)] }), 'OCSP_RESPONDER_UNAUTHORISED'],
    ['unchecked', delegated({ certificates: [responderBy(keys.ca, 'CN=CA', [])] }), 'OCSP_RESPONDER_UNCHECKED'],
    [
      'nocheck of another value',
      delegated({ certificates: [responderBy(keys.ca, 'CN=CA', [{ ...NO_CHECK, value: sequence() }])] }),
      'OCSP_RESPONDER_UNCHECKED',
    ],
    [
      'checked by a list',
      delegated({ certificates: [responderBy(keys.ca, 'CN=CA', [])] }),
      'good',
      { crls: [crl([])] },
    ],
    [
      'a list that is over',
      delegated({ certificates: [responderBy(keys.ca, 'CN=CA', [])], ...later }),
      'OCSP_RESPONDER_UNCHECKED',
      { crls: [crl([])], atMs: LATER_MS },
    ],
    [
      'revoked though nocheck',
      delegated({ certificates: [appointed({ serial: integer(77) })] }),
      'OCSP_RESPONDER_REVOKED',
      { crls: [crl([sequence(integer(77), der(0x17, Buffer.from('260520100000Z')))])] },
    ],
    ['rubbish for a certificate', delegated({ certificates: [sequence(), appointed()] }), 'OCSP_MALFORMED'],
    // Times.
    [
      'begins in the future',
      response({ thisUpdate: at(AT_MS + 6 * MINUTE), producedAt: at(AT_MS + 6 * MINUTE) }),
      'OCSP_NOT_YET_VALID',
    ],
    ['made in the future', response({ producedAt: at(AT_MS + 6 * MINUTE) }), 'OCSP_NOT_YET_VALID'],
    [
      'a clock slightly ahead',
      response({ thisUpdate: at(AT_MS + 4 * MINUTE), producedAt: at(AT_MS + 4 * MINUTE) }),
      'good',
    ],
    ['next before this update', response({ nextUpdate: [der(0xa0, at(AT_MS - 11 * MINUTE))] }), 'OCSP_TIMES_WRONG'],
    ['made before what it knows', response({ producedAt: at(AT_MS - 11 * MINUTE) }), 'OCSP_TIMES_WRONG'],
    ['the last millisecond', response(), 'good', { atMs: AT_MS + 50 * MINUTE }],
    ['over', response(), 'OCSP_STALE', { atMs: AT_MS + 50 * MINUTE + 1 }],
    ['over, in grace', response(), 'good', { atMs: AT_MS + 60 * MINUTE, graceMs: 10 * MINUTE }],
    ['over, after grace', response(), 'OCSP_STALE', { atMs: AT_MS + 60 * MINUTE + 1, graceMs: 10 * MINUTE }],
    ['older than is asked', response(), 'OCSP_STALE', { freshnessMs: 9 * MINUTE }],
    ['no next update, fresh', response({ nextUpdate: [] }), 'good', { freshnessMs: 20 * MINUTE }],
    ['no next update, no rule', response({ nextUpdate: [] }), 'OCSP_STALE'],
    ['unknown and over', response({ status: der(0x82) }), 'OCSP_STALE', { atMs: AT_MS + 90 * MINUTE }],
  ];
  for (const [what, bytes, wanted, more] of cases) t.equal(saidOf(bytes, more), wanted, what);
  const codes = new Set(cases.map(([, , wanted]) => wanted).filter((one) => /^OCSP/.test(one)));
  t.same([...codes].toSorted(), Object.keys(OCSP_CODES).toSorted(), 'every code has a case');

  const said = judge(response({ status: revoked(1) }));
  t.match(said, { status: 'revoked', reason: 'keyCompromise', revokedAtMs: AT_MS - 60 * MINUTE });
  t.match(judge(response(), { atMs: AT_MS + 55 * MINUTE, graceMs: 10 * MINUTE }), { inGrace: true });
  t.match(judge(response(), { freshnessMs: 20 * MINUTE }), { endsMs: AT_MS + 10 * MINUTE, inGrace: false });
  t.throws(() => verifyOcsp({ response: response(), path: [subject], atMs: AT_MS }), TypeError);
});

t.test('the authority above the anchor alone, RSA where the caller enables it', async (t) => {
  const direct = leaf({ serial: SERIAL, issuer: 'CN=Root', signer: keys.root });
  const spec = { issuerName: 'CN=Root', issuerKey: keys.root };
  t.equal(saidOf(response({ ...spec, signer: keys.root }), { path: [direct, anchor] }), 'good');
  const certificates = [responderBy(keys.root, 'CN=Root')];
  t.equal(saidOf(delegated({ ...spec, certificates }), { path: [direct, anchor] }), 'good');
  const rsaPath = [
    leaf({ serial: SERIAL, signer: rsa.ca }),
    ca({ key: rsa.ca, signer: rsa.root }),
    root({ key: rsa.root }),
  ];
  const bits = { ...rsa.ca, spki: Buffer.concat([Buffer.alloc(26), rsa.ca.spki.subarray(24)]) };
  const bytes = response({ signer: rsa.ca, algorithm: 'rs256', responder: byName('CN=CA'), issuerKey: bits });
  t.equal(saidOf(bytes, { path: rsaPath, allowRsa: true }), 'good');
  t.equal(saidOf(bytes, { path: rsaPath }), 'OCSP_ALGORITHM_UNSUPPORTED');
});

t.test('BER around what is signed is read, inside it is not', async (t) => {
  const plain = response();
  // The outermost sequence with an indefinite length.
  const inner = plain.subarray(plain[1] === 0x82 ? 4 : 3);
  t.equal(saidOf(Buffer.concat([Buffer.of(0x30, 0x80), inner, Buffer.of(0, 0)])), 'good');
  t.equal(saidOf(Buffer.concat([Buffer.of(0x30, 0x80), inner])), 'OCSP_MALFORMED', 'without its end');
});

t.test('no flipped bit changes what was verified', async (t) => {
  for (const [what, bytes] of [
    ['by the CA', response()],
    ['revoked', response({ status: revoked(1) })],
    ['delegated', delegated({ hash: 'sha1' })],
  ] as const) {
    const whole = judge(bytes);
    let refused = 0;
    for (let at = 0; at < bytes.length; at += 1) {
      const copy = Buffer.from(bytes);
      copy[at] = (copy[at] ?? 0) ^ (1 << (at % 8));
      const said = judge(copy);
      if (said.status === 'refused') refused += 1;
      else t.same(said, whole, `${what}: byte ${at}`);
    }
    t.ok(refused > bytes.length * 0.98, `${what}: ${refused} of ${bytes.length} refused`);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(200), (bytes, place) => {
      const some = Buffer.concat([response().subarray(0, place), bytes]);
      return saidOf(some).startsWith('OCSP_');
    }),
    { numRuns: 200 },
  );
});

t.test('requests', async (t) => {
  for (const hash of ['sha-256', 'sha-1'] as const) {
    const request = makeOcspRequest(subject, issuing, hash);
    const [asked, more] = readOcspRequest(request);
    t.equal(more, undefined);
    t.match(asked, { hash, serial: '1234' });
    const other = AsnParser.parse(request, OCSPRequest);
    t.equal(Buffer.from(other.tbsRequest.requestList[0]!.reqCert.serialNumber).toString('hex'), '1234');
  }
  const request = makeOcspRequest(subject, issuing, 'sha-1');
  for (const bad of [
    Buffer.concat([request, Buffer.of(0)]),
    sequence(sequence(sequence())),
    Buffer.alloc(9000, 0x30),
    request.subarray(1),
  ]) {
    t.throws(() => readOcspRequest(bad), { code: 'DER_INVALID' });
  }
  const access = (...urls: string[]) => ({
    oid: '1.3.6.1.5.5.7.1.1',
    value: sequence(
      sequence(oid('1.3.6.1.5.5.7.48.2'), der(0x86, Buffer.from('http://ca.example/ca.crt'))),
      ...urls.map((url) => sequence(oid('1.3.6.1.5.5.7.48.1'), der(0x86, Buffer.from(url)))),
    ),
  });
  t.same(ocspUrlsOf(leaf({ with: [access('http://ocsp.example/a', 'ldap://x', 'https://b')] })), [
    'http://ocsp.example/a',
    'https://b',
  ]);
  t.same(ocspUrlsOf(subject), []);
  t.same(ocspUrlsOf(leaf({ with: [{ oid: '1.3.6.1.5.5.7.1.1', value: der(0x04) }] })), []);
});

t.test('a third library reads our answers, and we read its', async (t) => {
  const nowMs = AT_MS + 500;
  const ours = answerOcsp(
    makeOcspRequest(subject, issuing, 'sha-1'),
    responderOf(() => 'good'),
    nowMs,
  );
  const read = AsnParser.parse(ours, OCSPResponse);
  const basic = AsnParser.parse(read.responseBytes!.response, BasicOCSPResponse);
  t.equal(basic.tbsResponseData.producedAt.getTime(), AT_MS);
  t.ok(basic.tbsResponseData.responses[0]!.certStatus.good === null);
  basic.tbsResponseData.responses[0]!.nextUpdate = new Date(AT_MS + 7 * MINUTE);
  const tbs = Buffer.from(AsnSerializer.serialize(basic.tbsResponseData));
  basic.signature = new Uint8Array(sign('sha256', tbs, responderKey.privateKey)).buffer;
  delete basic.tbsResponseDataRaw;
  read.responseBytes!.response = new OctetString(AsnConvert.serialize(basic));
  t.match(judge(Buffer.from(AsnSerializer.serialize(read)), { atMs: AT_MS }), {
    status: 'good',
    endsMs: AT_MS + 7 * MINUTE,
  });
});
