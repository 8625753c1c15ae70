// A global configuration of many members, really signed, for measurements and tests: two security servers, three subsystems
// and two services each. Certificates are issued once for a few servers and told apart by their serial numbers, so that
// thousands of members are made in a second: they read as any other, though their issuer never signed those numbers.
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { generateKeys } from '#certs/keys.ts';
import { openThrowAwayAuthority, type ThrowAwayAuthority } from '#cli/dev/throw-away-authority.ts';
import type { Clock } from '#core/clock.ts';
import { hashesOf, partsOf, type RegistryState } from '#core/configuration/parts.ts';
import { anchorOf, payloadOf, planRoot, signFile, signFreshness } from '#core/configuration/sign.ts';
import { fileHash, verifyAnchoredRoot } from '#core/configuration/verify.ts';
import { base64url } from '#schemas/base64url.ts';
import type { ConfigurationAnchor } from '#schemas/configuration.ts';
import type { RegisteredMember, RegisteredServer, RegisteredService } from '#schemas/registrations.ts';

export const MADE_INSTANCE = 'GX';
const ISSUED = 8;
const HOUR_MS = 3_600_000;
/** Of a certificate as our authority makes it: header, header of what is signed, version, tag and length of the number. */
const SERIAL_AT = 4 + 4 + 5 + 2;
const SUBSYSTEMS = ['registry', 'permits', 'archive'] as const;

export interface MadeConfiguration {
  anchor: ConfigurationAnchor;
  /** Where it is served; who asks for `next` there gets the next content published first. */
  url: string;
  authority: ThrowAwayAuthority;
  members: RegisteredMember[];
  /** Signs and serves the next content of what `members` says now; returns its version. */
  publish(): number;
  /** Bytes of the parts that are published. */
  partBytes(): number;
  /** How often files were asked for since they were counted last, by path. */
  asked(): Map<string, number>;
  close(): Promise<void>;
}

/** @param more what else the parts say */
export async function makeConfiguration(
  count: number,
  clock: Clock,
  more: Partial<RegistryState> = {},
): Promise<MadeConfiguration> {
  const authority = await openThrowAwayAuthority(clock);
  const issued = await Promise.all(
    Array.from({ length: ISSUED }, async (_, at) => (await authority.server(`GX/GOV/0/ss${at}`)).registration),
  );
  const key = () => generateKeys('P-256').privateKey;
  const [rootKey, first, second, online] = [key(), key(), key(), key()] as const;
  const payload = planRoot({
    instance: MADE_INSTANCE,
    rootKeys: [{ key: rootKey, person: 'root holder' }],
    rootThreshold: 1,
    approvers: [
      { key: first, person: 'first approver' },
      { key: second, person: 'second approver' },
    ],
    freshness: [{ key: online, person: 'registry' }],
    expiresAtMs: clock.nowMs() + 365 * 24 * HOUR_MS,
  });
  const files = new Map<string, Buffer>([['root.1.jws', signFile('root', payload, [rootKey])]]);
  const asked = new Map<string, number>();
  const { server, url } = await serve(files, asked, () => publishNext());
  const rootFile = files.get('root.1.jws') ?? Buffer.alloc(0);
  const named = { document: JSON.parse(payload.toString()), file: rootFile, hash: fileHash(rootFile) };
  const anchor = anchorOf(named, [url]);
  const root = verifyAnchoredRoot(rootFile, anchor);
  const members = Array.from({ length: count }, (_, at) => madeMember(at, issued));
  const services = members.flatMap(({ id }) => madeServices(id));
  const trust = {
    anchors: authority.trust.anchors.map(base64url),
    intermediates: authority.trust.intermediates.map(base64url),
    crls: [],
  };
  let previous: { version: number; hash: string } | null = null;
  let parts: ReadonlyMap<string, Buffer> = new Map();
  const made: MadeConfiguration = {
    ...{ anchor, url, authority, members },
    publish() {
      parts = partsOf({ members, services, trust, limits: {}, ...more });
      for (const bytes of parts.values()) files.set(`parts/${fileHash(bytes)}`, bytes);
      const version: number = (previous?.version ?? 0) + 1;
      const cited = { version: 1, hash: root.hash };
      const nowMs = clock.nowMs();
      const content = payloadOf({
        ...{ v: 1, instance: MADE_INSTANCE, version, root: cited, previous, parts: hashesOf(parts) },
        ...{ distrust: null, distrustLifted: [], issuedAtMs: nowMs, expiresAtMs: nowMs + 7 * 24 * HOUR_MS },
      });
      const file = signFile('content', content, [first, second]);
      files.set(`content.${version}.jws`, file);
      previous = { version, hash: fileHash(file) };
      const fresh = { instance: MADE_INSTANCE, root: cited, content: previous, distrust: null, signedAtMs: nowMs };
      files.set('freshness.jws', signFreshness(fresh, online));
      return version;
    },
    partBytes: () => [...parts.values()].reduce((sum, { length }) => sum + length, 0),
    asked() {
      const counted = new Map(asked);
      asked.clear();
      return counted;
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
  // One member has another name than before.
  const publishNext = () => {
    const at = ((previous?.version ?? 0) * 7_919) % count;
    const member = members[at];
    if (member) members[at] = { ...member, name: `${member.name}, renamed in ${previous?.version ?? 0}` };
    made.publish();
  };
  return made;
}

function madeMember(at: number, issued: readonly ThrowAwayRegistration[]): RegisteredMember {
  const id = `${MADE_INSTANCE}/GOV/${10_000 + at}`;
  const subsystems = SUBSYSTEMS.map((code) => ({ code, name: `${code} of department ${at}` }));
  const servers = ['ss1', 'ss2'].map((code, turn): RegisteredServer => {
    const from = issued[(2 * at + turn) % issued.length];
    if (from === undefined) throw new TypeError('no certificate was issued');
    const number = (2 * at + turn) * 4;
    return {
      code,
      address: `https://${code}.department-${at}.gov.example:5500`,
      authenticationCertificates: from.authenticationCertificates.map((der) => numbered(der, number)),
      signingCertificates: from.signingCertificates.map((der) => numbered(der, number + 1)),
      encryptionKeys: from.encryptionKeys.map((key) => ({ ...key, kid: madeHash(`encryption ${number}`) })),
      subjectKeys: from.subjectKeys.map((key) => ({ ...key, kid: madeHash(`subject ${number}`) })),
      subsystems: subsystems.map((one) => `${id}/${one.code}`),
      log: { origin: `accord/${id}/${code}`, key: madeHash(`log ${number}`) },
    };
  });
  return { id, name: `Department ${at}`, subsystems, servers };
}

type ThrowAwayRegistration = Awaited<ReturnType<ThrowAwayAuthority['server']>>['registration'];

function madeServices(member: string): RegisteredService[] {
  return ['look-up', 'search'].map((code) => ({
    ...{ id: `${member}/registry/${code}`, title: `${code} of ${member}`, type: 'REST' as const },
    ...{ descriptionHash: null, bindingHash: null, personalData: false, safe: true },
  }));
}

/** The certificate (base64url) with another serial number. */
function numbered(text: string, number: number): string {
  const der = Buffer.from(text, 'base64url');
  der.writeUInt32BE(number, SERIAL_AT + 2);
  return base64url(der);
}

function madeHash(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

async function serve(files: ReadonlyMap<string, Buffer>, asked: Map<string, number>, publishNext: () => void) {
  const server: Server = createServer((request, response) => {
    const path = (request.url ?? '').slice(1);
    if (path === 'next') {
      publishNext();
      response.writeHead(204).end();
      return;
    }
    const bytes = files.get(path);
    asked.set(path, (asked.get(path) ?? 0) + 1);
    const etag = bytes && `"${fileHash(bytes)}"`;
    if (bytes === undefined || etag === undefined) response.writeHead(404).end();
    else if (request.headers['if-none-match'] === etag) response.writeHead(304).end();
    else response.writeHead(200, { etag, 'content-length': bytes.length }).end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}
