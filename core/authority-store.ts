// The folder of a certification authority. One process works with it at a time (the file `lock`).
//
//   authority.json     name, instance, where the revocation list is published; written last, so that its presence means
//                      that the folder was made whole
//   root.key           the sealed private keys (certs/key-file.ts), mode 0600; root.key may be kept elsewhere
//   issuing.key
//   root.crt           the authorities' certificates, PEM
//   issuing.crt
//   index.jsonl        every certificate, revocation and list, one JSON line each, append-only
//
// A record is durable before what it records is handed out: a crash may leave a certificate that nobody has, never one
// that the authority does not know. A last line without its line feed is such a crash and is dropped; any other damage
// stops the authority. The folder belongs to the operator.
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { type IssuedCertificate, Ledger, type Revocation } from '#certs/ledger.ts';
import { pemCertificates } from '#certs/pem.ts';
import { PROFILES, type ProfileName, REVOCATION_REASONS, type RevocationReason } from '#certs/profiles.ts';
import { toPem } from '#certs/x509-library.ts';
import { base64url, fromBase64url } from '#schemas/base64url.ts';
import { parseJsonObject } from '#schemas/json.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';

export type AuthorityRole = 'root' | 'issuing';

const closed = { additionalProperties: false };
const Role = Type.Union([Type.Literal('root'), Type.Literal('issuing')]);
const Milliseconds = Type.Integer({ minimum: 0 });
const Serial = Type.String({ pattern: '^[0-9a-f]{32,40}$' });
const oneOf = (names: readonly string[]) => Type.Union(names.map((name) => Type.Literal(name)));

const Settings = Type.Object(
  {
    v: Type.Literal(1),
    name: Type.String({ minLength: 1, maxLength: 64 }),
    /** Holders of other instances are not certified. */
    instance: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    crlUrl: Type.Optional(Type.String({ pattern: '^https?://[!-~]{1,500}$' })),
  },
  closed,
);
export type AuthoritySettings = Static<typeof Settings>;

const Issued = Type.Object(
  {
    event: Type.Literal('issued'),
    atMs: Milliseconds,
    issuer: Role,
    serial: Serial,
    profile: oneOf(Object.keys(PROFILES)),
    holder: Type.String({ minLength: 1, maxLength: 300 }),
    keyHash: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }),
    notBeforeMs: Milliseconds,
    notAfterMs: Milliseconds,
    certificate: Type.String({ minLength: 1, maxLength: 16_384 }),
  },
  closed,
);
const Revoked = Type.Object(
  {
    event: Type.Literal('revoked'),
    atMs: Milliseconds,
    serial: Serial,
    reason: oneOf(Object.keys(REVOCATION_REASONS)),
  },
  closed,
);
const Listed = Type.Object(
  { event: Type.Literal('listed'), atMs: Milliseconds, issuer: Role, number: Type.Integer({ minimum: 1 }) },
  closed,
);
const readSettings = compile(Settings, 'AUTHORITY_DAMAGED');
const readRecord = compile(Type.Union([Issued, Revoked, Listed]), 'AUTHORITY_DAMAGED');

const MAX_LINE_BYTES = 32 * 1024;

export interface NewAuthority {
  settings: AuthoritySettings;
  keys: Record<AuthorityRole, string>;
  certificates: readonly [root: IssuedCertificate, issuing: IssuedCertificate];
}

export class AuthorityStore {
  readonly ledger = new Ledger();
  readonly settings: AuthoritySettings;
  readonly #dir: string;
  readonly #index: number;
  readonly #crlNumbers: Record<AuthorityRole, number> = { root: 0, issuing: 0 };

  /** @throws AUTHORITY_MISSING, AUTHORITY_BUSY, AUTHORITY_DAMAGED */
  constructor(dir: string) {
    if (!existsSync(join(dir, 'authority.json'))) throw new AccordError('AUTHORITY_MISSING', dir);
    if (!existsSync(join(dir, 'index.jsonl'))) throw new AccordError('AUTHORITY_DAMAGED', 'index.jsonl is missing');
    this.#dir = dir;
    lock(dir);
    try {
      this.settings = readSettings(damaged(() => parseJsonObject(readFileSync(join(dir, 'authority.json')))));
      this.#index = openSync(join(dir, 'index.jsonl'), 'a+');
      this.#replay();
    } catch (error) {
      unlock(dir);
      throw error;
    }
  }

  /** The certificate of one of the two authorities, DER. @throws PEM_INVALID */
  certificate(role: AuthorityRole): Buffer {
    const [der, ...more] = pemCertificates(readFileSync(join(this.#dir, `${role}.crt`), 'latin1'));
    if (der === undefined || more.length > 0) throw new AccordError('AUTHORITY_DAMAGED', `${role}.crt`);
    return der;
  }

  /** The sealed private key. @throws AUTHORITY_KEY_OFFLINE */
  sealedKey(role: AuthorityRole): string {
    const file = join(this.#dir, `${role}.key`);
    if (!existsSync(file)) throw new AccordError('AUTHORITY_KEY_OFFLINE', file);
    return readFileSync(file, 'utf8');
  }

  recordIssued(certificate: IssuedCertificate, atMs: number): void {
    this.#append(issuedRecord(certificate, atMs));
    this.ledger.add(certificate);
  }

  recordRevoked(serial: string, revocation: Revocation): void {
    this.#append({ event: 'revoked', atMs: revocation.atMs, serial, reason: revocation.reason });
    this.ledger.revoke(serial, revocation);
  }

  /** Takes the next number of a revocation list; a number that was taken is never used again. */
  recordCrl(issuer: AuthorityRole, atMs: number): number {
    const number = this.#crlNumbers[issuer] + 1;
    this.#append({ event: 'listed', atMs, issuer, number });
    this.#crlNumbers[issuer] = number;
    return number;
  }

  close(): void {
    closeSync(this.#index);
    unlock(this.#dir);
  }

  #append(record: Static<typeof Issued> | Static<typeof Revoked> | Static<typeof Listed>): void {
    const bytes = Buffer.from(`${JSON.stringify(readRecord(record))}\n`);
    for (let written = 0; written < bytes.length; ) written += writeSync(this.#index, bytes, written);
    fsyncSync(this.#index);
  }

  #replay(): void {
    const bytes = readFileSync(this.#index);
    const whole = bytes.lastIndexOf(0x0a) + 1;
    if (whole < bytes.length) ftruncateSync(this.#index, whole);
    const lines = bytes.subarray(0, whole).toString('utf8').split('\n').slice(0, -1);
    for (const [at, line] of lines.entries()) {
      try {
        this.#replayLine(line);
      } catch (error) {
        throw new AccordError('AUTHORITY_DAMAGED', `index.jsonl line ${at + 1}`, { cause: error });
      }
    }
  }

  #replayLine(line: string): void {
    const record = readRecord(parseJsonObject(line, { maxBytes: MAX_LINE_BYTES }));
    if (record.event === 'issued') {
      const { event: _event, atMs: _atMs, certificate, profile, ...rest } = record;
      this.ledger.add({ ...rest, profile: profile as ProfileName, der: fromBase64url(certificate) });
    } else if (record.event === 'revoked') {
      this.ledger.revoke(record.serial, { atMs: record.atMs, reason: record.reason as RevocationReason });
    } else {
      this.#crlNumbers[record.issuer] = record.number;
    }
  }
}

/** @throws AUTHORITY_EXISTS unless `dir` is absent or empty */
export function refuseUsedFolder(dir: string): void {
  if (existsSync(dir) && readdirSync(dir).length > 0) throw new AccordError('AUTHORITY_EXISTS', dir);
}

/** Makes the folder of a new authority. @throws AUTHORITY_EXISTS unless `dir` is absent or empty */
export function createAuthorityFolder(dir: string, { settings, keys, certificates }: NewAuthority, atMs: number): void {
  refuseUsedFolder(dir);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const [root, issuing] = certificates;
  const lines = certificates.map((certificate) => `${JSON.stringify(issuedRecord(certificate, atMs))}\n`);
  writeNew(join(dir, 'root.key'), keys.root);
  writeNew(join(dir, 'issuing.key'), keys.issuing);
  writeNew(join(dir, 'root.crt'), toPem('CERTIFICATE', root.der));
  writeNew(join(dir, 'issuing.crt'), toPem('CERTIFICATE', issuing.der));
  writeNew(join(dir, 'index.jsonl'), lines.join(''));
  writeNew(join(dir, 'authority.json'), `${JSON.stringify(readSettings(settings), null, 2)}\n`);
  syncFolder(dir);
}

function issuedRecord({ der, ...certificate }: IssuedCertificate, atMs: number): Static<typeof Issued> {
  return { event: 'issued', atMs, ...certificate, certificate: base64url(der) };
}

function writeNew(file: string, text: string): void {
  const fd = openSync(file, 'wx', 0o600);
  try {
    writeSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function syncFolder(dir: string): void {
  const fd = openSync(dir, 'r');
  fsyncSync(fd);
  closeSync(fd);
}

function lock(dir: string): void {
  const file = join(dir, 'lock');
  try {
    writeNew(file, `${process.pid}\n`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (isAlive(Number(readFileSync(file, 'latin1')))) throw new AccordError('AUTHORITY_BUSY', file);
    rmSync(file);
    writeNew(file, `${process.pid}\n`);
  }
}

function unlock(dir: string): void {
  rmSync(join(dir, 'lock'), { force: true });
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid < 1) return true; // somebody's, being written: nothing to take over
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

function damaged<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!isAccordError(error)) throw error;
    throw new AccordError('AUTHORITY_DAMAGED', 'authority.json', { cause: error });
  }
}
