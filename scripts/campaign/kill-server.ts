// The program that campaign `kill` kills and campaign `stream` weighs: one security server on a folder, made from one JSON
// file of the campaign's own temporary folder (the keys in it are thrown away with it). It loads everything first and opens the folder when a line
// comes on standard input, so that a spare can stand by and a restart costs what recovery costs.
import { createHash, createPrivateKey, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { COMMITMENT_SALT_BYTES, commit } from '#certs/commitment.ts';
import type { ServerIdentity } from '#cli/dev/throw-away-authority.ts';
import { systemClock } from '#core/clock.ts';
import type { MessageLog } from '#core/log/message-log.ts';
import type { AccessRight } from '#schemas/access-right.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { SEAL_RECORD_BYTES } from '#schemas/limits.ts';
import type { RegisteredService } from '#schemas/registrations.ts';
import { openSecurityServer } from '#security-server/server.ts';
import type { Spool } from '#security-server/spool.ts';
import type { LocalService } from '#security-server/state.ts';
import { HeldConfiguration } from './held-configuration.ts';

export interface KillServerFile {
  id: string;
  folder: string;
  ports: { peer: number; loopback: number; health: number };
  keys: {
    authentication: { certPem: string; keyPem: string };
    signing: { certPem: string; keyPem: string };
    encryption: { kid: string; pem: string }[];
    subject: { kid: string; pem: string }[];
    checkpointPem: string;
    storageKey: string;
  };
  trust: { anchors: string[]; intermediates: string[] };
  servers: { id: string; address: string; subsystems: string[]; registration: ServerIdentity['registration'] }[];
  services: RegisteredService[];
  local: { service: LocalService; right: AccessRight } | null;
}

/** What a running server is told to do worse, in one line of JSON, by the campaigns' own tests. */
export interface Worse {
  /** A log that acknowledges answers this long before it writes them. */
  earlyAnswersMs?: number;
  /** A spool that keeps what it is given in memory. */
  spoolInMemory?: boolean;
  /** An admission that lets everybody in. */
  admitAll?: boolean;
  /** A file stays open and a piece of memory stays taken with every record. */
  leaks?: boolean;
}

/** Makes the real log lie: `response-sent` counts as durable before it is written. */
function acknowledgeEarly(log: MessageLog, ms: number): void {
  const append = log.append.bind(log);
  log.append = (record) => {
    if (record.kind !== 'response-sent') return append(record);
    void delay(ms).then(() => append(record));
    return Promise.resolve({ outcome: 'appended', seq: 0, leafHash: '' });
  };
}

const leaked: unknown[] = [];
function leak(log: MessageLog): void {
  const append = log.append.bind(log);
  log.append = (record) => {
    leaked.push(openSync('/dev/null', 'r'), Buffer.alloc(32 * 1024, 'leak'));
    return append(record);
  };
}

function spoolInMemory(): Spool {
  let held = 0;
  return {
    held: () => held,
    async take(source, { salt = randomBytes(COMMITMENT_SALT_BYTES) }) {
      const chunks = [];
      for await (const chunk of source) chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      held += bytes.length;
      return {
        length: bytes.length,
        salt,
        commitment: commit(salt, bytes),
        sha512: createHash('sha512').update(bytes).digest(),
        async *records() {
          for (let at = 0; at < bytes.length; at += SEAL_RECORD_BYTES) yield bytes.subarray(at, at + SEAL_RECORD_BYTES);
        },
        remove: () => {
          held -= bytes.length;
        },
      };
    },
  };
}

const file = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as KillServerFile;
const configuration = new HeldConfiguration();
configuration.trust = {
  anchors: file.trust.anchors.map(fromBase64url),
  intermediates: file.trust.intermediates.map(fromBase64url),
};
for (const { id, address, subsystems, registration } of file.servers) {
  configuration.register(id, address, subsystems, { registration });
}
for (const service of file.services) configuration.services.set(service.id, service);
const { keys } = file;
const at = (port: number) => ({ host: '127.0.0.1', port });

flushCompileCache(); // a process that will be killed has no end at which this would happen
process.stdout.write('loaded\n');
await once(process.stdin, 'data');
// The campaign may itself be killed; then nobody is left to end this process.
process.stdin.once('end', () => process.exit(1)).resume();
const server = await openSecurityServer({
  id: file.id,
  folder: file.folder,
  keys: {
    authentication: { certPem: keys.authentication.certPem, keyPem: keys.authentication.keyPem },
    signing: { certPem: keys.signing.certPem, key: createPrivateKey(keys.signing.keyPem) },
    encryption: new Map(keys.encryption.map(({ kid, pem }) => [kid, createPrivateKey(pem)])),
    subject: keys.subject.map(({ kid, pem }) => ({ kid, privateKey: createPrivateKey(pem) })),
    checkpoint: createPrivateKey(keys.checkpointPem),
    storageKey: fromBase64url(keys.storageKey),
  },
  configuration,
  ports: {
    peer: at(file.ports.peer),
    systems: null,
    loopback: at(file.ports.loopback),
    admin: at(0),
    health: at(file.ports.health),
  },
  clock: systemClock,
  logger: pino({ level: 'error' }, pino.destination(2)),
  adminKeys: [],
});
if (file.local !== null) {
  server.parts.state.putService(file.local.service);
  server.parts.state.putRight(file.local.right);
}
process.stdin.on('data', (line: Buffer) => {
  const { earlyAnswersMs = 0, ...worse } = JSON.parse(line.toString()) as Worse;
  if (worse.spoolInMemory) server.parts.spool = spoolInMemory();
  if (worse.leaks) leak(server.parts.log);
  if (worse.admitAll) Object.assign(server.parts.admission, { enter: () => () => {}, isFull: () => false });
  if (earlyAnswersMs > 0) acknowledgeEarly(server.parts.log, earlyAnswersMs);
  process.stdout.write('worse\n');
});
process.on('SIGTERM', () => void server.close(5_000).then(() => process.exit(0)));
process.stdout.write('ready\n');
