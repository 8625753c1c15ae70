// The data folder of a security server: settings, encrypted key files, certificates, the configuration anchor and the
// hashes of its administrators' API keys. Made once by `accord server init`, opened at every start. Whoever can write
// here is the server; whoever can read still needs the passphrase of the keys.
import { createHash, type KeyObject, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCsr } from '#certs/csr.ts';
import { type KeyFileCost, type KeyUse, sealKey } from '#certs/key-file.ts';
import { generateKeys, type KeyKind } from '#certs/keys.ts';
import { writeKeyFile } from '#core/key-store.ts';
import { base64url } from '#schemas/base64url.ts';
import { parseJson } from '#schemas/json.ts';
import { AccordError } from '#schemas/problems.ts';
import { Sha256 } from '#schemas/registrations.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { compile } from '#schemas/validate.ts';
import { LOG_PLACES } from './log-origin.ts';
import type { Settings } from './settings.ts';

const ADMIN_KEY_BYTES = 32;

const AdminKeys = Type.Array(
  Type.Object(
    {
      hash: Sha256,
      role: Type.Union([Type.Literal('administrator'), Type.Literal('auditor')]),
      name: Type.String({ minLength: 1, maxLength: 100 }),
    },
    { additionalProperties: false },
  ),
  { minItems: 1, maxItems: 100 },
);
const checkAdminKeys = compile(AdminKeys, 'SETTINGS_INVALID');
export type AdminKeys = Static<typeof AdminKeys>;

export const FILES = {
  settings: 'server.json',
  anchor: 'anchor.json',
  adminKey: 'admin.key',
  auditorKey: 'auditor.key',
  adminKeys: 'admin-keys.json',
  keys: 'keys',
  certificates: 'certificates',
  requests: 'requests',
} as const;

const KEYS: readonly { name: string; kind: KeyKind; use: KeyUse }[] = [
  { name: 'authentication', kind: 'P-256', use: 'authenticate' },
  { name: 'signing', kind: 'P-256', use: 'sign' },
  { name: 'encryption-1', kind: 'P-256', use: 'encrypt' },
  { name: 'subject-1', kind: 'P-256', use: 'subject' },
  { name: 'checkpoint', kind: 'Ed25519', use: 'checkpoint' },
  { name: 'storage', kind: 'X25519', use: 'storage' },
];

export interface InitOptions {
  folder: string;
  /** Only what differs from the defaults beside id and address. */
  settings: Partial<Settings> & Pick<Settings, 'id' | 'address'>;
  /** The text of the configuration anchor. */
  anchorText: string;
  passphrase: string;
  nowMs: number;
  dnsNames: readonly string[];
  ipAddresses: readonly string[];
  /** Development instances may spend less on key files. */
  keyFileCost?: KeyFileCost;
}

/**
 * Makes the folder: keys, two certificate requests, settings, an administrator's API key.
 * @throws FOLDER_IN_USE, PASSPHRASE_REFUSED, CSR_REFUSED
 */
export async function initServerFolder(options: InitOptions): Promise<{ requests: Record<string, string> }> {
  const { folder, settings, passphrase, nowMs } = options;
  if (existsSync(join(folder, FILES.settings))) throw new AccordError('FOLDER_IN_USE', folder);
  for (const name of ['', FILES.certificates, FILES.requests]) {
    mkdirSync(join(folder, name), { recursive: true, mode: 0o700 });
  }
  const made = new Map<string, KeyObject>();
  for (const { name, kind, use } of KEYS) {
    const { privateKey } = generateKeys(kind);
    made.set(name, privateKey);
    const text = await sealKey(
      privateKey,
      passphrase,
      { use, createdAtMs: nowMs, label: settings.id },
      options.keyFileCost,
    );
    await writeKeyFile(join(folder, FILES.keys), name, text);
  }
  const requests: Record<string, string> = {};
  for (const name of ['authentication', 'signing']) {
    const names = { kind: 'server' as const, id: settings.id, dnsNames: [], ipAddresses: [] };
    const { dnsNames, ipAddresses } = options;
    const withAddresses = name === 'authentication' ? { ...names, dnsNames, ipAddresses } : names;
    requests[name] = await createCsr(made.get(name) as KeyObject, withAddresses);
    writeFileSync(join(folder, FILES.requests, `${name}.csr.pem`), requests[name]);
  }
  writeAdminKey(folder, FILES.adminKey, { role: 'administrator', name: 'first administrator' }, []);
  writeFileSync(join(folder, FILES.anchor), options.anchorText);
  // Last, because its presence says that the folder is whole.
  writeFileSync(join(folder, FILES.settings), `${JSON.stringify({ v: 1, ...settings }, null, 2)}\n`, { mode: 0o600 });
  return { requests };
}

/**
 * Makes the key of an auditor in `auditor.key`; a server that is started afterwards knows it. @returns the key
 * @throws KEY_FILE_EXISTS, SETTINGS_INVALID
 */
export function addAuditorKey(folder: string, name: string): string {
  const file = join(folder, FILES.auditorKey);
  // Whoever got the last one took it away.
  if (existsSync(file)) throw new AccordError('KEY_FILE_EXISTS', file);
  return writeAdminKey(folder, FILES.auditorKey, { role: 'auditor', name }, readAdminKeys(folder));
}

function writeAdminKey(folder: string, file: string, who: Omit<AdminKeys[number], 'hash'>, others: AdminKeys): string {
  const key = base64url(randomBytes(ADMIN_KEY_BYTES));
  const hash = createHash('sha256').update(key).digest('base64url');
  const all = checkAdminKeys([...others, { hash, ...who }]);
  writeFileSync(join(folder, FILES.adminKeys), `${JSON.stringify(all, null, 2)}\n`, { mode: 0o600 });
  writeFileSync(join(folder, file), `${key}\n`, { mode: 0o600 });
  return key;
}

/** @throws SETTINGS_INVALID */
export function readAdminKeys(folder: string): AdminKeys {
  return checkAdminKeys(parseJson(readFileSync(join(folder, FILES.adminKeys))));
}

/** Where the parts of a data folder lie. */
export function foldersOf(folder: string) {
  return {
    log: join(folder, LOG_PLACES.log),
    recordKeys: join(folder, LOG_PLACES.recordKeys),
    checkpointFile: join(folder, LOG_PLACES.checkpointFile),
    state: join(folder, 'state.db'),
    doubts: join(folder, 'doubts.db'),
    spool: join(folder, 'spool'),
    accesses: join(folder, 'accesses.db'),
    retention: join(folder, 'retention.db'),
    witness: join(folder, 'witness.db'),
    configuration: join(folder, 'configuration'),
    anchor: join(folder, FILES.anchor),
    auditorAudit: join(folder, 'auditor-audit.json'),
    auditorTrail: join(folder, 'auditor-trail.jsonl'),
  };
}
