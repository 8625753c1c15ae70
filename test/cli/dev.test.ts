// `accord dev up` as a developer or a test driver uses it: one ready line, an exchange, SIGTERM.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t from 'tap';
import { openAccord } from '#adapters/client.ts';
import { verifyLog } from '#core/log/audit.ts';
import { openssl, withOpenssl } from '#test/certs/chains.ts';

interface Ready {
  ready: true;
  instance: string;
  consumer: { url: string; client: string };
  service: string;
  registry: { configuration: string; admin: string };
  servers: { name: string; admin: string; health: string; dataDir: string }[];
}

t.test('ready, answers on every method, drains at SIGTERM and leaves whole logs', async (t) => {
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const backend = createServer(async (request, response) => {
    if (request.url === '/slow') await held;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ method: request.method, url: request.url }));
  });
  await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
  t.teardown(() => backend.close());
  const url = `http://127.0.0.1:${(backend.address() as AddressInfo).port}`;
  const folder = t.testdir();
  const child = spawn(process.execPath, ['cli/main.ts', 'dev', 'up', '--backend', url, '--dir', folder, '--json']);
  const lines = createInterface({ input: child.stdout });
  const [line] = (await once(lines, 'line')) as [string];
  const ready = JSON.parse(line) as Ready;
  t.match(ready, {
    ready: true,
    instance: 'DEV',
    consumer: { client: 'DEV/GOV/1001/consumer' },
    service: 'DEV/GOV/2002/provider/echo',
  });
  t.equal(ready.servers.length, 2);
  for (const server of ready.servers) {
    t.ok(existsSync(server.dataDir), 'data folder');
    t.equal((await fetch(`${server.health}/readyz`)).status, 200, `${server.name} is ready`);
  }
  t.equal((await fetch(`${ready.registry.configuration}freshness.jws`)).status, 200);
  const accord = openAccord({ url: ready.consumer.url, client: ready.consumer.client });
  for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
    const answer = await accord.lookup({ service: ready.service, method, path: '/any/where', query: { a: '1 2' } });
    t.match(answer, { outcome: 'ok', status: 200, body: { method, url: '/any/where?a=1%202' } });
  }
  const slow = accord.lookup({ service: ready.service, path: '/slow' });
  await new Promise((resolve) => backend.once('request', resolve));
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  setTimeout(release, 200);
  t.match(await slow, { outcome: 'ok' }, 'what was under way is finished');
  await accord.close();
  t.same(await ended, [0, null]);
  for (const { dataDir, name } of ready.servers) {
    const checkpointFile = join(dataDir, 'checkpoint.txt');
    const audit = await verifyLog({ folder: join(dataDir, 'log'), checkpointFile });
    t.match(audit, { ok: true }, `the log of ${name} stays and is whole`);
    // OCSP answers of both servers as well, once they were there.
    t.ok(audit.entries >= 10 && audit.entries <= 12, `${audit.entries} entries`);
  }
});

t.test('a time-stamp authority that openssl understands', withOpenssl, async (t) => {
  const folder = t.testdir({ document: 'a document' });
  const at = (name: string) => join(folder, name);
  const args = ['cli/main.ts', 'dev', 'time-stamp-authority', '--ca-file', at('ca.pem'), '--name', 'north', '--json'];
  const child = spawn(process.execPath, args);
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const ready = JSON.parse(line) as { name: string; url: string };
  t.match(ready, { ready: true, name: 'north', caFile: at('ca.pem') });
  t.equal(openssl(['ts', '-query', '-data', at('document'), '-sha256', '-cert', '-out', at('query')]).status, 0);
  const headers = { 'content-type': 'application/timestamp-query' };
  const answer = await fetch(ready.url, { method: 'POST', headers, body: readFileSync(at('query')) });
  writeFileSync(at('answer'), Buffer.from(await answer.arrayBuffer()));
  const verify = ['ts', '-verify', '-data', at('document'), '-in', at('answer'), '-CAfile', at('ca.pem')];
  t.equal(openssl(verify).status, 0);
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  t.same(await ended, [0, null]);
});
