// Variant `nginx` of the benchmark: two nginx, one behind the other, mutual TLS 1.3 between them and nothing else. Each has
// one worker, as each security server is one process. Made as fast as its manual says: connections kept open on every hop,
// no access log, bodies passed on while they come, nothing written to disk.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '#scripts/free-port.ts';
import type { Started } from './processes.ts';

const NGINX = '/usr/sbin/nginx';
const READY_TIMEOUT_MS = 10_000;

/** Why there is no such variant; null when there is. */
export function nginxMissing(): string | null {
  if (!existsSync(NGINX)) return `${NGINX} is not there (Debian: apt-get install nginx-light)`;
  const { stderr } = spawnSync(NGINX, ['-V'], { encoding: 'utf8' });
  return stderr.includes('--with-http_ssl_module') ? null : `${NGINX} is built without TLS`;
}

const common = (folder: string) => `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log warn;
events { worker_connections 2048; }
http {
  access_log off;
  sendfile on;
  tcp_nodelay on;
  keepalive_timeout 120s;
  keepalive_requests 100000000;
  client_max_body_size 64m;
  client_body_buffer_size 128k;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_request_buffering off;
  proxy_max_temp_file_size 0;
  proxy_buffers 16 16k;
  ssl_session_cache off;
`;
const upstream = (address: string) => `
  upstream next {
    server ${address};
    keepalive 256;
    keepalive_requests 100000000;
    keepalive_timeout 120s;
  }
`;

interface Files {
  cert: string;
  key: string;
  ca: string;
  /** Common name in the certificate: nginx compares no IP addresses. */
  name: string;
}

/** Towards the load: plain HTTP in, mutual TLS out. */
const front = (
  folder: string,
  port: number,
  next: string,
  { cert, key, ca }: Files,
  nextName: string,
) => `${common(folder)}${upstream(next)}
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass https://next;
      proxy_ssl_protocols TLSv1.3;
      proxy_ssl_certificate ${cert};
      proxy_ssl_certificate_key ${key};
      proxy_ssl_trusted_certificate ${ca};
      proxy_ssl_verify on;
      proxy_ssl_verify_depth 2;
      proxy_ssl_name ${nextName};
    }
  }
}
`;

/** Towards the backend: mutual TLS in, plain HTTP out. */
const back = (
  folder: string,
  port: number,
  next: string,
  { cert, key, ca }: Files,
) => `${common(folder)}${upstream(next)}
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_protocols TLSv1.3;
    ssl_certificate ${cert};
    ssl_certificate_key ${key};
    ssl_client_certificate ${ca};
    ssl_verify_client on;
    ssl_verify_depth 2;
    location / { proxy_pass http://next; }
  }
}
`;

async function start(folder: string, text: string, port: number): Promise<Started> {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, text);
  const child = spawn(NGINX, ['-p', folder, '-c', file, '-e', `${folder}/error.log`], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  process.once('exit', () => child.kill('SIGTERM'));
  await listening(port, () => child.exitCode !== null);
  const pid = child.pid ?? 0;
  const workers = await workersOf(pid);
  return {
    line: `http://127.0.0.1:${port}`,
    pids: [pid, ...workers],
    async stop() {
      if (child.exitCode !== null) return;
      child.kill('SIGQUIT');
      const timer = setTimeout(() => child.kill('SIGTERM'), 1_000);
      await once(child, 'exit');
      clearTimeout(timer);
    },
  };
}

/** It listens before it has its worker. */
async function workersOf(pid: number): Promise<number[]> {
  for (let waitedMs = 0; waitedMs < READY_TIMEOUT_MS; waitedMs += 50) {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim();
    if (children !== '') return children.split(' ').map(Number);
    await delay(50);
  }
  throw new Error('nginx has no worker');
}

async function listening(port: number, isOver: () => boolean): Promise<void> {
  for (let waitedMs = 0; waitedMs < READY_TIMEOUT_MS && !isOver(); waitedMs += 50) {
    const socket = createConnection(port, '127.0.0.1');
    const isThere = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    socket.destroy();
    if (isThere) return;
    await delay(50);
  }
  throw new Error(`nginx does not listen on port ${port}; its error log stands above or in its folder`);
}

/** @param backendUrl plain HTTP @param files PEM files of both hops, in the order front, back */
export async function openNginx(folder: string, backendUrl: string, files: readonly [Files, Files]) {
  const ports = [await freePort(), await freePort()] as const;
  const behind = await start(
    join(folder, 'back'),
    back(join(folder, 'back'), ports[1], new URL(backendUrl).host, files[1]),
    ports[1],
  );
  const before = await start(
    join(folder, 'front'),
    front(join(folder, 'front'), ports[0], `127.0.0.1:${ports[1]}`, files[0], files[1].name),
    ports[0],
  );
  return { url: before.line, front: before, back: behind };
}
