// `accord ca` as an operator uses it: processes of their own, real files, exit codes.
import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import t from 'tap';
import { createCsr } from '#certs/csr.ts';
import { generateKeys } from '#certs/keys.ts';
import { caCommand } from '#cli/ca.ts';
import { EXIT } from '#cli/output.ts';

const folder = mkdtempSync(join(tmpdir(), 'accord-cli-ca-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const dir = join(folder, 'authority');
const at = (name: string) => join(folder, name);
const passphrase = `secret ${randomUUID()}`;
writeFileSync(at('passphrase'), `${passphrase}\n`, { mode: 0o600 });
const OPENSSL = 'openssl';
const hasOpenssl = spawnSync(OPENSSL, ['version']).status === 0;

const SERVER = { kind: 'server' as const, id: 'DEV/GOV/1001/ss1', dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] };
const key = generateKeys().privateKey;
writeFileSync(at('tls.csr'), await createCsr(key, SERVER));
writeFileSync(at('mixed.csr'), await createCsr(key, { ...SERVER, dnsNames: [], ipAddresses: [] }));

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

const MAIN = `
  import { Command } from 'commander';
  import { caCommand } from '#cli/ca.ts';
  await new Command('accord').addCommand(caCommand()).parseAsync();
`;

/** One command as a process of its own, without a terminal. */
function spawned(args: string[]): Promise<Ended> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', MAIN, '--', 'ca', ...args], {
    env: {
      PATH: process.env['PATH'],
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
      ACCORD_CA_PASSPHRASE: passphrase,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended: Ended = { code: null, stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) child[stream].on('data', (chunk) => (ended[stream] += chunk));
  return new Promise((resolve) => child.once('close', (code) => resolve({ ...ended, code })));
}

/** The same in this process, which costs a tenth. One at a time. */
async function accord(
  args: string[],
  environment = { ACCORD_CA_PASSPHRASE: passphrase } as NodeJS.Dict<string>,
): Promise<Ended> {
  const ended: Ended = { code: 0, stdout: '', stderr: '' };
  const { stdin, stdout, stderr } = process;
  const before = { isTTY: stdin.isTTY, stdout: stdout.write, stderr: stderr.write, exitCode: process.exitCode };
  const catching = (into: 'stdout' | 'stderr') => (chunk: string | Uint8Array) => {
    ended[into] += Buffer.from(chunk).toString();
    return true;
  };
  const ca = caCommand();
  for (const each of [ca, ...ca.commands]) each.exitOverride().configureOutput({ writeErr: catching('stderr') });
  try {
    stdin.isTTY = false;
    stdout.write = catching('stdout');
    stderr.write = catching('stderr');
    process.exitCode = 0;
    delete process.env['ACCORD_CA_PASSPHRASE'];
    Object.assign(process.env, environment);
    await new Command('accord').addCommand(ca).parseAsync(['node', 'accord', 'ca', ...args]);
    ended.code = Number(process.exitCode);
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    ended.code = EXIT.usage; // as the main program has it
  } finally {
    stdin.isTTY = before.isTTY;
    stdout.write = before.stdout;
    stderr.write = before.stderr;
    process.exitCode = before.exitCode;
  }
  return ended;
}

t.test('from init to a revoked certificate', async (t) => {
  const made = await spawned(['init', '--dir', dir, '--name', '示例城市', '--instance', 'DEV', '--json']);
  t.equal(made.code, 0, made.stderr);
  t.match(JSON.parse(made.stdout), [{ profile: 'root', file: join(dir, 'root.crt') }, { profile: 'issuing' }]);
  for (const name of readdirSync(dir)) t.equal(statSync(join(dir, name)).mode & 0o077, 0, name);

  const no = ['--dir', dir, '--out', at('no.crt')];
  const elsewhere = ['--dir', at('absent'), '--out', at('no.crt'), '--yes'];
  const refused: [string[], NodeJS.Dict<string>, number, RegExp][] = [
    [
      ['init', '--dir', dir, '--name', 'Other'],
      { ACCORD_CA_PASSPHRASE: passphrase },
      5,
      /^AUTHORITY_EXISTS: .*\nNext: /,
    ],
    [
      ['issue', at('tls.csr'), '--profile', 'authentication', ...no],
      {},
      2,
      /ss1, localhost, 127.0.0.1\?\nNext: Confirm/,
    ],
    [['issue', at('tls.csr'), '--profile', 'authentication', ...elsewhere], {}, 3, /^AUTHORITY_MISSING: .*\nNext: /],
    [['init', '--dir', at('new'), '--name', 'Other'], {}, 2, /^No passphrase.\nNext: /],
    [['issue', at('tls.csr'), '--profile', 'root', ...no], {}, 2, /argument 'root' is invalid/],
    [['crl', '--days', '0', ...no], {}, 2, /whole number of days/],
    [['show', at('absent')], {}, 3, /^ENOENT: /],
  ];
  for (const [args, environment, code, stderr] of refused) t.match(await accord(args, environment), { code, stderr });
  t.notOk(existsSync(at('new')));

  const issue = ['issue', at('tls.csr'), '--profile', 'authentication', '--dir', dir, '--out', at('tls.crt'), '--json'];
  const planned = await accord([...issue, '--dry-run'], {});
  t.match(JSON.parse(planned.stdout), { dryRun: true, holder: SERVER.id, names: SERVER });
  t.notOk(existsSync(at('tls.crt')), 'a dry run writes nothing, and needs no passphrase');
  const wrong = await accord([...issue, '--yes'], { ACCORD_CA_PASSPHRASE: 'another passphrase' });
  t.match(wrong.stderr, /^KEY_FILE_PASSPHRASE_WRONG/);
  t.not(wrong.code, 0);
  t.same(
    readdirSync(folder).filter((name) => name.includes('.new')),
    [],
    'nothing half-written stays',
  );
  const foreign = await accord([...issue, '--id', 'DEV/GOV/1001/ss2']);
  t.match(foreign, { code: 2, stderr: /^CSR_REFUSED/ });

  const issued = await accord([...issue, '--id', SERVER.id, '--days', '90', '--passphrase-file', at('passphrase')], {});
  t.equal(issued.code, 0, issued.stderr);
  const { serial } = JSON.parse(issued.stdout);
  const mixed = await accord([
    'issue',
    at('mixed.csr'),
    '--profile',
    'signing',
    '--dir',
    dir,
    '--out',
    at('no.crt'),
    '--yes',
  ]);
  t.match(mixed, { code: 5, stderr: /^KEY_ALREADY_CERTIFIED/ });

  const verify = ['verify', at('tls.crt'), '--anchor', join(dir, 'root.crt'), '--purpose', 'server', '--json'];
  t.match(JSON.parse((await spawned(verify)).stdout), { valid: true });
  const renewed = await accord(['renew', serial, '--dir', dir, '--out', at('tls2.crt'), '--json']);
  t.not(JSON.parse(renewed.stdout).serial, serial);

  const revoke = ['revoke', serial, '--reason', 'superseded', '--dir', dir, '--json'];
  t.match(await accord(revoke), { code: 2, stderr: /for good\?\nNext: Confirm/ });
  t.match(JSON.parse((await accord([...revoke, '--dry-run'])).stdout), { dryRun: true, serial });
  t.match(JSON.parse((await accord([...revoke, '--yes'])).stdout), { serial, state: 'revoked', reason: 'superseded' });
  t.match(await accord([...revoke, '--yes']), { code: 5, stderr: /^ALREADY_REVOKED/ });
  t.match(await accord(['revoke', '00'.repeat(18), '--reason', 'superseded', '--dir', dir, '--yes']), { code: 3 });
  const states = JSON.parse((await accord(['list', '--dir', dir, '--json'])).stdout);
  t.same(
    states.map((row: { state: string }) => row.state),
    ['valid', 'valid', 'revoked', 'valid'],
  );

  t.match(await accord(['crl', '--dir', dir, '--out', at('issuing.crl'), '--json']), {
    code: 0,
    stdout: /"number":1,/,
  });
  if (!hasOpenssl) return t.comment('OPENSSL IS MISSING: the list is not checked with it');
  const check = (leaf: string) =>
    spawnSync(
      OPENSSL,
      [
        'verify',
        '-crl_check',
        '-CRLfile',
        at('issuing.crl'),
        '-CAfile',
        join(dir, 'root.crt'),
        '-untrusted',
        leaf,
        leaf,
      ],
      { encoding: 'utf8' },
    );
  t.match(check(at('tls.crt')).stderr, /certificate revoked/);
  t.equal(check(at('tls2.crt')).status, 0);
});

t.test('no command takes a secret as an argument, and none shows one', async (t) => {
  const options = (command: Command): string[] => [
    ...command.options.map(({ flags }) => flags),
    ...command.commands.flatMap(options),
  ];
  const secret = options(caCommand()).filter((flags) => /pass|secret|pin|key/.test(flags));
  t.same([...new Set(secret)].sort(), ['--key <file>', '--passphrase-file <file>', '--responder-key <file>']);
  writeFileSync(at('readable'), `${passphrase}\n`, { mode: 0o644 });
  const refused = await accord(['crl', '--dir', dir, '--out', at('x.crl'), '--passphrase-file', at('readable')], {});
  t.match(refused.stderr, /^KEY_FILE_MODE/);
  for (const name of readdirSync(dir)) t.notOk(readFileSync(join(dir, name), 'utf8').includes(passphrase), name);
});
