// Every command that the documentation calls runnable is run, in the reader's order: the registry's setup, then a security
// server from nothing (README), then its operation; and the development network of README. Exit statuses count.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { freePort } from '#scripts/free-port.ts';
import { type Block, runnableBlocks, Shell } from './runner.ts';

t.setTimeout(240_000);

const DEFAULT_PORTS = ['3000', '4400', '4401', '5500', '8443', '8080', '4000', '9100'];

const folder = mkdtempSync(join(tmpdir(), 'accord-docs-'));
const backend = createServer((request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ path: request.url }));
});
await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
const ports = new Map<string, number>();
for (const port of DEFAULT_PORTS) ports.set(port, await freePort());
ports.set('3000', (backend.address() as AddressInfo).port);
t.teardown(() => {
  backend.close();
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
});

/** Ports that `server init` and `server start` would take by default. */
const settings = {
  ACCORD_SERVER_PORT_SYSTEMS: String(ports.get('8443')),
  ACCORD_SERVER_PORT_LOOPBACK: String(ports.get('8080')),
  ACCORD_SERVER_PORT_ADMIN: String(ports.get('4000')),
  ACCORD_SERVER_PORT_HEALTH: String(ports.get('9100')),
};

const readme = runnableBlocks('README.md');
const moving = runnableBlocks('docs/xroad.md');
const isDev = ({ text }: Block) => /accord dev up|DEV\/GOV/.test(text);

async function runAll(t: Test, blocks: readonly Block[], name: string): Promise<void> {
  const place = join(folder, name);
  mkdirSync(place, { mode: 0o700 });
  const shell = new Shell(place, ports, settings);
  t.teardown(() => shell.close());
  for (const block of blocks) {
    const { code, output } = await shell.run(block);
    t.equal(code, 0, `${block.page}:${block.line}`, { output: output.slice(-2_000) });
    if (code !== 0) return;
    const url = block.background ? /"consumer":\{"url":"([^"]+)"/.exec(output)?.[1] : undefined;
    if (url !== undefined) await shell.run({ text: `export ACCORD_SERVER=${url}`, background: false });
  }
}

t.test('README: a whole exchange on this machine', async (t) => {
  const blocks = readme.filter(isDev);
  t.equal(blocks.length, 2);
  // Moving from X-Road is tried on the same network.
  const [up, ...asConsumer] = moving.filter(isDev);
  t.equal(up?.text, blocks[0]?.text, 'the same command, so that it is run once');
  t.equal(asConsumer.length, 1);
  await runAll(t, [...blocks, ...asConsumer], 'dev');
});

t.test('the dictionary needs no server', async (t) => {
  const blocks = runnableBlocks('docs/dictionary.md');
  t.ok(blocks.length > 0, 'there is something to run');
  await runAll(t, blocks, 'dictionary');
});

t.test('a registry, a server from nothing, its operation', async (t) => {
  const registry = runnableBlocks('docs/registry.md');
  const server = readme.filter((block) => !isDev(block));
  const operations = runnableBlocks('docs/operations.md');
  const asProvider = moving.filter((block) => !isDev(block));
  t.equal(asProvider.length, 2);
  t.ok(registry.length >= 8 && server.length >= 4 && operations.length >= 6, 'there is something to run');
  // The README says that its lines come behind section 5 of the registry's page, whose section 6 is the approval in them.
  const [made, approval, ...running] = server as [Block, Block, ...Block[]];
  t.ok(registry[5]?.text.startsWith(approval.text), 'the same commands, so that they are run once');
  await runAll(
    t,
    [
      ...registry.slice(0, 5),
      made,
      ...registry.slice(5, 6),
      ...running,
      ...asProvider,
      ...registry.slice(6),
      ...operations,
    ],
    'instance',
  );
});

t.test('from nothing to a working server takes at most six commands of its operator', async (t) => {
  const blocks = readme.filter((block) => !isDev(block));
  const text = blocks
    .map((block) => block.text)
    .join('\n')
    .replaceAll('\\\n', ' ');
  const commands = [...text.matchAll(/^accord (\S+ \S+)/gm)].map(([, command = '']) => command);
  const own = commands
    .slice(0, commands.indexOf('server start') + 1)
    .filter((command) => !command.startsWith('config '));
  t.same(own, ['server init', 'ca issue', 'ca issue', 'server register', 'server start']);
});

t.test('a command that fails, and one that never gets ready, are noticed', async (t) => {
  const shell = new Shell(folder, ports, {});
  t.teardown(() => shell.close());
  t.equal((await shell.run({ text: 'x=1\nexport x', background: false })).code, 0);
  t.match(await shell.run({ text: 'echo $x', background: false }), { code: 0, output: /^1$/m }, 'one shell for all');
  t.equal((await shell.run({ text: 'sleep 5', background: true }, 200)).code, -1);
  t.equal((await shell.run({ text: 'true\naccord log verify --dir none\ntrue', background: false })).code, 3);
});
