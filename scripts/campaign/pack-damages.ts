// What can be done to the files of an evidence pack of the provider's, and the verdict on each: from a lying department, that
// seals what it changed again, to whoever changes manifest and seal themselves.
import { signBatch } from '#certs/batch.ts';
import { generateKeys } from '#certs/keys.ts';
import { certificateHash } from '#certs/path.ts';
import { withRevocationLists } from '#certs/time-stamp-revocation.ts';
import { systemClock } from '#core/clock.ts';
import { MANIFEST, SEAL } from '#core/evidence/layout.ts';
import { manifestOf, sealPack } from '#core/evidence/seal.ts';
import {
  copy,
  type Damage,
  drop,
  type Files,
  flip,
  flipLine,
  NO_HASH,
  otherRoot,
  set,
  swap,
  text,
  withLine,
  withoutLine,
} from './pack-edits.ts';
import type { PackSetting } from './pack-setting.ts';

const RESEALED: readonly [name: string, verdict: string, damage: Damage][] = [
  ['nothing', 'VALID', () => {}],
  ['no body of the answer', 'INCOMPLETE(CONTENT_MISSING)', drop('answer/body')],
  ['no salt of the request', 'INCOMPLETE(CONTENT_MISSING)', drop('request/body.salt')],
  ['no answer', 'INCOMPLETE(ANSWER_MISSING)', drop('answer/statement')],
  ['no checkpoint', 'INCOMPLETE(CHECKPOINT_MISSING)', drop('log/checkpoint')],
  [
    'no aggregate',
    'INCOMPLETE(AGGREGATE_MISSING)',
    drop('log/aggregate', 'log/aggregate.place', 'log/token.aggregate.1.der'),
  ],
  ['a token over no aggregate', 'INVALID(TIME_STAMP_WRONG)', drop('log/aggregate', 'log/aggregate.place')],
  ['no token', 'INCOMPLETE(TIME_STAMP_MISSING)', drop('log/token.aggregate.1.der')],
  ['no content', 'INCOMPLETE(CONFIGURATION_MISSING)', drop('configuration/7/content.jws')],
  ['no part trust', 'INCOMPLETE(CONFIGURATION_MISSING)', drop('configuration/7/parts/trust')],
  ['no part witnesses', 'INCOMPLETE(CONFIGURATION_MISSING)', drop('configuration/7/parts/witnesses')],
  ['no root', 'INCOMPLETE(ROOT_MISSING)', drop('configuration/root.1.jws')],
  ['another root', 'INVALID(ROOT_NOT_ANCHORED)', flip('configuration/root.1.jws', -6)],
  ['one approver', 'INVALID(CONFIGURATION_WRONG)', text('configuration/7/content.jws', /,\{"protected".*\}\]/, ']')],
  ['a signature of an approver', 'INVALID(CONFIGURATION_WRONG)', flip('configuration/7/content.jws', -30)],
  ['a content that cites no root', 'INVALID(CONFIGURATION_WRONG)', set('configuration/7/content.jws', withoutRoot)],
  ['a part', 'INVALID(CONFIGURATION_PART_CHANGED)', flip('configuration/7/parts/trust', 60)],
  [
    'a content of nobody',
    'INVALID(PACK_FILE_UNKNOWN)',
    copy('configuration/7/content.jws', 'configuration/8/content.jws'),
  ],
  ['a head', 'INVALID(PACK_MALFORMED)', text('pack', 'accord-evidence/1', 'accord-evidence/2')],
  ['another exchange in the head', 'INVALID(STATEMENT_OTHER)', text('pack', /exchange ......../, 'exchange 00000000')],
  ['another side', 'INVALID(STATEMENT_OTHER)', text('pack', /side (consumer|provider)/, 'side consumer')],
  ['a statement in another spelling', 'INVALID(STATEMENT_MALFORMED)', text('request/statement', '"v":1', '"v": 1')],
  [
    'a server whose name is none',
    'INVALID(STATEMENT_MALFORMED)',
    text('request/statement', '"to":"DEV/', '"to":"DEV?'),
  ],
  ['a statement', 'INVALID(SIGNATURE_WRONG)', text('request/statement', '"basis":"open"', '"basis":"law"')],
  [
    'the answer of another request',
    'INVALID(STATEMENT_OTHER)',
    text('answer/statement', /"request":"[^"]+/, `"request":"${NO_HASH}`),
  ],
  [
    'a decision',
    'INVALID(SIGNATURE_WRONG)',
    text('answer/statement', /"decisionHash":"[^"]+/, `"decisionHash":"${NO_HASH}`),
  ],
  ['statements swapped', 'INVALID(STATEMENT_OTHER)', swap('request/statement', 'answer/statement')],
  ['a signature', 'INVALID(SIGNATURE_WRONG)', flip('request/signature', -3)],
  ['signatures swapped', 'INVALID(SIGNATURE_WRONG)', swap('request/signature', 'answer/signature')],
  ['the twin of a signature', 'INVALID(SIGNATURE_WRONG)', set('request/signature', twin)],
  ['a place', 'INVALID(SIGNATURE_WRONG)', text('answer/place', /^0 1\n/, '0 2\n')],
  ['a place in words', 'INVALID(PACK_MALFORMED)', text('answer/place', /^0 1\n/, '0  1\n')],
  ["the other's certificate", 'INVALID(SIGNATURE_WRONG)', copy('answer/certificate.der', 'request/certificate.der')],
  ['another certificate of the same key', 'INVALID(SIGNATURE_WRONG)', flip('request/certificate.der', -1)],
  ['a byte moved from the body to its salt', 'INVALID(COMMITMENT_WRONG)', moveByte],
  ['a context', 'INVALID(COMMITMENT_WRONG)', flip('request/context', 20)],
  ['a salt', 'INVALID(COMMITMENT_WRONG)', flip('answer/context.salt', 31)],
  ['a body', 'INVALID(COMMITMENT_WRONG)', flip('answer/body', 0)],
  [
    'a longer body',
    'INVALID(COMMITMENT_WRONG)',
    set('request/body', (bytes) => Buffer.concat([bytes, Buffer.alloc(1)])),
  ],
  ['bodies swapped', 'INVALID(COMMITMENT_WRONG)', swap('request/body', 'answer/body')],
  [
    'a salt of 33 bytes',
    'INVALID(COMMITMENT_WRONG)',
    set('answer/body.salt', (bytes) => Buffer.concat([bytes, Buffer.alloc(1)])),
  ],
  ['an entry', 'INVALID(ENTRY_WRONG)', text('answer/entry', '"code":"OK"', '"code":"NO"}')],
  ['an entry of another code', 'INVALID(INCLUSION_WRONG)', text('answer/entry', '"code":"OK"', '"code":"NO"')],
  [
    'an entry of another signature',
    'INVALID(ENTRY_WRONG)',
    text('request/entry', /"signature":"[^"]+/, `"signature":"${NO_HASH}`),
  ],
  [
    'an entry of another server',
    'INVALID(ENTRY_WRONG)',
    text('request/entry', /"peer":"[^"]+/, '"peer":"DEV/GOV/1001/ss9'),
  ],
  ['an earlier entry', 'INVALID(INCLUSION_WRONG)', text('request/entry', /"t":\d+/, '"t":1700000000000')],
  ['entries swapped', 'INVALID(ENTRY_WRONG)', swap('request/entry', 'answer/entry')],
  ['an entry in another place', 'INVALID(INCLUSION_WRONG)', text('answer/entry', /"seq":\d+/, '"seq":0')],
  ['a status of nobody', 'INVALID(CERTIFICATE_STATUS_WRONG)', copy('answer/body', 'answer/certificate-status.der')],
  ['no way to the root', 'INVALID(PACK_FILE_MISSING)', drop('answer/inclusion')],
  [
    'a longer way',
    'INVALID(INCLUSION_WRONG)',
    set('answer/inclusion', (bytes) => `${bytes}${Buffer.alloc(32).toString('base64')}\n`),
  ],
  ['a way in another spelling', 'INVALID(PACK_MALFORMED)', set('answer/inclusion', (bytes) => `${bytes}\n`)],
  ['a smaller tree', 'INVALID(INCLUSION_WRONG)', text('log/checkpoint', /\n\d+\n/, '\n1\n')],
  ['another origin', 'INVALID(ENTRY_WRONG)', text('log/checkpoint', 'accord/DEV/GOV', 'accord/DEV/COM')],
  ["the checkpoint's signature", 'INVALID(CHECKPOINT_WRONG)', set('log/checkpoint', (bytes) => flipLine(bytes, 0))],
  ['a checkpoint that is none', 'INVALID(CHECKPOINT_WRONG)', set('log/checkpoint', (bytes) => bytes.subarray(0, -1))],
  ["the registry's cosignature", 'INVALID(COSIGNATURE_WRONG)', set('log/checkpoint', (bytes) => flipLine(bytes, 1))],
  [
    'no cosignature of the registry',
    'INCOMPLETE(QUORUM_MISSING)',
    set('log/checkpoint', (bytes) => withoutLine(bytes, 1)),
  ],
  ["the aggregate's root", 'INVALID(AGGREGATE_WRONG)', set('log/aggregate', otherRoot)],
  ["the aggregate's signature", 'INVALID(AGGREGATE_WRONG)', set('log/aggregate', (bytes) => flipLine(bytes, 0))],
  ['another leaf of the aggregate', 'INVALID(AGGREGATE_WRONG)', text('log/aggregate.place', /^13\n/, '12\n')],
  ['a cosignature', 'INVALID(COSIGNATURE_WRONG)', set('log/aggregate', (bytes) => flipLine(bytes, 3))],
  ['one witness of two', 'INCOMPLETE(QUORUM_MISSING)', set('log/aggregate', (bytes) => withoutLine(bytes, 3))],
  [
    'one witness twice',
    'INVALID(COSIGNATURE_WRONG)',
    set('log/aggregate', (bytes) => withLine(withoutLine(bytes, 3), bytes, 1)),
  ],
  ['a witness of nobody', 'INVALID(COSIGNATURE_WRONG)', text('log/aggregate', / b\.dev /, ' c.dev ')],
  ['a token', 'INVALID(TIME_STAMP_WRONG)', flip('log/token.aggregate.1.der', -5)],
  [
    'a signature that a token only names',
    'INVALID(TIME_STAMP_WRONG)',
    set('log/token.aggregate.1.der', otherAlgorithm),
  ],
  ["another authority's list in a token", 'INVALID(TIME_STAMP_WRONG)', strangeList],
  [
    'a token over something else',
    'INVALID(TIME_STAMP_WRONG)',
    (files) => {
      copy('log/token.aggregate.1.der', 'log/token.checkpoint.1.der')(files);
      files.delete('log/token.aggregate.1.der');
    },
  ],
  ['no lower bound', 'VALID', drop('before/entry', 'before/note', 'before/inclusion')],
  ['no note of the lower bound', 'INVALID(PACK_FILE_MISSING)', drop('before/note')],
  ['another note of the lower bound', 'INVALID(ENTRY_WRONG)', flip('before/note', 40)],
  ['a lower bound behind the request', 'INVALID(ENTRY_WRONG)', text('before/entry', /"seq":\d+/, '"seq":900000')],
  ['a lower bound of another log', 'INVALID(INCLUSION_WRONG)', text('before/entry', /"t":\d+/, '"t":1700000000000')],
  ['a file of nobody', 'INVALID(PACK_MALFORMED)', (files) => void files.set('readme', Buffer.from('x'))],
];

/** Not covered by the signature, and openssl does not look at it. */
function otherAlgorithm(token: Buffer): Buffer {
  const ecdsa = Buffer.from('2a8648ce3d0403', 'hex');
  const at = token.lastIndexOf(ecdsa) + ecdsa.length;
  token[at] = (token[at] ?? 0) ^ 1;
  return token;
}

function strangeList(files: Files): void {
  const [, list = ''] = /"crls":\["([^"]+)"/.exec(files.get('configuration/7/parts/trust')?.toString() ?? '') ?? [];
  set('log/token.aggregate.1.der', (token) => withRevocationLists(token, [Buffer.from(list, 'base64url')]))(files);
}

/** Lists of its own authority in the token, which carries its certificate. */
function revokedStamps({ stamper }: PackSetting): readonly [name: string, verdict: string, damage: Damage][] {
  const nowMs = systemClock.nowMs();
  const list = (number: number, fromNowMs: number, reason: number | null) =>
    stamper.list(number, nowMs + number, { atMs: nowMs + fromNowMs, reason });
  const within = (...lists: Buffer[]) => set('log/token.aggregate.1.der', (token) => withRevocationLists(token, lists));
  const [lost, good, hour] = ['INCOMPLETE(TIME_STAMP_MISSING)', 'VALID', 3_600_000];
  const [stolen, given] = [list(2_000, hour, 1), list(1_000, hour, 4)];
  return [
    ['a list in a token, of which nothing was revoked', good, within(stamper.list(1, nowMs))],
    ['a time-stamp of an authority that gave up later', good, within(given)],
    ['a time-stamp of an authority that had given up', lost, within(list(1, -hour, 4))],
    ['a time-stamp of an authority whose key was stolen later', lost, within(stolen)],
    ['a time-stamp of an authority that was revoked later, without a reason', lost, within(list(1, hour, null))],
    ['the newer list of two in a token', lost, within(given, stolen)],
    ['a list in a token that nobody signed', 'INVALID(TIME_STAMP_WRONG)', within(otherEnd(stolen))],
    ['a list beside a stolen key', 'INVALID(TIME_STAMP_WRONG)', within(stolen, otherEnd(given))],
  ];
}

/** Of a signature's. */
function otherEnd(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
  return changed;
}

function withoutRoot(file: Buffer): string {
  const { payload, signatures } = JSON.parse(file.toString()) as { payload: string; signatures: object[] };
  const text = Buffer.from(payload, 'base64url').toString().replace('"root":', '"roof":');
  return `${JSON.stringify({ payload: Buffer.from(text).toString('base64url'), signatures })}\n`;
}

/** The hash over salt and body together stays what it was. */
function moveByte(files: Files): void {
  const [salt, body] = ['answer/body.salt', 'answer/body'].map((name) => files.get(name) ?? Buffer.alloc(0)) as [
    Buffer,
    Buffer,
  ];
  files.set('answer/body.salt', Buffer.concat([salt, body.subarray(0, 1)]));
  files.set('answer/body', body.subarray(1));
}

/** (r, n - s): verifies just as well, and is not ours. */
function twin(jws: Buffer): string {
  const [head, payload, signature = ''] = jws.toString('latin1').split('.');
  const raw = Buffer.from(signature, 'base64url');
  const order = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');
  const s = order - BigInt(`0x${raw.subarray(32).toString('hex')}`);
  const other = Buffer.concat([raw.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]);
  return `${head}.${payload}.${other.toString('base64url')}`;
}

/** Damages of manifest and seal themselves. */
function unsealed(made: PackSetting, whole: Files): DamagedPack[] {
  const sealed = made.seal('provider', whole);
  const changed = (name: string, verdict: string, damage: Damage) => {
    const files = new Map(sealed);
    damage(files);
    return { name, verdict, files };
  };
  const other = generateKeys('P-256').privateKey;
  return [
    changed('a byte', 'INVALID(PACK_FILE_CHANGED)', flip('answer/body', 0)),
    changed('a file gone', 'INVALID(PACK_FILE_MISSING)', drop('answer/body')),
    changed('a file more', 'INVALID(PACK_FILE_UNKNOWN)', (files) => void files.set('x y', Buffer.from('x'))),
    changed('no manifest', 'INVALID(PACK_MALFORMED)', drop(MANIFEST)),
    changed(
      'a manifest out of order',
      'INVALID(PACK_MALFORMED)',
      set(MANIFEST, (bytes) => {
        return `${bytes.toString().trimEnd().split('\n').reverse().join('\n')}\n`;
      }),
    ),
    changed('no seal', 'INVALID(SEAL_WRONG)', drop(SEAL)),
    changed('a seal', 'INVALID(SEAL_WRONG)', flip(SEAL, -4)),
    changed('the seal of an older manifest', 'INVALID(SEAL_WRONG)', (files) => {
      files.delete('answer/body');
      files.set(MANIFEST, manifestOf(files));
    }),
    changed("the other's seal", 'INVALID(SEAL_WRONG)', (files) => {
      for (const [name, bytes] of made.seal('consumer', whole)) files.set(name, bytes);
    }),
    {
      name: 'a signature of a stranger',
      verdict: 'INVALID(CERTIFICATE_NOT_REGISTERED)',
      files: made.seal('provider', foreign(made, whole)),
    },
    changed('a seal of another key', 'INVALID(SEAL_WRONG)', (files) => {
      const by = { key: other, certificate: made.certificateOf('provider') };
      for (const [name, bytes] of sealPack(whole, by, systemClock.nowMs())) files.set(name, bytes);
    }),
  ];
}

/** The request under a certificate that the same authority gave to the same name, and nobody registered. */
function foreign({ stranger }: PackSetting, whole: Files): Files {
  const files = new Map(whole);
  const der = Buffer.from(stranger.registration.signingCertificates[0] ?? '', 'base64url');
  const key = { alg: 'ES256' as const, key: stranger.keys.signing.key };
  const nowSeconds = Math.floor(systemClock.nowMs() / 1000);
  const [signature] = signBatch(
    [files.get('request/statement') ?? Buffer.alloc(0)],
    key,
    certificateHash(der),
    nowSeconds,
  );
  files.set('request/signature', Buffer.from(signature?.jws ?? '')).set('request/certificate.der', der);
  return files;
}

export interface DamagedPack {
  name: string;
  verdict: string;
  files: Files;
}

/** Every damage of the table, done to the provider's pack. */
export function damagedPacks(made: PackSetting, whole: Files): DamagedPack[] {
  const resealed = [...RESEALED, ...revokedStamps(made)].map(([name, verdict, damage]) => {
    const files = new Map(whole);
    damage(files);
    return { name, verdict, files: made.seal('provider', files) };
  });
  return [...resealed, ...unsealed(made, whole)];
}
