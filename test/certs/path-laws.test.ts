// Laws of path validation: no changed octet and no second spelling is accepted, the search is bounded, purposes are
// kept apart.
import fc from 'fast-check';
import t from 'tap';
import { openDer, TAG } from '#certs/der.ts';
import { certificateHash, type PathPurpose, type PathRequest, validatePath } from '#certs/path.ts';
import { readCertificate } from '#certs/x509-read.ts';
import { cpuMs } from '#test/cpu-time.ts';
import { ca, keys, leaf, request, root } from './chains.ts';
import * as make from './make-certificate.ts';
import { ext, pair, SERVER } from './make-certificate.ts';

t.test('any octet changed in a leaf, an intermediate or the anchor is refused', async (t) => {
  const good = request({});
  const places = [good.leaf, good.intermediates[0]!, good.anchors[0]!.der];
  const withChanged = (place: number, changed: Buffer): PathRequest => ({
    ...good,
    leaf: place === 0 ? changed : good.leaf,
    intermediates: place === 1 ? [changed] : good.intermediates,
    anchors: place === 2 ? [{ der: changed }] : good.anchors,
  });
  const changedAt = (place: number, at: number, mask: number) => {
    const changed = Buffer.from(places[place]!);
    changed[at]! ^= mask;
    return validatePath(withChanged(place, changed)).valid;
  };
  t.equal(validatePath(good).valid, true);
  let tried = 0;
  const accepted: string[] = [];
  places.forEach((bytes, place) => {
    for (let at = 0; at < bytes.length; at += 1) {
      for (const mask of [1 << (at % 8), 0xff]) {
        tried += 1;
        if (changedAt(place, at, mask)) accepted.push(`${place}:${at}:${mask}`);
      }
    }
  });
  t.same(accepted, []);
  t.ok(tried > 2000, `${tried} changes`);
  const anywhere = fc.tuple(fc.nat(2), fc.nat(10_000), fc.integer({ min: 1, max: 255 }));
  fc.assert(fc.property(anywhere, ([place, at, mask]) => !changedAt(place, at % places[place]!.length, mask)));
  // Cutting anywhere and inserting anywhere are no better than changing.
  const cut = fc.tuple(fc.nat(2), fc.nat(10_000), fc.uint8Array({ maxLength: 3 }), fc.nat(3));
  fc.assert(
    fc.property(cut, ([place, at, put, take]) => {
      const bytes = Buffer.from(places[place]!);
      const from = at % bytes.length;
      const changed = Buffer.concat([bytes.subarray(0, from), put, bytes.subarray(from + take)]);
      return changed.equals(bytes) || !validatePath(withChanged(place, changed)).valid;
    }),
  );
});

t.test('other encodings of a valid signature do not verify', async (t) => {
  const good = leaf();
  const rest = readCertificate(good);
  const { signature } = rest;
  const halves = openDer(signature, TAG.SEQUENCE, 'signature');
  const [r, s] = [halves.next().body, halves.next().body];
  const spelled = (bits: Buffer) =>
    make.sequence(rest.tbs, Buffer.from(rest.signatureAlgorithm), make.der(3, [0], bits));
  const pairOf = (a: Buffer, b: Buffer) => make.der(0x30, make.der(2, a), make.der(2, b));
  const verdict = (changed: Buffer) => validatePath({ ...request({}), leaf: changed });
  const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const asInteger = (value: bigint) => twosComplement(value);
  t.equal(verdict(spelled(pairOf(r, s))).valid, true, 'the same octets');
  const lax: Record<string, Buffer> = {
    'a spare zero before r': pairOf(Buffer.concat([Buffer.from([0]), r]), s),
    'a spare zero before s': pairOf(r, Buffer.concat([Buffer.from([0]), s])),
    'a long length': Buffer.concat([Buffer.from([0x30, 0x81]), signature.subarray(1)]),
    'an octet after it': Buffer.concat([signature, Buffer.from([0])]),
    'indefinite length': Buffer.concat([Buffer.from([0x30, 0x80]), signature.subarray(2), Buffer.alloc(2)]),
    's plus the group order': pairOf(r, asInteger(BigInt(`0x${s.toString('hex')}`) + n)),
    'minus s': pairOf(r, asInteger(-BigInt(`0x${s.toString('hex')}`))),
    'r and s zero': pairOf(Buffer.from([0]), Buffer.from([0])),
  };
  for (const [what, bits] of Object.entries(lax)) {
    t.match(verdict(spelled(bits)), { valid: false, code: /SIGNATURE_INVALID|CERTIFICATE_MALFORMED/ }, what);
  }
  // ECDSA knows a second s for everybody. Public CAs make both kinds, so it is accepted; but it is another certificate,
  // and certificates are pinned and named by the hash of all their octets.
  const twin = spelled(pairOf(r, asInteger(n - BigInt(`0x${s.toString('hex')}`))));
  t.equal(verdict(twin).valid, true);
  t.not(certificateHash(twin), certificateHash(good));
});

function twosComplement(value: bigint): Buffer {
  const octets = 33;
  const hex = BigInt.asUintN(octets * 8, value)
    .toString(16)
    .padStart(octets * 2, '0');
  const all = Buffer.from(hex, 'hex');
  const spare = all[0] === (value < 0n ? 0xff : 0) && all[1]! >= 0x80 === value < 0n;
  return spare ? all.subarray(1) : all;
}

t.test('a search is bounded whatever is handed in', async (t) => {
  // Sixteen CAs of one name that all signed each other, none of them below the anchor.
  const one = pair();
  const ring = Array.from({ length: 16 }, () => ca({ key: one, signer: one, subject: 'CN=Ring', issuer: 'CN=Ring' }));
  const asked = { ...request({}), leaf: leaf({ signer: one, issuer: 'CN=Ring' }), intermediates: ring };
  const start = cpuMs();
  t.match(validatePath(asked), { valid: false, code: 'SEARCH_EXHAUSTED' });
  t.ok(cpuMs() - start < 1000);
  t.match(validatePath({ ...asked, intermediates: [...ring, ca()] }), { code: 'TOO_MANY_CERTIFICATES' });
  // Six of them stay within the signature checks and are stopped by the steps; sixty anchors of one name the other way.
  t.match(validatePath({ ...asked, intermediates: ring.slice(0, 6) }), { code: 'SEARCH_EXHAUSTED' });
  const anchors = Array.from({ length: 60 }, () => ({
    der: root({ key: pair(), with: [ext.subjectKey(keys.root.id)] }),
  }));
  t.match(validatePath({ ...request({}), anchors }), { code: 'SEARCH_EXHAUSTED' });
  const line = Array.from({ length: 8 }, () => pair());
  const chain = line.map((key, at) =>
    ca({ key, subject: `CN=L${at}`, ...(at === 0 ? {} : { signer: line[at - 1]!, issuer: `CN=L${at - 1}` }) }),
  );
  const below = (depth: number): PathRequest => ({
    ...asked,
    leaf: leaf({ signer: line[depth - 1]!, issuer: `CN=L${depth - 1}` }),
    intermediates: chain,
  });
  t.equal(validatePath(below(6)).valid, true, 'eight certificates');
  t.match(validatePath(below(7)), { code: 'PATH_TOO_LONG' });
  t.match(validatePath({ ...below(2), maxDepth: 3 }), { code: 'PATH_TOO_LONG' });
  t.equal(validatePath({ ...below(2), maxDepth: 4 }).valid, true);
  t.match(validatePath({ ...asked, leaf: Buffer.alloc(64 * 1024 + 1) }), { code: 'CERTIFICATE_MALFORMED' });
  t.throws(() => validatePath({ ...asked, atMs: Number.NaN }), TypeError);
  t.throws(() => validatePath({ ...asked, purpose: 'nothing' as PathPurpose }), TypeError);
  t.throws(() => validatePath({ ...asked, maxDepth: 9 }), TypeError);
});

t.test('purposes of documents', async (t) => {
  const TIME_STAMPING = '1.3.6.1.5.5.7.3.8';
  const none = { without: ['2.5.29.37'] };
  const stamping = { ...ext.purposes(TIME_STAMPING), critical: true };
  const rows: [PathPurpose, Buffer, string][] = [
    ['sign', leaf({ ...none }), 'valid'],
    ['sign', leaf({ ...none, with: [ext.usage(1)] }), 'valid'],
    ['sign', leaf(), 'EXTENDED_KEY_USAGE'],
    ['sign', leaf({ ...none, with: [ext.usage(4)] }), 'KEY_USAGE'],
    ['encrypt', leaf({ ...none, with: [ext.usage(4)] }), 'valid'],
    ['encrypt', leaf({ ...none }), 'KEY_USAGE'],
    ['encrypt', leaf({ with: [ext.usage(4)] }), 'EXTENDED_KEY_USAGE'],
    ['timestamp', leaf({ with: [stamping] }), 'valid'],
    ['timestamp', leaf({ with: [ext.purposes(TIME_STAMPING)] }), 'EXTENDED_KEY_USAGE'],
    ['timestamp', leaf({ with: [{ ...ext.purposes(TIME_STAMPING, SERVER), critical: true }] }), 'EXTENDED_KEY_USAGE'],
    ['client', leaf({ ...none }), 'EXTENDED_KEY_USAGE'],
    ['any', leaf({ ...none }), 'valid'],
  ];
  for (const [purpose, bytes, code] of rows) {
    const verdict = validatePath({ ...request({}), leaf: bytes, purpose });
    t.equal(verdict.valid ? 'valid' : verdict.code, code, `${purpose}: ${code}`);
  }
});
