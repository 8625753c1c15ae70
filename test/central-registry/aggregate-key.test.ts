// The aggregate log goes on under another key: what two approvers sign has the word of both keys, departments and registry
// change over with the published content, and what was signed before stays what it was.
import type { KeyObject } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openWitnessKeys, WITNESS_KEY_FILES } from '#central-registry/witness-keys.ts';
import { rawEd25519PublicKey, signEd25519 } from '#certs/ed25519.ts';
import { sealKey } from '#certs/key-file.ts';
import { generateKeys } from '#certs/keys.ts';
import { writeKeyFile } from '#core/key-store.ts';
import { formatVerifierKey, isSignedBy, noteVerifier, openCheckpoint } from '#core/log/signed-note.ts';
import { makeHandover, readHandover } from '#core/witness/aggregate-handover.ts';
import { readWitnessPolicy } from '#core/witness/policy.ts';
import { accord } from '#test/cli/run.ts';
import {
  anew,
  department,
  ed25519,
  INSTANCE,
  now,
  one,
  REGISTRY_KEYS,
  register,
  root,
  site,
  two,
} from './aggregate-world.ts';

const origin = `accord-aggregate/${INSTANCE}`;
const signerOf = (key: KeyObject, name = origin) => ({
  verifier: noteVerifier(name, rawEd25519PublicKey(key)),
  sign: (bytes: Buffer) => signEd25519(key, bytes),
});
const [old, next, third] = [REGISTRY_KEYS.aggregate, ed25519(), ed25519()].map((key) => signerOf(key));
if (old === undefined || next === undefined || third === undefined) throw new TypeError('three keys');
const nextKey = ed25519();

t.before(anew);

t.test('a handover has the word of both keys', async (t) => {
  const note = makeHandover(old, next);
  t.same(readHandover(note), { from: old.verifier, to: next.verifier });
  const [text = '', lines = ''] = note.split('\n\n');
  const [first = '', second = ''] = lines.trim().split('\n');
  const whole = (...signed: string[]) => `${text}\n\n${signed.map((line) => `${line}\n`).join('')}`;
  t.equal(whole(first, second), note);
  const other = signerOf(ed25519(), 'accord-aggregate/XB');
  const wrong: [string, string][] = [
    ['only the old key', whole(first)],
    ['only the new key', whole(second)],
    ['another key beside the old one', whole(first, makeHandover(third, next).split('\n\n')[1]?.split('\n')[0] ?? '')],
    ['a third line', whole(first, second, makeHandover(third, next).split('\n\n')[1]?.split('\n')[0] ?? '')],
    ['to itself', makeHandover(old, old)],
    ['of another log', makeHandover(other, next)],
    ['to another key in the text', note.replace(formatVerifierKey(next.verifier), formatVerifierKey(third.verifier))],
    ['rubbish', 'accord-aggregate-key/1\n'],
  ];
  for (const [name, bad] of wrong) t.throws(() => readHandover(bad), { code: 'CONFIGURATION_INVALID' }, name);
  const part = (key: typeof old, handover: string) => ({
    ...{ aggregate: { origin, verifierKey: formatVerifierKey(key.verifier), url: 'http://r' } },
    ...{ registryWitness: null, witnesses: [], quorum: 0, handover },
  });
  t.ok(readWitnessPolicy(part(next, note)));
  t.throws(() => readWitnessPolicy(part(third, note)), { code: 'CONFIGURATION_INVALID' }, 'names another key');
});

t.test('registry and departments change over', async (t) => {
  now.servers = [one, two];
  const keys = { ...REGISTRY_KEYS, aggregateNext: nextKey };
  const changed = signerOf(nextKey);
  let here = await site('rotates', { witness: keys });
  t.teardown(() => here.registry.close());
  const base = () => here.registry.configurationUrl.replace(/\/$/, '');
  let inForce = old.verifier;
  const made = await department('d6.example', () => inForce, base);
  await register(here);
  const { identity } = here.witness;
  t.equal(
    identity.aggregate.verifierKey,
    formatVerifierKey(old.verifier),
    'the one before, until a content names another',
  );
  const put = async (signer: typeof old, more: object = {}) => {
    const { name, url, verifierKeys } = made;
    await here.registry.call('POST', '/witnesses', {
      aggregate: { origin, verifierKey: formatVerifierKey(signer.verifier), url: base() },
      registryWitness: { name: identity.name, verifierKeys: identity.verifierKeys },
      ...{ witnesses: [{ name, url, verifierKeys }], quorum: 1, ...more },
    });
  };
  await put(old);
  await here.registry.publish();
  await here.witness.aggregate.tick();
  const before = here.witness.aggregate.newestFinished();
  t.ok(isSignedBy(before?.note ?? '', old.verifier));

  await t.rejects(put(changed), 'without a handover');
  await t.rejects(put(changed, { handover: makeHandover(third, changed) }), 'from another key');
  await put(changed, { handover: makeHandover(old, changed) });
  await here.witness.witness.add(one.grow(4).body(0));
  await here.witness.aggregate.tick();
  t.ok(isSignedBy(here.witness.aggregate.newestFinished()?.note ?? '', old.verifier), 'a draft changes nothing');
  await here.registry.publish();
  inForce = changed.verifier;
  await here.witness.aggregate.tick();
  const after = here.witness.aggregate.newestFinished();
  const head = openCheckpoint(after?.note ?? '', changed.verifier);
  t.ok(head.size > (before?.size ?? 0), 'one log');
  t.equal(made.store.latest(origin)?.size, head.size, 'the departments go on from where they were');
  t.same(made.wrong, []);
  t.ok(isSignedBy(before?.note ?? '', old.verifier), 'what was signed before stays what it was');
  await here.registry.close();

  await t.rejects(site('rotates'), { code: 'AGGREGATE_KEY_WRONG' }, 'the old key alone does not go on');
  here = await site('rotates', { witness: { ...REGISTRY_KEYS, aggregate: nextKey } });
  t.equal(
    here.witness.identity.aggregate.verifierKey,
    formatVerifierKey(changed.verifier),
    'the old one may be destroyed',
  );
});

t.test('the verb makes key and note', async (t) => {
  const dir = join(root, 'verb');
  mkdirSync(dir);
  const words = 'the words of the registry';
  const cost = { memoryKib: 8 * 1024, passes: 1, lanes: 1 };
  writeFileSync(join(dir, 'words'), `${words}\n`, { mode: 0o600 });
  const files = Object.entries(WITNESS_KEY_FILES);
  for (const [name, { kind, use }] of files) {
    const key = name === 'aggregate' ? REGISTRY_KEYS.aggregate : generateKeys(kind).privateKey;
    await writeKeyFile(dir, name, await sealKey(key, words, { use, createdAtMs: 1, label: origin }, cost));
  }
  const argv = ['registry', 'rotate-aggregate-key', '--dir', dir, '--passphrase-file', join(dir, 'words'), '--json'];
  const { code, stdout } = await accord(...argv);
  t.equal(code, 0);
  const said = JSON.parse(stdout) as { aggregate: { verifierKey: string }; handover: string };
  const { from, to } = readHandover(said.handover);
  t.same(from, old.verifier);
  t.equal(formatVerifierKey(to), said.aggregate.verifierKey);
  const keys = await openWitnessKeys(dir, INSTANCE, words);
  t.same(keys?.aggregateNext && rawEd25519PublicKey(keys.aggregateNext), to.publicKey);
  t.match(await accord(...argv), { stderr: /KEY_FILE_EXISTS/ }, 'one at a time');
});
