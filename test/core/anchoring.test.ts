// What others say about a checkpoint: the good case, every lie a registry or a disk could tell, every changed character,
// and entries `anchored` in a log that is audited.
import { generateKeyPairSync } from 'node:crypto';
import t from 'tap';
import { rawEd25519PublicKey, signEd25519 } from '#certs/ed25519.ts';
import { sha256Of } from '#certs/merkle.ts';
import { verifyLog } from '#core/log/audit.ts';
import { type MessageLog, type NewRecord, openMessageLog } from '#core/log/message-log.ts';
import { checkpointText, noteVerifier, parseNote, signNote } from '#core/log/signed-note.ts';
import { cosignatureLine } from '#core/witness/cosignature.ts';
import { readWitnessPolicy } from '#core/witness/policy.ts';
import {
  type AnchoringRules,
  anchoringState,
  verifyAnchoring,
  verifyAnchoringNote,
} from '#core/witness/verify-anchoring.ts';
import { type Anchoring, anchoringText, parseAnchoring } from '#schemas/anchoring.ts';
import type { WitnessesPart } from '#schemas/configuration.ts';
import { AGGREGATE_ORIGIN, AnchoringWorld, COSIGNED_MS, testToken, verifyTestToken } from './anchoring-world.ts';
import { logFixture, requestRecords } from './log-fixture.ts';

const ORIGIN = 'accord/DEV/GOV/1001/ss1';
const logKey = generateKeyPairSync('ed25519').privateKey;
const log = noteVerifier(ORIGIN, rawEd25519PublicKey(logKey));
const world = new AnchoringWorld();

function ownNote(size = 20, origin = ORIGIN, root = sha256Of('root')): string {
  return signNote(checkpointText({ origin, size, root }), { ...log }, (bytes) => signEd25519(logKey, bytes));
}

const imprintOf = (note: string) => sha256Of(parseNote(note).text);

function whole(): Anchoring {
  const anchoring = world.anchor(ownNote());
  const over = imprintOf(anchoring.aggregate?.checkpoint ?? '');
  return { ...anchoring, tokens: [{ over: 'aggregate', token: testToken(over, 1_790_000_010_000) }] };
}

const rules: AnchoringRules = {
  origin: ORIGIN,
  logKeyAt: () => log,
  rootAt: (size) => (size === 20 ? sha256Of('root') : null),
  policy: world.policy,
  verifyToken: verifyTestToken,
};

const codesOf = (anchoring: Anchoring, change: Partial<AnchoringRules> = {}) =>
  verifyAnchoring(anchoring, { ...rules, ...change }).findings.map(({ code }) => code);

t.test('a whole anchoring', async (t) => {
  const verdict = verifyAnchoring(whole(), rules);
  t.strictSame(verdict.findings, []);
  t.equal(anchoringState(verdict), 'good');
  t.match(verdict.checkpoint, { origin: ORIGIN, size: 20 });
  t.match(verdict.aggregate, { origin: AGGREGATE_ORIGIN, size: 7 });
  t.strictSame(verdict.quorum, { needed: 2, good: 2 });
  t.equal(verdict.existedAtMs, 1_790_000_010_000);
  t.strictSame(verdict.tokens, [{ over: 'aggregate', genTimeMs: 1_790_000_010_000 }]);
  const states = verdict.cosignatures.map(
    ({ witness, over, algorithm, state }) => `${over} ${witness} ${algorithm} ${state}`,
  );
  t.strictSame(states, [
    'checkpoint registry-witness ed25519 good',
    'checkpoint registry-witness ml-dsa-44 good',
    'aggregate witness-a ed25519 good',
    'aggregate witness-a ml-dsa-44 good',
    'aggregate witness-b ed25519 good',
    'aggregate witness-b ml-dsa-44 good',
    'aggregate witness-c ed25519 absent',
    'aggregate witness-c ml-dsa-44 absent',
  ]);
  t.equal(verdict.cosignatures[0]?.atMs, COSIGNED_MS);
  const once = whole();
  const text = anchoringText(once);
  t.strictSame(parseAnchoring(text), once);
  t.strictSame(verifyAnchoringNote(Buffer.from(text), rules).findings, []);
});

t.test('Ed25519 alone satisfies the quorum, ML-DSA-44 alone does not', async (t) => {
  const anchoring = whole();
  const without = (type: string) =>
    (anchoring.aggregate?.checkpoint ?? '')
      .split('\n')
      .filter((line) => !line.startsWith('\u2014 witness-') || line.length > 1000 !== (type === 'ml-dsa-44'))
      .join('\n');
  const having = (checkpoint: string): Anchoring => ({
    ...anchoring,
    aggregate: anchoring.aggregate && { ...anchoring.aggregate, checkpoint },
  });
  t.strictSame(codesOf(having(without('ml-dsa-44'))), []);
  t.strictSame(codesOf(having(without('ed25519'))), ['QUORUM_MISSING']);
});

t.test('what is wrong or missing', async (t) => {
  const anchoring = whole();
  const aggregate = anchoring.aggregate as NonNullable<Anchoring['aggregate']>;
  const having = (change: Partial<typeof aggregate>): Anchoring => ({
    ...anchoring,
    aggregate: { ...aggregate, ...change },
  });
  const owning = (note: string): Anchoring => ({ ...anchoring, checkpoint: world.witnessed(note) });
  const { text } = parseNote(aggregate.checkpoint);
  const stranger = generateKeyPairSync('ed25519').privateKey;
  const [own = '', ...lines] = aggregate.checkpoint
    .split('\u2014 ')
    .slice(1)
    .map((line) => `\u2014 ${line}`);
  const noteOf = (...signatures: string[]) => `${text}\n${signatures.join('')}`;
  const [a, , b] = lines as [string, string, string];
  const other = world.aggregateNote(
    [Buffer.from('x')],
    world.departments.map(({ ed25519 }) => ed25519),
  );
  const otherSize = parseNote(other).text;
  const cases: [string, Anchoring, string[], Partial<AnchoringRules>?][] = [
    ['another origin', owning(ownNote(20, 'accord/DEV/GOV/2002/ss2')), ['CHECKPOINT_ORIGIN_WRONG', 'INCLUSION_WRONG']],
    [
      'another key',
      anchoring,
      ['CHECKPOINT_SIGNATURE_WRONG', 'INCLUSION_WRONG'],
      { logKeyAt: () => noteVerifier(ORIGIN, rawEd25519PublicKey(stranger)) },
    ],
    ['the log is shorter', anchoring, ['CHECKPOINT_ROOT_WRONG'], { rootAt: () => null }],
    ['the log has another root', anchoring, ['CHECKPOINT_ROOT_WRONG'], { rootAt: () => sha256Of('other') }],
    ['an aggregate without us', having({ checkpoint: other }), ['INCLUSION_WRONG', 'TOKEN_WRONG']],
    ['another leaf', having({ index: aggregate.index + 1 }), ['INCLUSION_WRONG']],
    ['a path cut short', having({ path: aggregate.path.slice(1) }), ['INCLUSION_WRONG']],
    [
      'a path with another hash',
      having({
        path: aggregate.path.map((hash, i) => (i === 0 ? hash.replace(/^./, (c) => (c === 'A' ? 'B' : 'A')) : hash)),
      }),
      ['INCLUSION_WRONG'],
    ],
    [
      'a path with spare bits',
      having({ path: aggregate.path.map((hash) => `${hash.slice(0, -1)}B`) }),
      ['INCLUSION_WRONG'],
    ],
    ['another aggregate log', anchoring, ['AGGREGATE_ORIGIN_WRONG'], { policy: { ...world.policy, aggregate: null } }],
    ['an aggregate signed by another', having({ checkpoint: noteOf(a, b) }), ['AGGREGATE_SIGNATURE_WRONG']],
    ['one witness', having({ checkpoint: noteOf(own, a) }), ['QUORUM_MISSING']],
    ['one witness twice', having({ checkpoint: noteOf(own, a, a) }), ['COSIGNATURE_WRONG', 'QUORUM_MISSING']],
    ['the own line last', having({ checkpoint: noteOf(a, b, own) }), ['AGGREGATE_SIGNATURE_WRONG']],
    ['the own line twice', having({ checkpoint: noteOf(own, own, a, b) }), ['AGGREGATE_SIGNATURE_WRONG']],
    [
      'a cosignature for another size',
      having({ checkpoint: noteOf(own, a, cosignatureLine(otherSize, world.departments[1]!.ed25519, COSIGNED_MS)) }),
      ['COSIGNATURE_WRONG', 'QUORUM_MISSING'],
    ],
    [
      'a cosignature of a stranger',
      having({ checkpoint: noteOf(own, a, b, cosignatureLine(text, { ...world.registry.ed25519 }, COSIGNED_MS)) }),
      ['COSIGNATURE_UNKNOWN'],
    ],
    ['no witness of the registry', { ...anchoring, checkpoint: ownNote() }, ['COSIGNATURE_MISSING']],
    ['no aggregate, and a token over it', { ...anchoring, aggregate: null }, ['AGGREGATE_MISSING', 'TOKEN_WRONG']],
    ['no token', { ...anchoring, tokens: [] }, ['TOKEN_MISSING']],
    [
      'a token over another text',
      { ...anchoring, tokens: [{ over: 'checkpoint', token: anchoring.tokens[0]!.token }] },
      ['TOKEN_WRONG'],
    ],
    ['not a note', { ...anchoring, checkpoint: 'x' }, ['ANCHORING_MALFORMED', 'INCLUSION_WRONG']],
    [
      'not a checkpoint',
      having({ checkpoint: signNote('a\n', world.aggregate, (bytes) => signEd25519(world.aggregateKey, bytes)) }),
      ['ANCHORING_MALFORMED'],
    ],
  ];
  for (const [name, given, codes, change] of cases) {
    const verdict = verifyAnchoring(given, { ...rules, ...change });
    t.strictSame(
      verdict.findings.map(({ code }) => code),
      codes,
      name,
    );
    t.equal(
      verdict.existedAtMs === null,
      codes.some((code) => !['QUORUM_MISSING', 'COSIGNATURE_MISSING'].includes(code)),
      `${name}: time`,
    );
  }
  const direct: Anchoring = {
    ...{ v: 1, checkpoint: ownNote(), aggregate: null },
    tokens: [{ over: 'checkpoint', token: testToken(imprintOf(ownNote()), 5) }],
  };
  t.strictSame(
    codesOf(direct),
    ['COSIGNATURE_MISSING', 'AGGREGATE_MISSING'],
    'a direct token while the registry is away',
  );
  t.equal(verifyAnchoring(direct, rules).existedAtMs, 5);
});

t.test('every changed character is found', async (t) => {
  const { aggregate, ...rest } = whole();
  const short = (note = '') => note.replaceAll(/\u2014 \S+ \S{1000,}\n/gu, '');
  const plain = { ...rest, checkpoint: short(rest.checkpoint) };
  const cases: [Anchoring, number][] = [
    [{ ...plain, aggregate: aggregate && { ...aggregate, checkpoint: short(aggregate.checkpoint) } }, 1],
    // The long ML-DSA-44 signatures in samples.
    [{ ...rest, aggregate }, 61],
  ];
  for (const [anchoring, step] of cases) {
    const text = anchoringText(anchoring);
    const missed: number[] = [];
    for (let at = 0; at < text.length; at += step) {
      const changed = text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 1) + text.slice(at + 1);
      if (anchoringState(verifyAnchoringNote(Buffer.from(changed), rules)) !== 'wrong') missed.push(at);
    }
    t.strictSame(missed, []);
  }
});

t.test('a part `witnesses` in which one counts twice', async (t) => {
  const [first, second] = world.part.witnesses;
  const renamed = { ...first!, name: 'witness-z' };
  const cases: [string, Partial<WitnessesPart>][] = [
    ['one name twice', { witnesses: [first!, first!] }],
    ['out of order', { witnesses: [second!, first!] }],
    ["a key of another's name", { witnesses: [first!, renamed] }],
    ['the registry is one of them', { registryWitness: { name: first!.name, verifierKeys: first!.verifierKeys } }],
    ['a quorum nobody can reach', { quorum: 4 }],
    ['no Ed25519 key', { witnesses: [{ ...first!, verifierKeys: first!.verifierKeys.slice(1) }], quorum: 1 }],
    ['no aggregate log', { aggregate: null }],
    ['its key has another name', { aggregate: { ...world.part.aggregate!, origin: 'accord-aggregate/XX' } }],
  ];
  for (const [name, change] of cases) {
    t.throws(() => readWitnessPolicy({ ...world.part, ...change }), { code: 'CONFIGURATION_INVALID' }, name);
  }
});

const nothing = { peer: null, client: null, service: null, purpose: null, basis: null, code: null, decisionHash: null };
const anchored = (note: string): NewRecord => ({
  ...nothing,
  ...{
    kind: 'anchored',
    id: 'anchored',
    configurationVersion: 1,
    retention: 'standard',
    evidence: null,
    sealed: null,
    note,
  },
});

t.test('entries `anchored` in an audited log', async (t) => {
  const cases: [string, (log: MessageLog, earlier: string) => string, string | null][] = [
    ['good', (log) => anchoringText(world.anchor(log.checkpoint().note)), null],
    ['direct', (log) => anchoringText({ v: 1, checkpoint: log.checkpoint().note, aggregate: null, tokens: [] }), null],
    ['not canonical', (log) => ` ${anchoringText(world.anchor(log.checkpoint().note))}`, 'ANCHORING_MALFORMED'],
    ['an old one again', (_log, earlier) => earlier, 'older than one before it'],
    ['of another log', () => anchoringText(world.anchor(ownNote())), 'CHECKPOINT_ORIGIN_WRONG'],
    ['not in the aggregate', (log) => anchoringText(moved(world.anchor(log.checkpoint().note))), 'INCLUSION_WRONG'],
  ];
  for (const [name, make, fault] of cases) {
    const { options, clock, tick } = logFixture(t);
    const log = await openMessageLog(options);
    const grow = async () => {
      await Promise.all(requestRecords(3).map((record) => log.append(record)));
      clock.pass(10_000);
      tick();
    };
    await grow();
    const earlier = anchoringText(world.anchor(log.checkpoint().note));
    await grow();
    await log.append(anchored(anchoringText(world.anchor(log.checkpoint().note))));
    await grow();
    await log.append(anchored(make(log, earlier)));
    await log.close();
    const audit = await verifyLog({ folder: options.folder, checkpointFile: options.checkpointFile });
    const expected =
      fault === null ? { ok: true, code: null } : { ok: false, code: 'LOG_EVIDENCE_CHANGED', firstBadSeq: 10 };
    t.match(audit, expected, name);
    if (fault !== null) t.match(audit.detail, new RegExp(fault), name);
  }
});

t.test('an anchoring of a checkpoint that the log does not hold', async (t) => {
  const { options } = logFixture(t);
  const log = await openMessageLog(options);
  await Promise.all(requestRecords(3).map((record) => log.append(record)));
  const text = checkpointText({ origin: options.origin, size: 3, root: sha256Of('another history') });
  const verifier = noteVerifier(options.origin, rawEd25519PublicKey(options.checkpointKey));
  const forged = signNote(text, verifier, (bytes) => signEd25519(options.checkpointKey, bytes));
  await log.append(anchored(anchoringText(world.anchor(forged))));
  await log.close();
  const audit = await verifyLog({ folder: options.folder, checkpointFile: options.checkpointFile });
  t.match(audit, { ok: false, code: 'LOG_EVIDENCE_CHANGED', firstBadSeq: 3, detail: /CHECKPOINT_ROOT_WRONG/ });
});

function moved(anchoring: Anchoring): Anchoring {
  const { aggregate } = anchoring;
  return { ...anchoring, aggregate: aggregate && { ...aggregate, index: aggregate.index - 1 } };
}
