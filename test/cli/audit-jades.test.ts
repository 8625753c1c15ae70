// `accord audit jades` and `accord audit jades-verify` on the data folder of a running server, with a time-stamp authority that
// answers over HTTP, and without it.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { sealKey } from '#certs/key-file.ts';
import { toPem } from '#certs/x509-library.ts';
import { systemClock } from '#core/clock.ts';
import { openDevelopmentTimeStampAuthority } from '#core/development-time-stamp-authority.ts';
import { writeKeyFile } from '#core/key-store.ts';
import { base64url } from '#schemas/base64url.ts';
import { openPackSetting, type PackSetting } from '#scripts/campaign/pack-setting.ts';
import { pem } from '../certs/make-certificate.ts';
import { accord } from './run.ts';

const PASSPHRASE = 'correct horse battery staple';
const COST = { memoryKib: 8 * 1024, passes: 1, lanes: 1 };
const HOUR_MS = 3_600_000;

t.setTimeout(60_000);

/** What the two commands read of a data folder beside log and configuration. */
async function completeFolder({ pair }: PackSetting): Promise<string> {
  const folder = join(pair.folder, 'provider');
  const { signing } = pair.identities.provider.keys;
  mkdirSync(join(folder, 'keys'), { mode: 0o700 });
  mkdirSync(join(folder, 'certificates'));
  const text = await sealKey(signing.key, PASSPHRASE, { use: 'sign', createdAtMs: 0, label: 'test' }, COST);
  await writeKeyFile(join(folder, 'keys'), 'signing', text);
  writeFileSync(join(folder, 'certificates', 'signing.pem'), signing.certPem);
  writeFileSync(join(folder, 'server.json'), JSON.stringify({ v: 1, id: pair.provider.id }));
  return folder;
}

t.test('the signatures of an exchange as JAdES files, and the check of them', async (t) => {
  const made = await openPackSetting({ ocsp: true });
  const authority = await openDevelopmentTimeStampAuthority({ name: 'stamps', clock: systemClock });
  const place = mkdtempSync(join(tmpdir(), 'accord-jades-'));
  t.teardown(async () => {
    await Promise.all([made.close(), authority.close()]);
    rmSync(place, { recursive: true, force: true });
  });
  const named = { name: 'stamps', url: authority.url, certificates: authority.certificates.map(base64url) };
  made.publish((state) => {
    state.timeStamps = { authorities: [named], graceMs: HOUR_MS };
  });
  const dir = await completeFolder(made);
  const id = await made.ask();
  const put = (name: string, text: string) => {
    writeFileSync(join(place, name), text, { mode: 0o600 });
    return join(place, name);
  };
  const passphrase = put('passphrase', PASSPHRASE);
  const roots = ['--trust', put('root.pem', made.pair.authority.rootPem)];
  const anchors = [...roots, '--time-stamp-anchors', put('tsa.pem', pem(...authority.certificates))];
  const order = { number: 1, thisUpdateMs: Date.now() - HOUR_MS, nextUpdateMs: Date.now() + HOUR_MS };
  const crl = put('root.crl.pem', toPem('X509 CRL', await made.pair.authority.revocationList(order, 'root')));
  const exporting = (out: string, ...argv: string[]) =>
    accord('audit', 'jades', id, '--dir', dir, '--out', out, '--json', ...argv);
  const verifying = (folder: string, ...argv: string[]) => accord('audit', 'jades-verify', folder, ...argv);

  const out = join(place, 'files');
  const exported = await exporting(out, '--sign', '--passphrase-file', passphrase, '--crl', crl);
  t.equal(exported.code, 0, exported.stderr);
  t.match(exported.stderr, /No third party has validated this form/);
  const { documents } = JSON.parse(exported.stdout) as {
    documents: { file: string; level: string; checks: { state: string }[] }[];
  };
  t.same(
    documents.map(({ file, level }) => [file, level]),
    ['request.jades.json', 'request.sealed.jades.json', 'answer.jades.json', 'answer.sealed.jades.json'].map((file) => [
      file,
      'B-T',
    ]),
  );
  t.equal(authority.given(), 4, 'a token for each signature');
  for (const { file, checks } of documents) {
    const missing = checks.filter(({ state }) => state !== 'met' && state !== 'absent');
    t.match(missing, [{ requirement: 'tstVD', state: 'missing' }], `${file}: a list of the time-stamp authority`);
    t.equal(missing.length, 1);
  }
  t.equal(statSync(out).mode & 0o777, 0o700);
  t.equal((await exporting(out)).code, 5, 'a folder that is there is not written into');

  const verified = await verifying(out, ...anchors, '--json');
  t.equal(verified.code, 0, verified.stderr);
  t.match(JSON.parse(verified.stdout), { isGood: true, isAsListed: true });
  t.match((await verifying(out, ...anchors)).stdout, /answer\.sealed\.jades\.json: B-T; the statement is signed\n$/);
  const without = await verifying(out, ...roots);
  t.equal(without.code, 7, 'a time-stamp of an authority that the reader does not trust');
  const statement = join(out, 'answer.statement');
  writeFileSync(statement, readFileSync(statement, 'utf8').replace('response', 'responsf'));
  const changed = await verifying(out, ...anchors, '--json');
  t.equal(changed.code, 7);
  t.match(changed.stderr, /INVALID: not the files of the manifest/);

  const offline = join(place, 'offline');
  t.equal((await exporting(offline, '--offline')).code, 0);
  t.same(
    readdirSync(offline)
      .filter((name) => name.includes('jades.json'))
      .sort(),
    ['answer.jades.json', 'request.jades.json'],
  );
  t.match((await verifying(offline, ...roots)).stdout, /request\.jades\.json: B-B; the statement is signed\n/);
  await authority.close();
  const away = await exporting(join(place, 'away'));
  t.equal(away.code, 0, away.stderr);
  t.match(away.stderr, /^TIME_STAMP_UNAVAILABLE: .*; made without sigTst\.\n/, 'it is said');
  t.equal(away.stderr.match(/TIME_STAMP_UNAVAILABLE/g)?.length, 1, 'and asked once');
  t.match((await exporting(join(place, 'none'), '--peer', 'DEV/GOV/9/ss9')).stderr, /^EXCHANGE_NOT_FOUND/);
});
