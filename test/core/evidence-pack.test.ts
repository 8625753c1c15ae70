// Evidence packs of two real servers: the library and `verify.sh` say the same of every damage, one department alone proves
// the other's part, and two exports differ in their seal only.
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { RegistryState } from '#core/configuration/parts.ts';
import { CHECKS } from '#core/evidence/check-run.ts';
import { PACK_CODES, PackFinding } from '#core/evidence/finding.ts';
import { MANIFEST, SEAL, SEAL_CERTIFICATE } from '#core/evidence/layout.ts';
import { manifestOf } from '#core/evidence/seal.ts';
import { verifyPack } from '#core/evidence/verify-pack.ts';
import { readZip, writeZip } from '#core/evidence/zip.ts';
import type { RegisteredServer } from '#schemas/registrations.ts';
import { type DamagedPack, damagedPacks } from '#scripts/campaign/pack-damages.ts';
import { damagedDestructions } from '#scripts/campaign/pack-destructions.ts';
import { type Files, flipLine } from '#scripts/campaign/pack-edits.ts';
import { openPackSetting, type PackSetting } from '#scripts/campaign/pack-setting.ts';
import {
  libraryChecks,
  libraryVerdict,
  newOpenssl,
  scriptChecks,
  scriptVerdict,
} from '#scripts/campaign/pack-verdicts.ts';
import { isScriptStale } from '#scripts/join-verify.ts';
import { knownToTheExporter } from './evidence-stamps.ts';

t.setTimeout(120_000);
let opened: Promise<PackSetting> | undefined;
let exchange = '';

function setting(): Promise<PackSetting> {
  opened ??= (async () => {
    const made = await openPackSetting();
    await made.ask();
    await made.anchorLog('provider');
    exchange = await made.ask();
    await made.anchorLog('provider');
    await made.anchorLog('consumer');
    return made;
  })();
  return opened;
}
t.teardown(async () => (await opened)?.close());

/** Shows the script some of what the library judged; the campaign `pack` shows it everything. Two at a time. */
async function shown(t: Test, made: PackSetting, damaged: readonly DamagedPack[], names: RegExp): Promise<void> {
  const chosen = damaged.filter(({ name }) => names.test(name));
  t.ok(chosen.length > 0, `${chosen.length} are shown`);
  const queue = chosen.values();
  const worker = async () => {
    for (const { name, verdict, files } of queue) {
      const exit = verdict.startsWith('INVALID') ? 7 : verdict.startsWith('INCOMPLETE') ? 5 : 0;
      const script = await scriptVerdict(made, files);
      t.match(script, { verdict, exit, stderr: '' }, `script: ${name}`);
      t.same(scriptChecks(script), libraryChecks(made, files), `check by check: ${name}`);
    }
  };
  await Promise.all([worker(), worker()]);
}

t.test('either department alone proves the whole exchange', async (t) => {
  const made = await setting();
  for (const which of ['provider', 'consumer'] as const) {
    const files = made.seal(which, await made.files(which, exchange));
    const { verdict, checks } = verifyPack(files, { anchor: made.anchor, nowMs: Date.now() });
    t.equal(verdict, 'VALID', which);
    t.same([...new Set(checks.map(({ state }) => state))], ['ok'], which);
  }
});

t.test('the script and the library know the same checks and codes', async (t) => {
  const script = readFileSync(join(import.meta.dirname, '../../scripts/verify.sh'), 'utf8');
  t.notOk(isScriptStale(), 'verify.sh is what its parts say; else run node scripts/join-verify.ts');
  const names = /\nnames='([^']*)'/.exec(script)?.[1]?.split(/[|\n]/);
  t.same(names, [...CHECKS]);
  const said = new Set([...script.matchAll(/\b(?:fail|miss) ([A-Z_]+)\b/g)].map(([, code]) => code));
  const known = Object.keys(PACK_CODES).filter((code) => code !== 'PACK_NOT_CANONICAL');
  t.same([...said].sort(), known.sort());
  const page = readFileSync(join(import.meta.dirname, '../../docs/evidence.md'), 'utf8');
  for (const code of Object.keys(PACK_CODES)) t.ok(page.includes(`\`${code}\``), `docs/evidence.md: ${code}`);
});

t.test('two exports are the same bytes apart from the seal', async (t) => {
  const made = await setting();
  const again = async (minute: number) =>
    made.seal('provider', await made.files('provider', exchange), 1_800_000_000_000 + minute * 60_000);
  const [first, second] = [await again(1), await again(2)];
  t.same([...first.keys()], [...second.keys()]);
  const differ = [...first.keys()].filter((name) => !first.get(name)?.equals(second.get(name) ?? Buffer.alloc(0)));
  t.same(differ, [SEAL]);
  const zip = writeZip(first);
  t.ok(writeZip(new Map([...first].reverse())).equals(zip), 'in whatever order the files come');
  t.same(new Set(readZip(zip).keys()), new Set(first.keys()));
  for (const name of [MANIFEST, SEAL, SEAL_CERTIFICATE]) t.ok(first.has(name), name);
});

t.test('every damage has one verdict; two are shown to the script, too', async (t) => {
  const made = await setting();
  const damaged = damagedPacks(made, await made.files('provider', exchange));
  for (const { name, verdict, files } of damaged) t.equal(libraryVerdict(made, files), verdict, name);
  await shown(
    t,
    made,
    damaged,
    /^(?:a server whose name is none|the twin of a signature|the newer list of two in a token)$/,
  );
});

const openssl = newOpenssl();
const lacking = openssl === null && 'SKIPPED: ML-DSA-44 needs openssl 3.5 or newer; name one in ACCORD_OPENSSL35';
t.test('ML-DSA-44 cosignatures, by an openssl that knows them', { skip: lacking }, async (t) => {
  const made = await setting();
  const files = await made.files('provider', exchange);
  const note = files.get('log/aggregate') ?? Buffer.alloc(0);
  const changed = made.seal('provider', new Map([...files, ['log/aggregate', Buffer.from(flipLine(note, 2))]]));
  t.equal(libraryVerdict(made, changed), 'INVALID(COSIGNATURE_WRONG)');
  const [whole, script] = await Promise.all(
    [made.seal('provider', files), changed].map(async (one) => scriptVerdict(made, one, openssl)),
  );
  t.match(whole, { verdict: 'VALID', exit: 0, stderr: '' });
  t.notMatch(whole?.lines.join('\n'), /NOT CHECKED/);
  t.match(script, { verdict: 'INVALID(COSIGNATURE_WRONG)', exit: 7, stderr: '' });
});

t.test('what is not there yet, or was left out, is INCOMPLETE', async (t) => {
  const made = await setting();
  const id = await made.ask('{"later":true}');
  const verdict = async (of: string, withBody = true) =>
    libraryVerdict(made, made.seal('provider', await made.files('provider', of, withBody)));
  t.equal(await verdict(id), 'INCOMPLETE(CHECKPOINT_MISSING)', 'before the first checkpoint');
  await made.anchorLog('provider', 'aggregate');
  const direct = { name: 'a direct time-stamp', verdict: 'INCOMPLETE(AGGREGATE_MISSING)' };
  const files = made.seal('provider', await made.files('provider', id));
  await shown(t, made, [{ ...direct, files }], /./);
  t.ok(libraryChecks(made, files).includes('24 MISSING QUORUM_MISSING'), 'and no department cosigned');
  await made.anchorLog('provider', 'quorum');
  t.equal(await verdict(id), 'INCOMPLETE(QUORUM_MISSING)', 'a witness away');
  const without = await made.files('provider', exchange, false);
  t.notOk([...without.keys()].some((name) => /^(?:request|answer)\/(?:body|context)/.test(name)));
  t.equal(await verdict(exchange, false), 'INCOMPLETE(CONTENT_MISSING)', 'without bodies');
});

t.test('a destruction is proven by its certificate, and by the log that says who wanted it', async (t) => {
  const made = await setting();
  const [id, other] = [await made.ask('{"of":1}'), await made.ask('{"of":2}')];
  await made.anchorLog('provider');
  for (const one of [id, other]) await made.destroy('provider', one);
  const early = made.seal('provider', await made.files('provider', id));
  t.equal(libraryVerdict(made, early), 'INCOMPLETE(CHECKPOINT_MISSING)', 'before the next checkpoint');
  await made.anchorLog('provider');
  const files = await made.files('provider', id);
  const { checks } = verifyPack(made.seal('provider', files), { anchor: made.anchor, nowMs: Date.now() });
  t.same(
    checks.filter(({ state }) => state !== 'ok').map(({ number, state }) => [number, state]),
    [11, 12, 18, 19].map((number) => [number, 'DESTROYED']),
  );
  t.ok(manifestOf(files).equals(manifestOf(await made.files('provider', id))), 'two exports are the same bytes');
  const damaged = damagedDestructions(made, files, await made.files('provider', other));
  for (const { name, verdict, files } of damaged) t.equal(libraryVerdict(made, files), verdict, name);
  await shown(t, made, damaged, /: nothing$/);
  const later = await made.ask('{"of":3}');
  await made.destroy('provider', later);
  await made.anchorLog('provider');
  const together = await made.files('provider', later);
  t.notOk(together.has('destruction/log/checkpoint'), 'one checkpoint covers both');
  t.equal(libraryVerdict(made, made.seal('provider', together)), 'COMMITMENT-ONLY');
});

t.test('OCSP answers that both logs name, a rotated root, statements that share a signature', async (t) => {
  const [nowMs, hour] = [Date.now(), 3_600_000];
  const stampLists = ({ list }: PackSetting['stamper']) => {
    const forged = list(9, nowMs + 2_000, { atMs: nowMs, reason: 1 });
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
    return [
      list(1, nowMs - hour, { atMs: nowMs, reason: 6 }),
      list(2, nowMs, { atMs: nowMs + hour, reason: 4 }),
      forged,
    ];
  };
  const made = await openPackSetting({ ocsp: true, rotated: true, stampLists });
  t.teardown(() => made.close());
  const together = async () => Promise.all(Array.from({ length: 16 }, async () => made.ask()));
  // Over connections that are open already they arrive in one turn.
  await together();
  const ids = await together();
  await made.anchorLog('consumer');
  const packs = await Promise.all(ids.map(async (id) => made.files('consumer', id)));
  const batchOf = (files: Files) => Number(files.get('request/place')?.toString().split(/[ \n]/)[1]);
  const files = packs.toSorted((a, b) => batchOf(b) - batchOf(a))[0] ?? new Map();
  t.ok(batchOf(files) > 1, `a batch of ${batchOf(files)}`);
  for (const one of packs.slice(-4)) t.equal(libraryVerdict(made, made.seal('consumer', one)), 'VALID');
  const script = await scriptVerdict(made, made.seal('consumer', files));
  t.match(script, { verdict: 'VALID', exit: 0, stderr: '' });
  for (const [at, name] of CHECKS.entries()) {
    const line = script.lines.find((one) => one.startsWith(`${String(at + 1).padStart(2)}  ok `));
    t.ok(line?.includes(`  ${name}`), `script: ${name}`);
  }
  const [own, theirs] = ['request/certificate-status.der', 'answer/certificate-status.der'] as const;
  t.not(files.get(own)?.equals(files.get(theirs) ?? Buffer.alloc(0)), true);
  const verdict = (change: (files: Files) => void) => {
    const changed = new Map(files);
    change(changed);
    return libraryVerdict(made, made.seal('consumer', changed));
  };
  t.equal(
    verdict((one) => one.delete(own)),
    'INCOMPLETE(CERTIFICATE_STATUS_MISSING)',
  );
  t.equal(
    verdict((one) => one.set(own, files.get(theirs) ?? Buffer.alloc(0))),
    'INVALID(CERTIFICATE_STATUS_WRONG)',
  );
  t.equal(
    verdict((one) => one.delete('configuration/root.2.jws')),
    'INVALID(CONFIGURATION_WRONG)',
  );
  const other = { ...made.anchor, root: { ...made.anchor.root, version: 3 } };
  t.match(verifyPack(made.seal('consumer', files), { anchor: other, nowMs: Date.now() }), {
    verdict: 'INCOMPLETE',
    code: 'ROOT_MISSING',
  });
});

t.test('the zip has one encoding; the campaign `pack` flips every byte of it', async (t) => {
  const made = await setting();
  const sealed = made.seal('provider', await made.files('provider', exchange));
  const zip = writeZip(sealed);
  let taken = 0;
  for (let at = 0; at < zip.length; at += 101) {
    zip[at] = (zip[at] ?? 0) ^ (1 << (at % 8));
    try {
      readZip(zip);
      taken++;
    } catch (error) {
      if (!(error instanceof PackFinding) || error.code !== 'PACK_NOT_CANONICAL') throw error;
    }
    zip[at] = (zip[at] ?? 0) ^ (1 << (at % 8));
  }
  t.equal(taken, 0, `of ${zip.length} bytes`);
  t.equal(hash('sha256', writeZip(readZip(zip))), hash('sha256', zip));
});

// Last: from here on the shared setting has another configuration for each case.
t.test('what the approved configuration says otherwise', async (t) => {
  const made = await setting();
  const hour = 3_600_000;
  const serverOf = (state: RegistryState, at: number): RegisteredServer => {
    const server = state.members[at]?.servers[0];
    if (server === undefined) throw new TypeError(`no server ${at}`);
    return server;
  };
  const cases: [
    name: string,
    verdict: string,
    change: (state: RegistryState) => void,
    issuedAtMs?: number | undefined,
    stampedAtMs?: number,
  ][] = [
    ['issued later', 'INVALID(CONFIGURATION_NOT_IN_FORCE)', () => {}, Date.now() + hour],
    ['over for weeks', 'INVALID(CONFIGURATION_NOT_IN_FORCE)', () => {}, Date.now() - 300 * hour],
    [
      'the client elsewhere',
      'INVALID(SUBSYSTEM_NOT_ON_SERVER)',
      (state) => {
        Object.assign(serverOf(state, 0), { subsystems: ['DEV/GOV/1001/other'] });
      },
    ],
    [
      'the service elsewhere',
      'INVALID(SUBSYSTEM_NOT_ON_SERVER)',
      (state) => {
        Object.assign(serverOf(state, 1), { subsystems: ['DEV/GOV/2002/other'] });
      },
    ],
    [
      'another key of the log',
      'INVALID(CHECKPOINT_WRONG)',
      (state) => {
        serverOf(state, 1).log = { ...serverOf(state, 1).log, key: serverOf(state, 0).log.key };
      },
    ],
    [
      'another log',
      'INVALID(ENTRY_WRONG)',
      (state) => {
        serverOf(state, 1).log = { ...serverOf(state, 1).log, origin: 'accord/DEV/GOV/2002/other' };
      },
    ],
    [
      'no witness demanded',
      'INCOMPLETE(QUORUM_MISSING)',
      (state) => {
        if (state.witnesses !== undefined) state.witnesses.quorum = 0;
      },
    ],
    [
      'another key of a witness',
      'INVALID(COSIGNATURE_WRONG)',
      (state) => {
        state.witnesses?.witnesses.splice(0, 1);
        if (state.witnesses !== undefined) state.witnesses.quorum = 1;
      },
    ],
    ['no list', 'INCOMPLETE(CERTIFICATE_STATUS_MISSING)', (state) => void Object.assign(state.trust, { crls: [] })],
    ['no authority', 'INVALID(CERTIFICATE_INVALID)', (state) => void Object.assign(state.trust, { intermediates: [] })],
    ['no time-stamp authority', 'INCOMPLETE(TIME_STAMP_MISSING)', (state) => void delete state.timeStamps],
    ['as it is', 'VALID', () => {}],
    // From here on their tokens stand in the log, as the lower bound of what comes next.
    ['stamped before it was written', 'INVALID(TIME_WRONG)', () => {}, undefined, Date.now() - hour / 2],
    ['stamped in the future', 'INVALID(TIME_STAMP_WRONG)', () => {}, undefined, Date.now() + hour],
  ];
  for (const [name, verdict, change, issuedAtMs, stampedAtMs] of cases) {
    made.publish(change, issuedAtMs);
    const id = await made.ask();
    await made.anchorLog('provider', undefined, stampedAtMs);
    t.equal(libraryVerdict(made, made.seal('provider', await made.files('provider', id))), verdict, name);
  }
  made.publish((state) => {
    serverOf(state, 0).log = { ...serverOf(state, 0).log, origin: 'accord/DEV/GOV/1001/other' };
  });
  const id = await made.ask();
  await made.anchorLog('consumer');
  const files = made.seal('consumer', await made.files('consumer', id));
  t.equal(libraryVerdict(made, files), 'INVALID(CHECKPOINT_WRONG)', "another log, at the consumer's");
  // Between the token of the lower bound and the next one, the authority of both gave up.
  await made.anchorLog('provider', undefined, Date.now() - hour / 2);
  const { stamper } = made;
  const gone = stamper.list(1, Date.now(), { atMs: Date.now() - hour / 4, reason: 5 }).toString('base64url');
  made.publish((state) => state.timeStamps && Object.assign(state.timeStamps, { crls: [gone] }));
  const over = await made.ask();
  await made.anchorLog('provider');
  const late = made.seal('provider', await made.files('provider', over));
  const script = await scriptVerdict(made, late);
  t.equal(libraryVerdict(made, late), 'INCOMPLETE(TIME_STAMP_MISSING)', 'a time-stamp that is over');
  t.match(script, { verdict: 'INCOMPLETE(TIME_STAMP_MISSING)', exit: 5, stderr: '' });
  const { checks } = verifyPack(late, { anchor: made.anchor, nowMs: Date.now() });
  const bound = checks.find(({ name }) => name === 'not before')?.detail ?? '';
  t.match(bound, /^not before \d/, 'the earlier one is not');
  t.ok(script.lines.includes(`26  ok           not before (${bound.replace(/\.\d+Z$/, 'Z')})`), bound);
  // Not in the configuration, but the server knows.
  made.publish(() => {});
  await knownToTheExporter(t, made);
  const { authority } = made.pair;
  authority.revoke(made.certificateOf('consumer'));
  const times = { number: 2, thisUpdateMs: Date.now() - hour, nextUpdateMs: Date.now() + 24 * hour };
  const crls = [(await authority.revocationList(times)).toString('base64url')];
  made.publish((state) => Object.assign(state.trust, { crls }));
  const revoked = await made.ask();
  await made.anchorLog('consumer');
  const pack = made.seal('consumer', await made.files('consumer', revoked));
  t.equal(libraryVerdict(made, pack), 'INVALID(CERTIFICATE_REVOKED)');
  t.match(await scriptVerdict(made, pack), { verdict: 'INVALID(CERTIFICATE_REVOKED)', exit: 7, stderr: '' });
});
