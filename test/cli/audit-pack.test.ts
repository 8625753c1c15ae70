// `accord audit export` and `accord audit verify` on the data folder of a running server: the zip, the folder, the exit codes.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { sealKey } from '#certs/key-file.ts';
import { generateKeys } from '#certs/keys.ts';
import { storageKeyOf } from '#certs/storage-key.ts';
import { readPackFiles } from '#core/evidence/read-pack.ts';
import { writeKeyFile } from '#core/key-store.ts';
import { openPackSetting, type PackSetting } from '#scripts/campaign/pack-setting.ts';
import { writePack } from '#scripts/campaign/pack-verdicts.ts';
import { CLIENT, SERVICE } from '#scripts/campaign/pair.ts';
import { accord } from './run.ts';

const PASSPHRASE = 'correct horse battery staple';
const COST = { memoryKib: 8 * 1024, passes: 1, lanes: 1 };

t.setTimeout(60_000);

/** The provider's folder with what `accord server init` would have put there. */
async function openFolder(made: PackSetting): Promise<string> {
  const { pair } = made;
  const folder = join(pair.folder, 'provider');
  const storage = generateKeys('X25519').privateKey;
  const signing = pair.identities.provider.keys.signing;
  mkdirSync(join(folder, 'keys'), { mode: 0o700 });
  mkdirSync(join(folder, 'certificates'));
  for (const [use, name, key] of [
    ['storage', 'storage', storage],
    ['sign', 'signing', signing.key],
  ] as const) {
    const text = await sealKey(key, PASSPHRASE, { use, createdAtMs: 0, label: 'test' }, COST);
    await writeKeyFile(join(folder, 'keys'), name, text);
  }
  writeFileSync(join(folder, 'certificates', 'signing.pem'), signing.certPem);
  writeFileSync(join(folder, 'server.json'), JSON.stringify({ v: 1, id: pair.provider.id }));
  await pair.provider.close(1_000);
  rmSync(join(folder, 'record-keys'), { recursive: true });
  const keys = { ...pair.identities.provider.keys, storageKey: storageKeyOf(storage) };
  await pair.reopen('provider', { keys });
  return folder;
}

/** An exchange with bodies that no server keeps. */
async function stream({ pair }: PackSetting): Promise<{ id: string; sent: Buffer; got: Buffer }> {
  const sent = Buffer.alloc(300 * 1024, 'x');
  const answer = await fetch(`${pair.consumer.urls.loopback}/r1/${SERVICE}/file`, {
    method: 'POST',
    headers: { 'x-road-client': CLIENT, 'content-type': 'application/octet-stream' },
    body: sent,
  });
  const got = Buffer.from(await answer.arrayBuffer());
  return { id: answer.headers.get('x-road-request-id') ?? '', sent, got };
}

t.test('a pack is exported while the server runs, and verified as a zip and as a folder', async (t) => {
  const made = await openPackSetting();
  const place = mkdtempSync(join(tmpdir(), 'accord-export-'));
  t.teardown(async () => {
    await made.close();
    rmSync(place, { recursive: true, force: true });
  });
  const dir = await openFolder(made);
  const id = await made.ask();
  const streamed = await stream(made);
  await made.anchorLog('provider');
  const passphrase = join(place, 'passphrase');
  writeFileSync(passphrase, PASSPHRASE, { mode: 0o600 });
  const out = join(place, 'pack.zip');
  const exporting = (...argv: string[]) =>
    accord('audit', 'export', id, '--dir', dir, '--passphrase-file', passphrase, '--json', ...argv);
  const verifying = (path: string, ...argv: string[]) =>
    accord('audit', 'verify', path, '--anchor', made.anchorFolder, ...argv);

  const exported = await exporting('--out', out);
  t.equal(exported.code, 0, exported.stderr);
  t.match(JSON.parse(exported.stdout), { file: out, exchange: id, personalData: true });
  t.equal(statSync(out).mode & 0o777, 0o600, 'nobody else reads it');
  t.equal((await exporting('--out', out)).code, 5, 'a file that is there is not overwritten');

  const verified = await verifying(out, '--json');
  t.equal(verified.code, 0, verified.stderr);
  const { verdict, code, checks } = JSON.parse(verified.stdout);
  t.same([verdict, code, checks.length], ['VALID', null, 34]);
  t.match((await verifying(out)).stdout, /\nVALID\n$/, 'for people');

  const folder = join(place, 'unpacked');
  writePack(folder, readPackFiles(out));
  t.equal((await verifying(folder)).code, 0, 'as a folder');
  rmSync(join(folder, 'answer/body'));
  const changed = await verifying(folder, '--json');
  t.equal(changed.code, 7);
  t.match(JSON.parse(changed.stdout), { verdict: 'INVALID', code: 'PACK_FILE_MISSING' });
  t.match(changed.stderr, /INVALID\(PACK_FILE_MISSING\): A file that the manifest names is not there\./);

  const zip = readFileSync(out);
  writeFileSync(join(place, 'longer.zip'), Buffer.concat([zip, Buffer.from('x')]));
  const longer = await verifying(join(place, 'longer.zip'), '--json');
  t.match(JSON.parse(longer.stdout), { verdict: 'INVALID', code: 'PACK_NOT_CANONICAL' });

  const bare = join(place, 'bare.zip');
  t.match(JSON.parse((await exporting('--without-body', '--out', bare)).stdout), { personalData: false });
  const told = await verifying(bare, '--json');
  t.equal(told.code, 5, 'INCOMPLETE');
  t.match(JSON.parse(told.stdout), { verdict: 'INCOMPLETE', code: 'CONTENT_MISSING' });

  const [sent, got] = [join(place, 'sent'), join(place, 'got')];
  writeFileSync(sent, streamed.sent);
  writeFileSync(got, streamed.got);
  const large = (name: string, ...argv: string[]) =>
    accord(
      'audit',
      'export',
      streamed.id,
      '--dir',
      dir,
      '--passphrase-file',
      passphrase,
      '--out',
      join(place, name),
      ...argv,
    );
  t.equal((await large('without.zip')).code, 0);
  t.match(
    (await verifying(join(place, 'without.zip'))).stdout,
    /INCOMPLETE\(CONTENT_MISSING\)\n$/,
    'too large to be kept',
  );
  t.equal((await large('with.zip', '--request-body', sent, '--answer-body', got)).code, 0);
  t.equal((await verifying(join(place, 'with.zip'))).code, 0);
  t.match((await large('other.zip', '--request-body', got)).stderr, /COMMITMENT_WRONG/, 'another body');

  const unknown = await accord('audit', 'export', id.replace(/^./, 'f'), '--dir', dir, '--passphrase-file', passphrase);
  t.equal(unknown.code, 3, unknown.stderr);
  t.match(unknown.stderr, /EXCHANGE_NOT_FOUND/);
});
