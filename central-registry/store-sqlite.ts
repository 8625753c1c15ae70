// The registry's state in SQLite: one writer, WAL with synchronous=FULL, so that an answer an administrator saw is on the
// disk. Every change runs in one transaction with its line in the audit trail and its idempotency record. What is stored
// here was judged by the rules and route schemas before.
import type Database from 'better-sqlite3';
import type { DetachedSignature } from '#certs/multi-signature.ts';
import type { RegistryState } from '#core/configuration/parts.ts';
import type { OcspRules, WitnessesPart } from '#schemas/configuration.ts';
import type { MemberId, ServerId, ServiceId, SubsystemId } from '#schemas/identifiers.ts';
import type {
  AnnouncedMaintenance,
  EncryptionKey,
  RegisteredMember,
  RegisteredServer,
  RegisteredService,
} from '#schemas/registrations.ts';
import type { TimeStampsPart } from '#schemas/time-stamps-part.ts';
import { AdministrationStore } from './administration-store-sqlite.ts';
import { CONSENT_SCHEMA, ConsentStore } from './consent-store-sqlite.ts';
import { DICTIONARY_SCHEMA, DictionaryStore } from './dictionary-store-sqlite.ts';
import { EMERGENCIES_SCHEMA, EmergencyStore } from './emergency-store-sqlite.ts';
import { GROUPS_SCHEMA, GroupStore } from './groups-store-sqlite.ts';
import { KeptDocument } from './kept-document-sqlite.ts';
import { OFFICIALS_SCHEMA, OfficialsStore } from './officials-store-sqlite.ts';
import { openDatabase, type ServerRow } from './schema-sqlite.ts';

const STORES_SCHEMA =
  DICTIONARY_SCHEMA +
  KeptDocument.schema('ocsp_rules') +
  CONSENT_SCHEMA +
  OFFICIALS_SCHEMA +
  EMERGENCIES_SCHEMA +
  GROUPS_SCHEMA +
  KeptDocument.schema('witness_part') +
  KeptDocument.schema('time_stamp_part');

type KeyUse = 'authentication' | 'signing' | 'encryption' | 'subject';
export type PublishedKind = 'root' | 'content' | 'locks';

export interface RegisteredKey {
  /** x5t#S256 of a certificate, thumbprint of an encryption or subject key. */
  hash: string;
  server: ServerId;
  use: KeyUse;
  /** SHA-256 of the SubjectPublicKeyInfo: one key, one server. */
  keyHash: string;
  der: string | null;
  jwk: string | null;
  notAfterMs: number;
}

export class RegistryStore {
  /** On the same connection, so in the same transactions. */
  readonly administration: AdministrationStore;
  readonly dictionary: DictionaryStore;
  readonly consent: ConsentStore;
  readonly officials: OfficialsStore;
  readonly emergencies: EmergencyStore;
  readonly groups: GroupStore;
  readonly witnesses: KeptDocument<WitnessesPart>;
  readonly timeStamps: KeptDocument<TimeStampsPart>;
  readonly ocsp: KeptDocument<OcspRules>;
  readonly #db: InstanceType<typeof Database>;
  readonly #statements = new Map<string, Database.Statement>();

  constructor(file: string) {
    this.#db = openDatabase(file, STORES_SCHEMA);
    this.administration = new AdministrationStore(this.#db);
    this.dictionary = new DictionaryStore(this.#db);
    this.consent = new ConsentStore(this.#db);
    this.officials = new OfficialsStore(this.#db);
    this.emergencies = new EmergencyStore(this.#db);
    this.groups = new GroupStore(this.#db);
    this.witnesses = new KeptDocument(this.#db, 'witness_part');
    this.timeStamps = new KeptDocument(this.#db, 'time_stamp_part');
    this.ocsp = new KeptDocument(this.#db, 'ocsp_rules');
  }

  close(): void {
    this.#db.close();
  }

  /** All or nothing; an error thrown inside undoes it and goes on. */
  transaction<T>(run: () => T): T {
    return this.#db.transaction(run).immediate();
  }

  // --- classes, members, subsystems
  putClass(code: string, title: string): void {
    this.#run('INSERT INTO classes VALUES (?, ?) ON CONFLICT(code) DO UPDATE SET title = excluded.title', code, title);
  }
  classes(): { code: string; title: string }[] {
    return this.#all('SELECT code, title FROM classes ORDER BY code');
  }
  addMember(id: MemberId, memberClass: string, name: string): void {
    this.#run('INSERT INTO members VALUES (?, ?, ?)', id, memberClass, name);
  }
  member(id: MemberId): RegisteredMember | undefined {
    const row = this.#get<{ id: string; name: string }>('SELECT id, name FROM members WHERE id = ?', id);
    return row && this.#wholeMember(row);
  }
  /** Ascending by id, after `after`. */
  members(after: string, limit: number): RegisteredMember[] {
    const rows = this.#all<{ id: string; name: string }>(
      'SELECT id, name FROM members WHERE id > ? ORDER BY id LIMIT ?',
      after,
      limit,
    );
    return rows.map((row) => this.#wholeMember(row));
  }
  removeMember(id: MemberId): void {
    this.#run('DELETE FROM members WHERE id = ?', id);
  }
  addSubsystem(id: SubsystemId, member: MemberId, code: string, name: string): void {
    this.#run('INSERT INTO subsystems VALUES (?, ?, ?, ?)', id, member, code, name);
  }
  hasSubsystem(id: SubsystemId): boolean {
    return this.#get('SELECT 1 FROM subsystems WHERE id = ?', id) !== undefined;
  }
  removeSubsystem(id: SubsystemId): void {
    this.#run('DELETE FROM server_subsystems WHERE subsystem = ?', id);
    this.#run('DELETE FROM subsystems WHERE id = ?', id);
  }

  // --- security servers and their keys
  addServer(id: ServerId, member: MemberId, server: Pick<RegisteredServer, 'code' | 'address' | 'log'>): void {
    const { code, address, log } = server;
    this.#run('INSERT INTO servers VALUES (?, ?, ?, ?, ?, ?, NULL)', id, member, code, address, log.origin, log.key);
  }
  hasServer(id: ServerId): boolean {
    return this.#get('SELECT 1 FROM servers WHERE id = ?', id) !== undefined;
  }
  server(id: ServerId): (RegisteredServer & { id: ServerId }) | undefined {
    const row = this.#get<ServerRow>('SELECT * FROM servers WHERE id = ?', id);
    return row && { id, ...this.#wholeServer(row) };
  }
  setServerAddress(id: ServerId, address: string): void {
    this.#run('UPDATE servers SET address = ? WHERE id = ?', address, id);
  }
  setServerMaintenance(id: ServerId, announced: AnnouncedMaintenance | null): void {
    this.#run('UPDATE servers SET maintenance = ? WHERE id = ?', announced && JSON.stringify(announced), id);
  }
  setServerSubsystems(id: ServerId, subsystems: readonly SubsystemId[]): void {
    this.#run('DELETE FROM server_subsystems WHERE server = ?', id);
    for (const subsystem of subsystems) this.#run('INSERT INTO server_subsystems VALUES (?, ?)', id, subsystem);
  }
  removeServer(id: ServerId): void {
    this.#run('DELETE FROM keys WHERE server = ?', id);
    this.#run('DELETE FROM server_subsystems WHERE server = ?', id);
    this.#run('DELETE FROM servers WHERE id = ?', id);
  }
  /** The server other than `than` that has a log of this origin or key. */
  logOwner(origin: string, key: string, than = ''): ServerId | undefined {
    const sql = 'SELECT id FROM servers WHERE (log_origin = ? OR log_key = ?) AND id <> ?';
    return this.#get<{ id: string }>(sql, origin, key, than)?.id;
  }
  setServerLog(id: ServerId, origin: string, key: string): void {
    this.#run('UPDATE servers SET log_origin = ?, log_key = ? WHERE id = ?', origin, key, id);
  }
  addKey(key: RegisteredKey): void {
    const { hash, server, use, keyHash, der, jwk, notAfterMs } = key;
    this.#run('INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)', hash, server, use, keyHash, der, jwk, notAfterMs);
  }
  keysOf(server: ServerId): RegisteredKey[] {
    return this.#all(`${SELECT_KEY} WHERE server = ? ORDER BY hash`, server);
  }
  keysWith(hash: string, keyHash: string): RegisteredKey[] {
    return this.#all(`${SELECT_KEY} WHERE hash = ? OR key_hash = ?`, hash, keyHash);
  }
  removeKey(server: ServerId, hash: string): boolean {
    return this.#run('DELETE FROM keys WHERE server = ? AND hash = ?', server, hash) > 0;
  }

  // --- services
  putService(service: RegisteredService, subsystem: SubsystemId): void {
    const { id, title, type, descriptionHash, personalData, safe, bindingHash } = service;
    this.#run('DELETE FROM services WHERE id = ?', id);
    this.#run(
      'INSERT INTO services VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
      ...[id, subsystem, title, type, descriptionHash, Number(personalData), Number(safe), bindingHash],
    );
  }
  service(id: ServiceId): RegisteredService | undefined {
    return this.#services('WHERE id = ?', id)[0];
  }
  setBindingHash(id: ServiceId, hash: string): void {
    this.#run('UPDATE services SET binding_hash = ? WHERE id = ?', hash, id);
  }
  services(after: string, limit: number): RegisteredService[] {
    return this.#services('WHERE id > ? ORDER BY id LIMIT ?', after, limit);
  }
  hasServicesOf(subsystem: SubsystemId): boolean {
    return this.#get('SELECT 1 FROM services WHERE subsystem = ? LIMIT 1', subsystem) !== undefined;
  }
  removeService(id: ServiceId): void {
    this.#run('DELETE FROM services WHERE id = ?', id);
  }
  putDescription(hash: string, bytes: Buffer): void {
    this.#run('INSERT OR IGNORE INTO descriptions VALUES (?, ?)', hash, bytes);
  }
  description(hash: string): Buffer | undefined {
    return this.#get<{ bytes: Buffer }>('SELECT bytes FROM descriptions WHERE hash = ?', hash)?.bytes;
  }

  // --- trust and limits
  putTrust(hash: string, kind: 'anchor' | 'intermediate' | 'crl', der: string): void {
    this.#run('INSERT OR IGNORE INTO trust VALUES (?, ?, ?)', hash, kind, der);
  }
  removeTrust(hash: string): boolean {
    return this.#run('DELETE FROM trust WHERE hash = ?', hash) > 0;
  }
  trust(): RegistryState['trust'] {
    const of = (kind: string) =>
      this.#all<{ der: string }>('SELECT der FROM trust WHERE kind = ? ORDER BY hash', kind).map(({ der }) => der);
    return { anchors: of('anchor'), intermediates: of('intermediate'), crls: of('crl') };
  }
  /** The newest list of an authority (by the hash of its key) that was ever taken: number in decimal, hash of the list. */
  newestCrl(issuer: string): { number: string; crl: string } | undefined {
    return this.#get('SELECT number, crl FROM crl_numbers WHERE issuer = ?', issuer);
  }
  crlIssuer(crl: string): string | undefined {
    return this.#get<{ issuer: string }>('SELECT issuer FROM crl_numbers WHERE crl = ?', crl)?.issuer;
  }
  setNewestCrl(issuer: string, number: string, crl: string): void {
    this.#run(
      'INSERT INTO crl_numbers VALUES (?, ?, ?) ON CONFLICT(issuer) DO UPDATE SET number = excluded.number, crl = excluded.crl',
      ...[issuer, number, crl],
    );
  }
  setLimit(name: string, value: number): void {
    this.#run('INSERT INTO limits VALUES (?, ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value', name, value);
  }
  limits(): RegistryState['limits'] {
    const rows = this.#all<{ name: string; value: number }>('SELECT name, value FROM limits');
    return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
  }

  /** Everything that goes into the parts. */
  state(): RegistryState {
    const witnesses = this.witnesses.get();
    const timeStamps = this.timeStamps.get();
    const ocsp = this.ocsp.get();
    return {
      members: this.members('', -1),
      services: this.services('', -1),
      trust: { ...this.trust(), ...(ocsp && { ocsp }) },
      limits: this.limits(),
      ...this.consent.state(),
      officials: this.officials.registered(),
      dictionary: this.dictionary.files(),
      bindings: this.dictionary.bindings(),
      groups: this.groups.all(),
      ...(witnesses && { witnesses }),
      ...(timeStamps && { timeStamps }),
    };
  }

  // --- the configuration
  putPart(hash: string, bytes: Buffer): void {
    this.#run('INSERT OR IGNORE INTO parts VALUES (?, ?)', hash, bytes);
  }
  part(hash: string): Buffer | undefined {
    return this.#get<{ bytes: Buffer }>('SELECT bytes FROM parts WHERE hash = ?', hash)?.bytes;
  }
  addDraft(version: number, payload: Buffer, atMs: number, by: string): void {
    this.#run('INSERT INTO drafts VALUES (?, ?, ?, ?)', version, payload, atMs, by);
  }
  draft(version: number): { payload: Buffer; createdAtMs: number; createdBy: string } | undefined {
    const sql = 'SELECT payload, created_at_ms AS createdAtMs, created_by AS createdBy FROM drafts WHERE version = ?';
    return this.#get(sql, version);
  }
  newestDraft(): number {
    return this.#get<{ version: number | null }>('SELECT MAX(version) AS version FROM drafts')?.version ?? 0;
  }
  putSignature(version: number, one: DetachedSignature): void {
    const { kid, protected: head, signature } = one;
    this.#run('INSERT OR IGNORE INTO draft_signatures VALUES (?, ?, ?, ?)', version, kid, head, signature);
  }
  signatures(version: number): DetachedSignature[] {
    return this.#all('SELECT kid, protected, signature FROM draft_signatures WHERE version = ? ORDER BY kid', version);
  }
  putPublished(kind: PublishedKind, version: number, hash: string, file: Buffer): void {
    this.#run('INSERT INTO published VALUES (?, ?, ?, ?)', kind, version, hash, file);
  }
  published(kind: PublishedKind): { version: number; hash: string; file: Buffer }[] {
    return this.#all('SELECT version, hash, file FROM published WHERE kind = ? ORDER BY version', kind);
  }
  /** Without their files, after this version. */
  publishedSince(kind: PublishedKind, after: number): { version: number; hash: string }[] {
    return this.#all(
      'SELECT version, hash FROM published WHERE kind = ? AND version > ? ORDER BY version',
      kind,
      after,
    );
  }
  isPublished(kind: PublishedKind, version: number): boolean {
    return this.#get('SELECT 1 FROM published WHERE kind = ? AND version = ?', kind, version) !== undefined;
  }
  /** Statements in order; a list is all of them. */
  distrust(): { hash: string; jws: string; lifted: boolean }[] {
    const rows = this.#all<{ hash: string; jws: string; lifted: number }>(
      'SELECT hash, jws, lifted FROM distrust ORDER BY seq',
    );
    return rows.map(({ hash, jws, lifted }) => ({ hash, jws, lifted: lifted === 1 }));
  }
  addDistrust(hash: string, jws: string): void {
    this.#run('INSERT INTO distrust SELECT COALESCE(MAX(seq), 0) + 1, ?, ?, 0 FROM distrust', hash, jws);
  }
  /** For the next draft; false when there is no such statement. */
  setDistrustLifted(hash: string, lifted: boolean): boolean {
    return this.#run('UPDATE distrust SET lifted = ? WHERE hash = ?', Number(lifted), hash) > 0;
  }
  newestPublished(kind: PublishedKind): { version: number; hash: string; file: Buffer } | undefined {
    return this.#get('SELECT version, hash, file FROM published WHERE kind = ? ORDER BY version DESC LIMIT 1', kind);
  }

  #wholeMember({ id, name }: { id: string; name: string }): RegisteredMember {
    const subsystems = this.#all<{ code: string; name: string }>(
      'SELECT code, name FROM subsystems WHERE member = ? ORDER BY code',
      id,
    );
    const servers = this.#all<ServerRow>('SELECT * FROM servers WHERE member = ? ORDER BY code', id);
    return { id, name, subsystems, servers: servers.map((row) => this.#wholeServer(row)) };
  }

  #wholeServer(row: ServerRow): RegisteredServer {
    const keys = this.keysOf(row.id);
    const ders = (use: KeyUse) => keys.flatMap((key) => (key.use === use && key.der !== null ? [key.der] : []));
    const bare = (use: KeyUse) =>
      keys.flatMap((key): EncryptionKey[] =>
        key.use === use && key.jwk !== null
          ? [{ kid: key.hash, jwk: JSON.parse(key.jwk), notAfterMs: key.notAfterMs }]
          : [],
      );
    const speaksFor = 'SELECT subsystem FROM server_subsystems WHERE server = ? ORDER BY subsystem';
    return {
      code: row.code,
      address: row.address,
      authenticationCertificates: ders('authentication'),
      signingCertificates: ders('signing'),
      encryptionKeys: bare('encryption'),
      subjectKeys: bare('subject'),
      subsystems: this.#all<{ subsystem: string }>(speaksFor, row.id).map(({ subsystem }) => subsystem),
      log: { origin: row.log_origin, key: row.log_key },
      ...(row.maintenance !== null && { maintenance: JSON.parse(row.maintenance) }),
    };
  }

  #services(where: string, ...values: unknown[]): RegisteredService[] {
    type Row = Omit<RegisteredService, 'personalData' | 'safe'> & { personalData: number; safe: number };
    const columns =
      'id, title, type, description_hash AS descriptionHash, personal_data AS personalData, safe, binding_hash AS bindingHash FROM services';
    return this.#all<Row>(`SELECT ${columns} ${where}`, ...values).map((row) => ({
      ...row,
      personalData: row.personalData === 1,
      safe: row.safe === 1,
    }));
  }

  #prepare(sql: string): Database.Statement {
    const known = this.#statements.get(sql) ?? this.#db.prepare(sql);
    this.#statements.set(sql, known);
    return known;
  }
  #run(sql: string, ...values: unknown[]): number {
    return this.#prepare(sql).run(...values).changes;
  }
  #get<T>(sql: string, ...values: unknown[]): T | undefined {
    return this.#prepare(sql).get(...values) as T | undefined;
  }
  #all<T>(sql: string, ...values: unknown[]): T[] {
    return this.#prepare(sql).all(...values) as T[];
  }
}

const SELECT_KEY = 'SELECT hash, server, use, key_hash AS keyHash, der, jwk, not_after_ms AS notAfterMs FROM keys';
