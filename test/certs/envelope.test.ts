// Batch, seal and ticket as formats: every size and every byte, the ends of records, and whose key opens what.
import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { readBatch, type StatementSignature, signBatch, standsIn, verifyBatch } from '#certs/batch.ts';
import { commit, opens } from '#certs/commitment.ts';
import { exportPublicJwk, generateKeys, importPublicJwk, publicKeyOf, thumbprint } from '#certs/keys.ts';
import { Frontier, inclusionProof, nodeHash, verifyInclusion } from '#certs/merkle.ts';
import { type SealBinding, seal, sealedLength, unseal } from '#certs/seal.ts';
import { makeTicket, openTicket } from '#certs/ticket.ts';
import { MAX_BATCH_STATEMENTS, SEAL_RECORD_BYTES, TICKET_LIFETIME_MS } from '#schemas/limits.ts';
import { isAccordError } from '#schemas/problems.ts';

const signing = { alg: 'ES256' as const, key: generateKeys('P-256').privateKey };
const CERTIFICATE = createHash('sha256').update('certificate').digest('base64url');
const NOW_SECONDS = 1_800_000_000;

function batch(size: number): { statements: Buffer[]; signatures: StatementSignature[] } {
  const statements = Array.from({ length: size }, (_, n) => Buffer.from(`{"n":${n}}`));
  return { statements, signatures: signBatch(statements, signing, CERTIFICATE, NOW_SECONDS) };
}

function codeOf(run: () => unknown): string {
  try {
    run();
    return 'OK';
  } catch (error) {
    return isAccordError(error) ? error.code : String(error);
  }
}

async function codeOfPromise(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'OK',
    (error: unknown) => (isAccordError(error) ? error.code : String(error)),
  );
}

t.test('batches of every size: each statement stands in its place and in no other', async (t) => {
  let wrong = 0;
  for (let size = 1; size <= MAX_BATCH_STATEMENTS; size += 1) {
    const { statements, signatures } = batch(size);
    const claims = readBatch(signatures[0]?.jws ?? '');
    if (!verifyBatch(claims, publicKeyOf(signing.key)) || claims.size !== size) wrong += 1;
    for (const [index, statement] of statements.entries()) {
      const { path } = signatures[index] as StatementSignature;
      if (!standsIn(claims, statement, index, path)) wrong += 1;
      if (size > 40 && index % 16 !== size % 16) continue;
      const others = [index - 1, index + 1, size, index ^ 1, index + 256, -1].filter((at) => at !== index);
      if (others.some((at) => standsIn(claims, statement, at, path))) wrong += 1;
      const changed = Buffer.concat([statement, Buffer.from(' ')]);
      if (standsIn(claims, changed, index, path)) wrong += 1;
      const bad = [path.slice(1), [...path, randomBytes(32)], [...path].reverse()].filter(
        (other) => other.length !== path.length || other.some((hash, at) => !hash.equals(path[at] ?? hash)),
      );
      if (bad.some((other) => other.length > 0 && standsIn(claims, statement, index, other))) wrong += 1;
    }
  }
  t.equal(wrong, 0);
  t.throws(() => batch(0), TypeError);
  t.throws(() => batch(MAX_BATCH_STATEMENTS + 1), TypeError);
});

t.test('any byte of statement, path or signature', async (t) => {
  const anyFlip = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.nat(), fc.nat(), fc.integer({ min: 0, max: 7 }));
  fc.assert(
    fc.property(anyFlip, ([size, which, where, bit]) => {
      const { statements, signatures } = batch(size);
      const index = which % size;
      const { jws, path } = signatures[index] as StatementSignature;
      const bytes = Buffer.concat([statements[index] as Buffer, ...path]);
      bytes.writeUInt8(bytes.readUInt8(where % bytes.length) ^ (1 << bit), where % bytes.length);
      const cut = (statements[index] as Buffer).length;
      const hashes = path.map((_, at) => bytes.subarray(cut + at * 32, cut + (at + 1) * 32));
      return !standsIn(readBatch(jws), bytes.subarray(0, cut), index, hashes);
    }),
    { numRuns: 400 },
  );
  const { signatures } = batch(3);
  const { jws } = signatures[0] as StatementSignature;
  const passed: number[] = [];
  for (let at = 0; at < jws.length; at += 1) {
    for (const other of ['A', 'Z', '_', '.', '=', ' ', 'é', '\n']) {
      const text = jws.slice(0, at) + other + jws.slice(at + 1);
      if (text === jws) continue;
      const said = codeOf(() => {
        if (!verifyBatch(readBatch(text), publicKeyOf(signing.key))) throw new Error('wrong signature');
      });
      if (said === 'OK') passed.push(at);
    }
  }
  t.strictSame(passed, []);
  for (const text of [`${jws} `, `${jws}=`, ` ${jws}`, `${jws}.`, jws.replaceAll('-', '+')]) {
    if (text !== jws)
      t.not(
        codeOf(() => readBatch(text)),
        'OK',
      );
  }
});

t.test('the tree of a batch is the tree of RFC 9162, as the log has it', async (t) => {
  for (const size of [1, 2, 3, 5, 8, 13, 64, 100, 255, 256]) {
    const { statements, signatures } = batch(size);
    const label = Buffer.concat([Buffer.from([0]), Buffer.from('accord-statement/1'), Buffer.from([0])]);
    const leaves = statements.map((bytes) => createHash('sha256').update(label).update(bytes).digest());
    const frontier = new Frontier();
    for (const leaf of leaves) frontier.push(leaf);
    const subtree = (height: number, index: number): Buffer => {
      if (height === 0) return leaves[index] as Buffer;
      return nodeHash(subtree(height - 1, 2 * index), subtree(height - 1, 2 * index + 1));
    };
    const { root } = readBatch(signatures[0]?.jws ?? '');
    t.ok(frontier.root().equals(root), `root of ${size}`);
    for (const [index, leaf] of leaves.entries()) {
      const path = inclusionProof(index, size, subtree);
      const same = path.every((hash, at) => hash.equals(signatures[index]?.path[at] ?? Buffer.alloc(0)));
      if (!same || !verifyInclusion(leaf, index, size, path, root)) t.fail(`path ${index} of ${size}`);
    }
  }
});

const BINDING: SealBinding = { kind: 'request', ticketHash: 'h', from: 'a', to: 'b', id: 'i', part: 'head' };

t.test('a sealed part opens whole, or not at all', async (t) => {
  const secret = randomBytes(32);
  const salt = randomBytes(32);
  const record = SEAL_RECORD_BYTES + 16;
  for (const length of [
    0,
    1,
    SEAL_RECORD_BYTES - 1,
    SEAL_RECORD_BYTES,
    SEAL_RECORD_BYTES + 1,
    2 * SEAL_RECORD_BYTES,
    200_000,
  ]) {
    const plaintext = randomBytes(length);
    const sealed = seal(plaintext, secret, salt, BINDING);
    t.equal(sealed.length, sealedLength(length));
    t.ok(unseal(sealed, secret, salt, BINDING).equals(plaintext), `${length} bytes`);
    const said = (bytes: Buffer, over: Partial<SealBinding> = {}) =>
      codeOf(() => unseal(bytes, secret, salt, { ...BINDING, ...over }));
    for (const cut of [1, 15, 16, 17, record].filter((bytes) => bytes <= sealed.length)) {
      t.equal(said(sealed.subarray(0, -cut)), 'SEAL_BROKEN', `${length} cut by ${cut}`);
    }
    t.equal(said(Buffer.concat([sealed, Buffer.alloc(1)])), 'SEAL_BROKEN');
    t.equal(said(Buffer.concat([sealed, Buffer.alloc(16)])), 'SEAL_BROKEN');
    t.equal(said(Buffer.concat([sealed, sealed])), 'SEAL_BROKEN');
    t.equal(said(Buffer.concat([sealed, seal(Buffer.alloc(0), secret, salt, BINDING)])), 'SEAL_BROKEN');
    if (sealed.length > 2 * record) {
      const swapped = [sealed.subarray(record, 2 * record), sealed.subarray(0, record), sealed.subarray(2 * record)];
      t.equal(said(Buffer.concat(swapped)), 'SEAL_BROKEN', 'records in another order');
      t.equal(
        said(Buffer.concat([sealed.subarray(0, record), sealed.subarray(2 * record)])),
        'SEAL_BROKEN',
        'one left out',
      );
    }
    for (const over of [
      { kind: 'answer' },
      { part: 'body' },
      { id: 'j' },
      { from: 'x' },
      { to: 'x' },
      { ticketHash: 'x' },
      { from: 'ab', to: '' },
    ] as const) {
      t.equal(said(sealed, over), 'SEAL_BROKEN', JSON.stringify(over));
    }
    t.equal(
      codeOf(() => unseal(sealed, secret, randomBytes(32), BINDING)),
      'SEAL_BROKEN',
    );
    t.equal(
      codeOf(() => unseal(sealed, randomBytes(32), salt, BINDING)),
      'SEAL_BROKEN',
    );
  }
});

t.test('commitments open to one salt and one text', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.uint8Array(), fc.nat(), (salt, bytes, at) => {
      const commitment = commit(salt, bytes);
      const other = Buffer.concat([salt, bytes]);
      other.writeUInt8(other.readUInt8(at % other.length) ^ 1, at % other.length);
      return opens(commitment, salt, bytes) && !opens(commitment, other.subarray(0, 32), other.subarray(32));
    }),
    { numRuns: 200 },
  );
  t.throws(() => commit(Buffer.alloc(31), Buffer.alloc(1)), TypeError);
});

t.test('tickets: whose, for whom, until when, in one spelling', async (t) => {
  const key = generateKeys('P-256').privateKey;
  const kid = thumbprint(key);
  const recipient = { kid, key: importPublicJwk(exportPublicJwk(key) as never, 'enc') };
  const nowMs = NOW_SECONDS * 1000;
  const ticket = await makeTicket('A/B/1/s1', 'A/B/2/s2', recipient, nowMs);
  const keys = (wanted: string) => (wanted === kid ? key : undefined);
  const open = (jwe: string, from = 'A/B/1/s1', to = 'A/B/2/s2', atMs = nowMs, held = keys) =>
    openTicket(jwe, from, to, held, atMs);
  const opened = await open(ticket.jwe);
  t.ok(opened.secret.equals(ticket.secret));
  t.equal(opened.hash, ticket.hash);
  t.equal(opened.expiresAtMs, nowMs + TICKET_LIFETIME_MS);
  const { jwe } = ticket;
  const other = generateKeys('P-256').privateKey;
  const refused: [string, () => Promise<unknown>][] = [
    ['another sender', () => open(jwe, 'A/B/3/s3')],
    ['another receiver', () => open(jwe, 'A/B/1/s1', 'A/B/3/s3')],
    ['at its end', () => open(jwe, undefined, undefined, nowMs + TICKET_LIFETIME_MS)],
    ['too long-lived', () => open(jwe, undefined, undefined, nowMs - TICKET_LIFETIME_MS - 1_000)],
    ['an unknown key', () => open(jwe, undefined, undefined, nowMs, () => undefined)],
    ['another key', () => open(jwe, undefined, undefined, nowMs, () => other)],
    ['padding', () => open(`${jwe}=`)],
    ['white space', () => open(`${jwe}\n`)],
    ['six parts', () => open(`${jwe}.`)],
    ['rubbish', () => open('rubbish')],
    ['nothing', () => open('')],
    ['too large', () => open(jwe + 'A'.repeat(5_000))],
    ['a secret of 16 bytes', async () => open((await shortTicket()).jwe)],
  ];
  async function shortTicket(): Promise<{ jwe: string }> {
    const { encryptCompact } = await import('#certs/jwe.ts');
    const expSeconds = NOW_SECONDS + 600;
    const header = {
      typ: 'accord-ticket+jwe',
      kid,
      apu: Buffer.from('A/B/1/s1'),
      apv: Buffer.from('A/B/2/s2'),
      expSeconds,
    };
    return { jwe: await encryptCompact(randomBytes(16), header, recipient.key) };
  }
  for (const [name, run] of refused) t.equal(await codeOfPromise(run()), 'TICKET_REFUSED', name);
  const passed: number[] = [];
  for (let at = 0; at < jwe.length; at += 3) {
    const text = jwe.slice(0, at) + (jwe.charAt(at) === 'B' ? 'C' : 'B') + jwe.slice(at + 1);
    if ((await codeOfPromise(open(text))) !== 'TICKET_REFUSED') passed.push(at);
  }
  t.strictSame(passed, [], 'no other spelling opens');
});
