// Evidence packs of two real servers: the library and `verify.sh` say the same of every damage, one department alone proves
// the other's part, and two exports differ in their seal only.
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { RegistryState } from '#core/configuration/parts.ts';
import { CHECKS } from '#core/evidence/check-run.ts';
import { PACK_CODES, PackFinding } from '#core/evidence/finding.ts';
import { MANIFEST, SEAL, SEAL_CERTIFICATE } from '#core/evidence/layout.ts';
import { verifyPack } from '#core/evidence/verify-pack.ts';
import { readZip, writeZip } from '#core/evidence/zip.ts';
import type { RegisteredServer } from '#schemas/registrations.ts';
import { damagedPacks, type Files } from '#scripts/campaign/pack-damages.ts';
import { openPackSetting, type PackSetting } from '#scripts/campaign/pack-setting.ts';
import { libraryVerdict, scriptVerdict } from '#scripts/campaign/pack-verdicts.ts';

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

t.test('either department alone proves the whole exchange, to the library and to a shell', async (t) => {
  const made = await setting();
  for (const which of ['provider', 'consumer'] as const) {
    const files = made.seal(which, await made.files(which, exchange));
    const { verdict, checks } = verifyPack(files, { anchor: made.anchor, nowMs: Date.now() });
    t.equal(verdict, 'VALID', which);
    t.same([...new Set(checks.map(({ state }) => state))], ['ok'], which);
    const script = await scriptVerdict(made, files);
    t.match(script, { verdict: 'VALID', exit: 0, stderr: '' }, which);
    for (const { number, name } of checks) {
      const line = script.lines.find((one) => one.startsWith(`${String(number).padStart(2)}  ok `));
      t.ok(line?.includes(`  ${name}`), `${which}: ${name}`);
    }
  }
});

t.test('the script and the library know the same checks and codes', async (t) => {
  const script = readFileSync(join(import.meta.dirname, '../../scripts/verify.sh'), 'utf8');
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

t.test('every damage has one verdict; some are shown to the script, too', { timeout: 120_000 }, async (t) => {
  const made = await setting();
  const damaged = damagedPacks(made, await made.files('provider', exchange));
  for (const { name, verdict, files } of damaged) t.equal(libraryVerdict(made, files), verdict, name);
  const shown = damaged.filter((_, at) => at % 19 === 3);
  t.ok(shown.length > 2);
  const queue = shown.values();
  const worker = async () => {
    for (const { name, verdict, files } of queue) {
      const exit = verdict.startsWith('INVALID') ? 7 : verdict.startsWith('INCOMPLETE') ? 5 : 0;
      t.match(await scriptVerdict(made, files), { verdict, exit }, `script: ${name}`);
    }
  };
  await Promise.all([worker(), worker()]);
});

t.test('what is not there yet, or was left out, is INCOMPLETE', { timeout: 60_000 }, async (t) => {
  const made = await setting();
  const id = await made.ask('{"later":true}');
  const verdicts = async (files: Files, verdict: string, name: string) => {
    const sealed = made.seal('provider', files);
    t.equal(libraryVerdict(made, sealed), verdict, `library: ${name}`);
    // The script is shown the last of them; the campaign `pack` shows it everything.
    if (name === 'without bodies') t.equal((await scriptVerdict(made, sealed)).verdict, verdict, `script: ${name}`);
  };
  await verdicts(await made.files('provider', id), 'INCOMPLETE(CHECKPOINT_MISSING)', 'before the first checkpoint');
  await made.anchorLog('provider', 'aggregate');
  await verdicts(await made.files('provider', id), 'INCOMPLETE(AGGREGATE_MISSING)', 'a direct time-stamp');
  await made.anchorLog('provider', 'quorum');
  await verdicts(await made.files('provider', id), 'INCOMPLETE(QUORUM_MISSING)', 'a witness away');
  const without = await made.files('provider', exchange, false);
  const named = [...without].filter(([name]) => /^(?:request|answer)\/(?:body|context)/.test(name));
  t.same(named, [], 'no contexts and bodies');
  await verdicts(without, 'INCOMPLETE(CONTENT_MISSING)', 'without bodies');
});

t.test('a certificate of destruction stands for what is no longer there', { timeout: 60_000 }, async (t) => {
  const made = await setting();
  const [id, other] = [await made.ask('{"of":1}'), await made.ask('{"of":2}')];
  await made.anchorLog('provider');
  for (const one of [id, other]) await made.destroy('provider', one);
  const [files, otherFiles] = [await made.files('provider', id), await made.files('provider', other)];
  const verdicts = async (change: (files: Files) => void, verdict: string, states: string[], isShown = true) => {
    const changed = new Map(files);
    change(changed);
    const sealed = made.seal('provider', changed);
    const { checks } = verifyPack(sealed, { anchor: made.anchor, nowMs: Date.now() });
    t.equal(libraryVerdict(made, sealed), verdict, `library: ${verdict}`);
    t.same(
      [10, 11, 17, 18].map((at) => checks[at]?.state),
      states,
      verdict,
    );
    if (isShown) t.match(await scriptVerdict(made, sealed), { verdict, stderr: '' }, `script: ${verdict}`);
  };
  const all = (state: string) => [state, state, state, state];
  await verdicts(() => {}, 'COMMITMENT-ONLY', all('DESTROYED'));
  const certificate = 'destruction/answer/certificate.jws';
  const failed = ['DESTROYED', 'DESTROYED', 'FAILED', 'NOT CHECKED'];
  await verdicts(
    (one) => one.set(certificate, otherFiles.get(certificate) ?? Buffer.alloc(0)),
    'INVALID(DESTRUCTION_WRONG)',
    failed,
  );
  await verdicts(
    (one) =>
      one.set(
        certificate,
        Buffer.from(
          (one.get(certificate) ?? '')
            .toString()
            .replace(/(.)(.{20})$/, (_, one, rest) => (one === 'x' ? 'y' : 'x') + rest),
        ),
      ),
    'INVALID(DESTRUCTION_WRONG)',
    failed,
    false,
  );
  await verdicts(
    (one) => {
      for (const name of one.keys()) if (name.startsWith('destruction/')) one.delete(name);
    },
    'INCOMPLETE(CONTENT_MISSING)',
    all('MISSING'),
    false,
  );
});

t.test('OCSP answers that both logs name', { timeout: 60_000 }, async (t) => {
  const made = await openPackSetting({ ocsp: true });
  t.teardown(() => made.close());
  const id = await made.ask();
  await made.anchorLog('consumer');
  const files = await made.files('consumer', id);
  const [own, theirs] = ['request/certificate-status.der', 'answer/certificate-status.der'] as const;
  const verdicts = async (change: (files: Files) => void, verdict: string, isShown = false) => {
    const changed = new Map(files);
    change(changed);
    const sealed = made.seal('consumer', changed);
    t.equal(libraryVerdict(made, sealed), verdict, `library: ${verdict}`);
    if (isShown) t.match(await scriptVerdict(made, sealed), { verdict, stderr: '' }, `script: ${verdict}`);
  };
  t.not(files.get(own)?.equals(files.get(theirs) ?? Buffer.alloc(0)), true);
  await verdicts(() => {}, 'VALID', true);
  await verdicts((one) => one.delete(own), 'INCOMPLETE(CERTIFICATE_STATUS_MISSING)');
  await verdicts((one) => one.set(own, files.get(theirs) ?? Buffer.alloc(0)), 'INVALID(CERTIFICATE_STATUS_WRONG)');
});

t.test('a rotated root, and statements that share a signature', { timeout: 60_000 }, async (t) => {
  const made = await openPackSetting({ rotated: true });
  t.teardown(() => made.close());
  const together = async () => Promise.all(Array.from({ length: 16 }, async () => made.ask()));
  // Over connections that are open already they arrive in one turn.
  const ids = [...(await together()), ...(await together())];
  await made.anchorLog('provider');
  const packs = await Promise.all(ids.map(async (id) => made.files('provider', id)));
  const batchOf = (files: Files) => Number(files.get('request/place')?.toString().split(/[ \n]/)[1]);
  const files = packs.toSorted((a, b) => batchOf(b) - batchOf(a))[0] ?? new Map();
  t.ok(batchOf(files) > 1, `a batch of ${batchOf(files)}`);
  t.match(await scriptVerdict(made, made.seal('provider', files)), { verdict: 'VALID', stderr: '' });
  for (const one of packs) t.equal(libraryVerdict(made, made.seal('provider', one)), 'VALID');
  const without = new Map(files);
  without.delete('configuration/root.2.jws');
  t.equal(libraryVerdict(made, made.seal('provider', without)), 'INVALID(CONFIGURATION_WRONG)');
  const other = { ...made.anchor, root: { ...made.anchor.root, version: 3 } };
  t.match(verifyPack(made.seal('provider', files), { anchor: other, nowMs: Date.now() }), {
    verdict: 'INCOMPLETE',
    code: 'ROOT_MISSING',
  });
});

t.test('what the approved configuration says otherwise', { timeout: 60_000 }, async (t) => {
  const made = await openPackSetting();
  t.teardown(() => made.close());
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
  for (const [at, [name, verdict, change, issuedAtMs, stampedAtMs]] of cases.entries()) {
    made.publish(change, issuedAtMs);
    const id = await made.ask();
    await made.anchorLog('provider', undefined, stampedAtMs);
    const files = made.seal('provider', await made.files('provider', id));
    t.equal(libraryVerdict(made, files), verdict, `library: ${name}`);
    if (process.env['ACCORD_TEST_ALL'] === undefined && at !== 2) continue;
    t.match(await scriptVerdict(made, files), { verdict, stderr: '' }, `script: ${name}`);
  }
  made.publish((state) => {
    serverOf(state, 0).log = { ...serverOf(state, 0).log, origin: 'accord/DEV/GOV/1001/other' };
  });
  const id = await made.ask();
  await made.anchorLog('consumer');
  const files = made.seal('consumer', await made.files('consumer', id));
  t.equal(libraryVerdict(made, files), 'INVALID(CHECKPOINT_WRONG)', "another log, at the consumer's");
});

t.test('a certificate on the list of its authority', { timeout: 60_000 }, async (t) => {
  const made = await openPackSetting({ revoked: true });
  t.teardown(() => made.close());
  const id = await made.ask();
  await made.anchorLog('provider');
  const sealed = made.seal('provider', await made.files('provider', id));
  t.equal(libraryVerdict(made, sealed), 'INVALID(CERTIFICATE_REVOKED)');
  t.match(await scriptVerdict(made, sealed), { verdict: 'INVALID(CERTIFICATE_REVOKED)', exit: 7, stderr: '' });
});

t.test('the zip has one encoding; the campaign `pack` flips every byte of it', async (t) => {
  const made = await setting();
  const sealed = made.seal('provider', await made.files('provider', exchange));
  const zip = writeZip(sealed);
  let taken = 0;
  for (let at = 0; at < zip.length; at += 31) {
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
