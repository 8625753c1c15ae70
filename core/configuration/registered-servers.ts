// The security servers of one members part, kept small: of thousands of registered servers one server speaks to a few.
// Each is a record of bytes (certificates as DER, the rest as JSON), made into an entry when it is first looked for and
// then kept as long as its part is. Written here from a part that was verified and read; nobody else writes the records.
import { hash } from 'node:crypto';
import { fromBase64url } from '#schemas/base64url.ts';
import { memberOf, type ServerId, serverId, subsystemId } from '#schemas/identifiers.ts';
import type { EncryptionKey, RegisteredMember, RegisteredServer } from '#schemas/registrations.ts';
import { ShortNames, shortNamed, shortNameOf } from './short-names.ts';
import type { RegisteredCertificate, ServerEntry } from './snapshot.ts';

/** kid, x, y, notAfterMs: every registered key is on P-256. */
type KeyRecord = readonly [string, string, string, number];

/** What stands before the certificates of a record. */
interface ServerRecord {
  address: string;
  subsystems: string[];
  encryption: KeyRecord[];
  subject: KeyRecord[];
  log: ServerEntry['log'];
  maintenance: NonNullable<ServerEntry['maintenance']> | null;
  /** Lengths of the certificates, in bytes: those for TLS, then those for signing. */
  authentication: number[];
  signing: number[];
}

/** What a part says of its servers, taken member by member, so that no more than one member lies about as objects. */
export class ServerRecords {
  readonly ids: ServerId[] = [];
  readonly before: number[] = [0];
  readonly places: number[] = [];
  readonly keys: number[] = [];
  readonly hosted: number[] = [];
  #bytes: Buffer;
  #length = 0;

  /** @param bytes that the records are likely to need; the part's own length is more than enough */
  constructor(bytes: number) {
    this.#bytes = Buffer.allocUnsafeSlow(bytes);
  }

  /** The next member of the part. @throws IDENTIFIER_INVALID, ENCODING_NOT_CANONICAL */
  add(member: RegisteredMember): void {
    const known = new Set<string>();
    for (const server of member.servers) {
      const at = this.ids.push(serverId(`${member.id}/${server.code}`)) - 1;
      // A member's servers mostly speak for the same subsystems.
      for (const id of server.subsystems) if (!known.has(id)) known.add(subsystemId(id));
      const certificates = [...server.authenticationCertificates, ...server.signingCertificates].map(fromBase64url);
      const record = JSON.stringify(recordOf(server, certificates));
      const bytes = certificates.reduce((sum, der) => sum + der.length, 3 * record.length);
      if (this.#length + bytes > this.#bytes.length) this.#grow(bytes);
      this.places.push(this.#length);
      this.#length += this.#bytes.write(record, this.#length);
      this.places.push(this.#length);
      for (const der of certificates) this.#length += der.copy(this.#bytes, this.#length);
      for (const key of keysOf(server, certificates)) this.keys.push(shortNamed(key, at));
      for (const id of server.subsystems) if (memberOf(id) !== member.id) this.hosted.push(shortNamed(id, at));
    }
    this.before.push(this.ids.length);
  }

  /** Of all records so far, as many bytes as they are. */
  bytes(): Buffer {
    const exact = Buffer.allocUnsafeSlow(this.#length);
    this.#bytes.copy(exact);
    return exact;
  }

  #grow(more: number): void {
    const larger = Buffer.allocUnsafeSlow(2 * this.#bytes.length + more);
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

export class RegisteredServers implements Iterable<ServerEntry> {
  static readonly none = new RegisteredServers(new ServerRecords(0));
  readonly #ids: readonly ServerId[];
  /** For each member of the part, in its order, how many servers the members before it have; then the number of all. */
  readonly #before: readonly number[];
  readonly #bytes: Buffer;
  /** Where each record begins and its JSON ends; then the end of all. */
  readonly #places: Uint32Array;
  readonly #keys: ShortNames;
  readonly #hosted: ShortNames;
  readonly #made: (ServerEntry | undefined)[];

  constructor(records: ServerRecords) {
    this.#ids = records.ids;
    this.#before = records.before;
    this.#bytes = records.bytes();
    this.#places = Uint32Array.from([...records.places, this.#bytes.length]);
    this.#keys = new ShortNames(records.keys);
    this.#hosted = new ShortNames(records.hosted);
    this.#made = new Array(this.#ids.length).fill(undefined);
  }

  /** All of them, in the part's order. */
  *[Symbol.iterator](): Generator<ServerEntry, undefined> {
    for (let at = 0; at < this.#ids.length; at++) yield this.#entry(at);
  }

  /** Those of the member that stands at this place of its part. */
  ofMember(place: number): ServerEntry[] {
    const found: ServerEntry[] = [];
    for (let at = this.#before[place] ?? 0; at < (this.#before[place + 1] ?? 0); at++) found.push(this.#entry(at));
    return found;
  }

  /** The server with this id, of the member that stands at this place. */
  get(id: ServerId, place: number): ServerEntry | undefined {
    for (let at = (this.#before[place + 1] ?? 0) - 1; at >= (this.#before[place] ?? 0); at--) {
      if (this.#ids[at] === id) return this.#entry(at);
    }
    return undefined;
  }

  /**
   * Servers that may have a certificate with this hash or a key with this kid, each once. About one stranger in 2^32 is
   * among them: the caller looks.
   */
  withKey(value: string, short = shortNameOf(value)): ServerEntry[] {
    return this.#keys.find(short).map((at) => this.#entry(at));
  }

  /** Whether any of them speaks for a subsystem of another member. */
  get hosts(): boolean {
    return this.#hosted.size > 0;
  }

  /** Likewise those that may speak for this subsystem of another member. */
  hosting(subsystem: string, short = shortNameOf(subsystem)): ServerEntry[] {
    return this.#hosted.find(short).map((at) => this.#entry(at));
  }

  #entry(at: number): ServerEntry {
    const known = this.#made[at];
    if (known) return known;
    const [from = 0, end = 0] = [this.#places[2 * at], this.#places[2 * at + 1]];
    const record = JSON.parse(this.#bytes.toString('utf8', from, end)) as ServerRecord;
    let next = end;
    const certificate = (bytes: number): RegisteredCertificate => {
      const der = this.#bytes.subarray(next, next + bytes);
      next += bytes;
      return { der, hash: hash('sha256', der, 'base64url') };
    };
    const made: ServerEntry = {
      id: this.#ids[at] ?? '',
      address: record.address,
      authenticationCertificates: record.authentication.map(certificate),
      signingCertificates: record.signing.map(certificate),
      encryptionKeys: record.encryption.map(keyOf),
      subjectKeys: record.subject.map(keyOf),
      subsystems: new Set(record.subsystems),
      log: record.log,
      maintenance: record.maintenance,
    };
    this.#made[at] = made;
    return made;
  }
}

function recordOf(server: RegisteredServer, certificates: readonly Buffer[]): ServerRecord {
  const lengths = certificates.map(({ length }) => length);
  const forTls = server.authenticationCertificates.length;
  return {
    address: server.address,
    subsystems: server.subsystems,
    encryption: server.encryptionKeys.map(keyRecord),
    subject: server.subjectKeys.map(keyRecord),
    log: server.log,
    maintenance: server.maintenance ?? null,
    authentication: lengths.slice(0, forTls),
    signing: lengths.slice(forTls),
  };
}

function keyRecord({ kid, jwk, notAfterMs }: EncryptionKey): KeyRecord {
  return [kid, jwk.x, jwk.y, notAfterMs];
}

function keyOf([kid, x, y, notAfterMs]: KeyRecord): EncryptionKey {
  return { kid, jwk: { kty: 'EC', crv: 'P-256', x, y }, notAfterMs };
}

function keysOf(server: RegisteredServer, certificates: readonly Buffer[]): string[] {
  return [
    ...certificates.map((der) => hash('sha256', der, 'base64url')),
    ...[...server.encryptionKeys, ...server.subjectKeys].map(({ kid }) => kid),
  ];
}
