// What can be done to the provider's pack of an exchange whose contents were destroyed, and the verdict on each. The department
// that lies has all of its server's keys, so that it can spell the whole destruction anew: what it cannot do is put the
// new entries into a tree that others vouched for.

import { sha256 } from '#certs/commitment.ts';
import { leafHash } from '#certs/merkle.ts';
import { certificateHash } from '#certs/path.ts';
import { readCertificate, scopeOf, signCertificate } from '#core/retention/certificate.ts';
import { base64url } from '#schemas/base64url.ts';
import { encodeLogEntry, type LogEntry, parseLogEntry } from '#schemas/log-entry.ts';
import { type DestructionCertificate, encodeNote, type IntentNote, readIntent } from '#schemas/retention.ts';
import type { DamagedPack } from './pack-damages.ts';
import { type Damage, drop, type Files, flip, flipLine, set, text, withoutLine } from './pack-edits.ts';
import type { PackSetting } from './pack-setting.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const OF = 'destruction/answer';

interface Lie {
  intent?: (note: IntentNote) => object;
  intended?: Partial<LogEntry>;
  certificate?: (certificate: DestructionCertificate) => object;
  done?: Partial<LogEntry>;
  /** Added to the times of both entries. */
  laterMs?: [intended: number, done: number];
}

/** The destruction of the answer, said otherwise from the intent to the certificate, all of it signed and cited as it must be. */
function retold({ pair, certificateOf }: PackSetting, lie: Lie): Damage {
  return (files) => {
    const read = (name: string) => files.get(`${OF}/${name}`) ?? Buffer.alloc(0);
    const note = readIntent(read('intended/note'));
    lie.intent?.(note);
    const intendedNote = encodeNote(note);
    const entryOf = (kind: 'intended' | 'done', ofNote: string) => {
      const old = parseLogEntry(read(`${kind}/entry`).toString());
      const t = old.t + (lie.laterMs?.[kind === 'intended' ? 0 : 1] ?? 0);
      const entry = { ...old, t, statement: sha256(Buffer.from(ofNote)), ...lie[kind] };
      files.set(`${OF}/${kind}/note`, Buffer.from(ofNote));
      files.set(`${OF}/${kind}/entry`, Buffer.from(encodeLogEntry(entry)));
      return entry;
    };
    const { seq } = entryOf('intended', intendedNote);
    const leaf = base64url(leafHash(read('intended/entry')));
    const { certificate } = readCertificate(read('certificate.jws').toString('latin1'));
    const said = { ...certificate, ...scopeOf(note), intent: { seq, leaf } };
    lie.certificate?.(said);
    const { key } = pair.identities.provider.keys.signing;
    const jws = signCertificate(said, {
      alg: 'ES256',
      key,
      certificateHash: certificateHash(certificateOf('provider')),
    });
    files.set(`${OF}/certificate.jws`, Buffer.from(jws, 'latin1'));
    entryOf('done', encodeNote({ v: 1, destruction: note.destruction, certificate: jws }));
  };
}

const LOG = 'destruction/log';
const CHECKPOINT = [`${LOG}/checkpoint`, `${LOG}/aggregate`, `${LOG}/aggregate.place`, `${LOG}/token.aggregate.1.der`];
const ENTRIES = ['intended', 'done'].flatMap((kind) => [`${OF}/${kind}/entry`, `${OF}/${kind}/note`]);
const PATHS = ['request', 'answer'].flatMap((name) =>
  ['intended', 'done'].map((kind) => `destruction/${name}/${kind}/inclusion`),
);
const ENTRY = 'INVALID(DESTRUCTION_ENTRY_WRONG)';
const BY_ONE = 'INVALID(DESTRUCTION_BY_ONE)';
const ORDER = 'INVALID(DESTRUCTION_ORDER_WRONG)';

/** Everything spelled and signed as it has to be, and a lie. */
const LIES: readonly [name: string, verdict: string, lie: Lie][] = [
  ['about other records', 'INVALID(DESTRUCTION_WRONG)', { intent: (one) => Object.assign(one, { records: [] }) }],
  ['the end of another one', ENTRY, { done: { id: '00000000-0000-4000-8000-000000000000' } }],
  ['more than was intended', ENTRY, { certificate: (one) => Object.assign(one, { reason: 'another' }) }],
  ['another intent cited', ENTRY, { certificate: ({ intent }) => Object.assign(intent, { seq: intent.seq + 1 }) }],
  ['another leaf cited', ENTRY, { certificate: ({ intent }) => Object.assign(intent, { leaf: sha256('x') }) }],
  ['one key', BY_ONE, { intent: ({ approved, requested }) => Object.assign(approved, { key: requested.key }) }],
  [
    'one name',
    BY_ONE,
    { intent: ({ approved, requested }) => Object.assign(approved, { name: ` ${requested.name.toUpperCase()}` }) },
  ],
  ['done before it was intended', ORDER, { done: { seq: 0 } }],
  ['done at an earlier time', ORDER, { done: { t: 1_700_000_000_000 } }],
  [
    'gone after it was written',
    ORDER,
    { certificate: (one) => Object.assign(one, { destroyedAtMs: one.destroyedAtMs + HOUR_MS }) },
  ],
  [
    'approved after it was intended',
    ORDER,
    { intent: ({ approved }) => Object.assign(approved, { atMs: approved.atMs + HOUR_MS }) },
  ],
  ['intended before the record was', ORDER, { intended: { seq: 0 } }],
  ['intended at a later time', ORDER, { intended: { t: 4_000_000_000_000 }, done: { t: 4_000_000_000_001 } }],
  ['done at a slightly earlier time', ORDER, { laterMs: [2 * MINUTE_MS, MINUTE_MS] }],
  [
    'intended long before the record was',
    ORDER,
    { intent: ({ approved }) => Object.assign(approved, { atMs: 0 }), laterMs: [-HOUR_MS, 0] },
  ],
  ['an end that has another note', ENTRY, { done: { statement: sha256('x') } }],
  ['another reason', 'INVALID(INCLUSION_WRONG)', { intent: (one) => Object.assign(one, { reason: 'another' }) }],
  ['another end', 'INVALID(INCLUSION_WRONG)', { done: { code: 'X' } }],
  ['in another log', ENTRY, { certificate: (one) => Object.assign(one, { origin: `${one.origin}/2` }) }],
  ['in the log of another', ORDER, { certificate: (one) => Object.assign(one, { origin: `${one.origin}x` }) }],
];

const EDITS: readonly [name: string, verdict: string, damage: Damage][] = [
  ['nothing', 'COMMITMENT-ONLY', () => {}],
  ['a signature', 'INVALID(DESTRUCTION_WRONG)', flip(`${OF}/certificate.jws`, -21)],
  ['no certificate', 'INCOMPLETE(CONTENT_MISSING)', dropAll],
  ['as packs were made before', 'INCOMPLETE(DESTRUCTION_NOT_LOGGED)', drop(...ENTRIES, ...PATHS, ...CHECKPOINT)],
  ['no intent', 'INCOMPLETE(DESTRUCTION_NOT_LOGGED)', drop(`${OF}/intended/entry`)],
  ['nothing done', 'INCOMPLETE(DESTRUCTION_NOT_LOGGED)', drop(`${OF}/done/entry`)],
  ['no note of the intent', 'INVALID(PACK_FILE_MISSING)', drop(`${OF}/intended/note`)],
  ['another note of the intent', ENTRY, flip(`${OF}/intended/note`, 60)],
  ['another note of the end', ENTRY, flip(`${OF}/done/note`, 60)],
  ['an intent that is none', ENTRY, text(`${OF}/intended/entry`, 'destruction-intended', 'destruction-done')],
  ['an end that is none', ENTRY, text(`${OF}/done/entry`, 'destruction-done', 'hold-placed')],
  ['an intent in another spelling', ENTRY, text(`${OF}/intended/entry`, '"seq":', '"seq": ')],
  ['no way to the root', 'INVALID(PACK_FILE_MISSING)', drop(`${OF}/intended/inclusion`)],
  ['another way to the root', 'INVALID(INCLUSION_WRONG)', set(`${OF}/done/inclusion`, anotherHash)],
  ['no checkpoint', 'INCOMPLETE(CHECKPOINT_MISSING)', drop(...PATHS, ...CHECKPOINT)],
  ['the checkpoint of the exchange', 'INVALID(INCLUSION_WRONG)', drop(...CHECKPOINT)],
  ["the checkpoint's signature", 'INVALID(CHECKPOINT_WRONG)', set(`${LOG}/checkpoint`, (bytes) => flipLine(bytes, 0))],
  ["the checkpoint's signature, nothing above", 'INVALID(CHECKPOINT_WRONG)', unvouched],
  ["the registry's cosignature", 'INVALID(COSIGNATURE_WRONG)', set(`${LOG}/checkpoint`, (bytes) => flipLine(bytes, 1))],
  ['no aggregate', 'INCOMPLETE(AGGREGATE_MISSING)', drop(...CHECKPOINT.slice(1))],
  ['a cosignature', 'INVALID(COSIGNATURE_WRONG)', set(`${LOG}/aggregate`, (bytes) => flipLine(bytes, 3))],
  ['one witness of two', 'INCOMPLETE(QUORUM_MISSING)', set(`${LOG}/aggregate`, (bytes) => withoutLine(bytes, 3))],
  ['a token', 'INVALID(TIME_STAMP_WRONG)', flip(`${LOG}/token.aggregate.1.der`, -5)],
  ['no token', 'INCOMPLETE(TIME_STAMP_MISSING)', drop(`${LOG}/token.aggregate.1.der`)],
  ['another configuration', 'INCOMPLETE(CONFIGURATION_MISSING)', text('pack', /(the destruction) \d+/, '$1 8')],
];

/** Spelled as it has to be: a bit of a letter of base64 may make it none. */
function anotherHash(bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  changed.write(changed[0] === 0x41 ? 'B' : 'A', 0, 'latin1');
  return changed;
}

function unvouched(files: Files): void {
  drop(...CHECKPOINT.slice(1))(files);
  set(`${LOG}/checkpoint`, (bytes) => flipLine(bytes, 0))(files);
}

function dropAll(files: Files): void {
  for (const name of [...files.keys()]) if (name.startsWith('destruction/')) files.delete(name);
}

/** Signed twice, the same words have two certificates (ES256 draws a number each time); the log holds one. */
function anotherSignature(made: PackSetting): Damage {
  return (files) => {
    const again = new Map(files);
    retold(made, {})(again);
    files.set(`${OF}/certificate.jws`, again.get(`${OF}/certificate.jws`) ?? Buffer.alloc(0));
  };
}

/** Every damage of the tables. @param whole of an exchange that was destroyed after its checkpoint. @param other of another such */
export function damagedDestructions(made: PackSetting, whole: Files, other: Files): DamagedPack[] {
  const anothers: Damage = (files) => {
    files.set(`${OF}/certificate.jws`, other.get(`${OF}/certificate.jws`) ?? Buffer.alloc(0));
  };
  const all: [name: string, verdict: string, damage: Damage][] = [
    ...EDITS,
    ...LIES.map(([name, verdict, lie]): [string, string, Damage] => [name, verdict, retold(made, lie)]),
    ['the certificate of another one', 'INVALID(DESTRUCTION_WRONG)', anothers],
    ['a certificate that the log does not hold', ENTRY, anotherSignature(made)],
  ];
  return all.map(([name, verdict, damage]) => {
    const files = new Map(whole);
    damage(files);
    return { name: `destruction: ${name}`, verdict, files: made.seal('provider', files) };
  });
}
