// Admin API: members, subsystems and security servers. The rules stand in registration-rules.ts; here stands
// the order of things: what must exist before, what must be gone before.
import {
  MEMBER_ID_PATTERN,
  type MemberId,
  memberId,
  memberOf,
  SEGMENT_PATTERN,
  type ServerId,
  SUBSYSTEM_ID_PATTERN,
  serverId,
  subsystemId,
} from '#schemas/identifiers.ts';
import { AccordError } from '#schemas/problems.ts';
import { RegisteredMember, RegisteredServer } from '#schemas/registrations.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import { type AdminFrame, idFrom, PageQuery, pageOf, type RegistryContext } from './admin-frame.ts';
import { judgeBareKey, judgeCertificate, registerKeys } from './registration-rules.ts';
import type { RegisteredKey, RegistryStore } from './store-sqlite.ts';

const closed = { additionalProperties: false };
const segment = Type.String({ pattern: `^${SEGMENT_PATTERN}$` });
const path = <Names extends string>(...names: Names[]) =>
  Type.Object(Object.fromEntries(names.map((name) => [name, segment])), closed);
const MemberPath = path('instance', 'class', 'member');
const CodePath = path('instance', 'class', 'member', 'code');
const MEMBER_URL = '/members/:instance/:class/:member';
const SERVER_URL = '/servers/:instance/:class/:member/:code';

const NewMember = Type.Object(
  { id: Type.String({ pattern: MEMBER_ID_PATTERN }), name: RegisteredMember.properties.name },
  closed,
);
const NewSubsystem = Type.Object(
  { id: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }), name: RegisteredMember.properties.name },
  closed,
);
const { code: _, ...serverFacts } = RegisteredServer.properties;
const NewServer = Type.Object({ id: Type.String({ pattern: SUBSYSTEM_ID_PATTERN }), ...serverFacts }, closed);
const ServerRenewal = Type.Object(
  {
    address: Type.Optional(serverFacts.address),
    subsystems: Type.Optional(serverFacts.subsystems),
    authenticationCertificates: Type.Optional(serverFacts.authenticationCertificates),
    signingCertificates: Type.Optional(serverFacts.signingCertificates),
    encryptionKeys: Type.Optional(serverFacts.encryptionKeys),
    subjectKeys: Type.Optional(serverFacts.subjectKeys),
    /** After a new origin or another checkpoint key of the message log. */
    log: Type.Optional(serverFacts.log),
    /** Announces maintenance of the server; null ends it. */
    maintenance: serverFacts.maintenance,
    /** Hashes of certificates and kids of encryption and subject keys that end. */
    remove: Type.Optional(Type.Array(Type.String({ maxLength: 43 }), { maxItems: 16 })),
  },
  closed,
);
const NewClass = Type.Object({ code: segment, title: RegisteredMember.properties.name }, closed);

export function addRegistrationRoutes(frame: AdminFrame, context: RegistryContext): void {
  addMemberRoutes(frame, context);
  addSubsystemRoutes(frame, context);
  addServerRoutes(frame, context);
}

function addMemberRoutes(frame: AdminFrame, { store, instance }: RegistryContext): void {
  frame.read({
    method: 'GET',
    url: '/classes',
    summary: 'Member classes',
    permission: 'read',
    read: () => ({ items: store.classes() }),
  });
  frame.change({
    method: 'POST',
    url: '/classes',
    summary: 'Add or rename a member class',
    permission: 'govern',
    body: NewClass,
    change({ body }) {
      store.putClass(body.code, body.title);
      return { status: 201, body, target: body.code };
    },
  });
  frame.read({
    method: 'GET',
    url: '/members',
    summary: 'Members with their subsystems and security servers, ascending by id',
    permission: 'read',
    query: PageQuery,
    read(request) {
      const { after, limit } = pageOf(request);
      const items = store.members(after, limit);
      return { items, next: items.length === limit ? (items.at(-1)?.id ?? null) : null };
    },
  });
  frame.read({
    method: 'GET',
    url: MEMBER_URL,
    summary: 'One member',
    permission: 'read',
    params: MemberPath,
    read: (request) => requireMember(store, idFrom(request)),
  });
  frame.change({
    method: 'POST',
    url: '/members',
    summary: 'Register a member',
    permission: 'register',
    body: NewMember,
    change({ body }) {
      const id = inInstance(memberId(body.id), instance);
      const memberClass = id.split('/')[1] ?? '';
      if (!store.classes().some(({ code }) => code === memberClass)) {
        throw new AccordError('REGISTRATION_UNKNOWN', `class ${memberClass}`);
      }
      if (store.member(id)) throw new AccordError('REGISTRATION_EXISTS', id);
      store.addMember(id, memberClass, body.name);
      return { status: 201, body: store.member(id), target: id };
    },
  });
  frame.change({
    method: 'DELETE',
    url: MEMBER_URL,
    summary: 'Remove a member that has no subsystems and servers',
    permission: 'register',
    params: MemberPath,
    change(request) {
      const member = requireMember(store, idFrom(request));
      const needed = member.subsystems[0]?.code ?? member.servers[0]?.code;
      if (needed !== undefined) throw new AccordError('REGISTRATION_IN_USE', `${member.id}/${needed}`);
      store.removeMember(member.id);
      return { status: 200, body: { removed: member.id }, target: member.id };
    },
  });
}

function addSubsystemRoutes(frame: AdminFrame, { store }: RegistryContext): void {
  frame.change({
    method: 'POST',
    url: '/subsystems',
    summary: 'Register a subsystem of a member',
    permission: 'register',
    body: NewSubsystem,
    change({ body }) {
      const id = subsystemId(body.id);
      const member = requireMember(store, memberOf(id));
      if (store.hasSubsystem(id)) throw new AccordError('REGISTRATION_EXISTS', id);
      requireRoom(member.subsystems, RegisteredMember.properties.subsystems.maxItems);
      store.addSubsystem(id, member.id, codeOf(id), body.name);
      return { status: 201, body: { id, name: body.name }, target: id };
    },
  });
  frame.change({
    method: 'DELETE',
    url: '/subsystems/:instance/:class/:member/:code',
    summary:
      'Remove a subsystem that has no services, is in no global group, no consent service and has no officials with keys',
    permission: 'register',
    params: CodePath,
    change(request) {
      const id = subsystemId(idFrom(request));
      if (!store.hasSubsystem(id)) throw new AccordError('REGISTRATION_UNKNOWN', id);
      if (store.hasServicesOf(id)) throw new AccordError('REGISTRATION_IN_USE', `services of ${id}`);
      if (store.consent.consentServices().some(({ subsystem }) => subsystem === id)) {
        throw new AccordError('REGISTRATION_IN_USE', `the consent service ${id}`);
      }
      if (store.officials.isRegistered(id)) throw new AccordError('REGISTRATION_IN_USE', `keys of officials of ${id}`);
      const group = store.groups.groupOf(id);
      if (group !== undefined) throw new AccordError('REGISTRATION_IN_USE', `the global group ${group}`);
      store.removeSubsystem(id);
      return { status: 200, body: { removed: id }, target: id };
    },
  });
}

function requireMember(store: RegistryStore, id: MemberId): RegisteredMember {
  const member = store.member(memberId(id));
  if (!member) throw new AccordError('REGISTRATION_UNKNOWN', id);
  return member;
}

/** @throws REGISTRATION_CERTIFICATE_REFUSED, REGISTRATION_KEY_REFUSED and as the rules say */
function judgedKeys(
  { store, clock, publisher }: RegistryContext,
  id: ServerId,
  keys: Static<typeof ServerRenewal>,
): RegisteredKey[] {
  const [nowMs, trust] = [clock.nowMs(), store.trust()];
  const found = [
    ...(keys.authenticationCertificates ?? []).map((der) => judgeCertificate(der, 'authentication', id, trust, nowMs)),
    ...(keys.signingCertificates ?? []).map((der) => judgeCertificate(der, 'signing', id, trust, nowMs)),
    ...(keys.encryptionKeys ?? []).map((key) => judgeBareKey(key, 'encryption', id, nowMs)),
    ...(keys.subjectKeys ?? []).map((key) => judgeBareKey(key, 'subject', id, nowMs)),
  ];
  const listed = found.find(({ hash, keyHash }) => publisher.isListed(hash) || publisher.isListed(keyHash));
  if (listed) throw new AccordError('REGISTRATION_KEY_REFUSED', `${listed.use}: the key is on the distrust list`);
  const official = found.find(({ hash, keyHash }) => store.officials.holderOf(hash, keyHash) !== undefined);
  if (official) throw new AccordError('REGISTRATION_KEY_REFUSED', `${official.use}: officials have or had this key`);
  return found;
}

function addServerRoutes(frame: AdminFrame, context: RegistryContext): void {
  const { store } = context;
  const speakFor = (id: ServerId, subsystems: readonly string[]) => {
    for (const each of subsystems) {
      if (!store.hasSubsystem(subsystemId(each))) throw new AccordError('REGISTRATION_UNKNOWN', each);
    }
    store.setServerSubsystems(id, [...new Set(subsystems)]);
  };
  frame.read({
    method: 'GET',
    url: SERVER_URL,
    summary: 'One security server',
    permission: 'read',
    params: CodePath,
    read: (request) => requireServer(idFrom(request)),
  });
  frame.change({
    method: 'POST',
    url: '/servers',
    summary: 'Register a security server with its certificates, encryption keys, message log and subsystems',
    permission: 'register',
    body: NewServer,
    change({ body }) {
      const id = serverId(body.id);
      if (!store.member(memberOf(id))) throw new AccordError('REGISTRATION_UNKNOWN', memberOf(id));
      if (store.hasServer(id)) throw new AccordError('REGISTRATION_EXISTS', id);
      requireRoom(store.member(memberOf(id))?.servers, RegisteredMember.properties.servers.maxItems);
      requireOwnLog(store, id, body.log);
      const keys = judgedKeys(context, id, body);
      store.addServer(id, memberOf(id), { code: codeOf(id), address: body.address, log: body.log });
      registerKeys(store, keys);
      speakFor(id, body.subsystems);
      if (body.maintenance) store.setServerMaintenance(id, body.maintenance);
      return { status: 201, body: store.server(id), target: id };
    },
  });
  frame.change({
    method: 'POST',
    url: `${SERVER_URL}/renewals`,
    summary:
      'Add or end certificates and keys of a security server, move it, change its subsystems, announce maintenance',
    permission: 'register',
    params: CodePath,
    body: ServerRenewal,
    change(request) {
      const { id } = requireServer(idFrom(request));
      const { address, subsystems, log, maintenance, remove = [] } = request.body;
      for (const hash of remove) {
        if (!store.removeKey(id, hash)) throw new AccordError('REGISTRATION_UNKNOWN', hash);
      }
      registerKeys(store, judgedKeys(context, id, request.body));
      if (address !== undefined) store.setServerAddress(id, address);
      if (maintenance !== undefined) store.setServerMaintenance(id, maintenance);
      if (log) {
        requireOwnLog(store, id, log);
        store.setServerLog(id, log.origin, log.key);
      }
      if (subsystems) speakFor(id, subsystems);
      return { status: 200, body: store.server(id), target: id };
    },
  });
  frame.change({
    method: 'DELETE',
    url: SERVER_URL,
    summary: 'Remove a security server',
    permission: 'register',
    params: CodePath,
    change(request) {
      const { id } = requireServer(idFrom(request));
      store.removeServer(id);
      return { status: 200, body: { removed: id }, target: id };
    },
  });

  function requireServer(id: string) {
    const server = store.server(serverId(id));
    if (!server) throw new AccordError('REGISTRATION_UNKNOWN', id);
    return server;
  }
}

/** Two servers never share a log: its checkpoints would say that one of them forked. @throws REGISTRATION_KEY_REFUSED */
function requireOwnLog(store: RegistryStore, id: ServerId, log: { origin: string; key: string }): void {
  const owner = store.logOwner(log.origin, log.key, id);
  if (owner !== undefined) throw new AccordError('REGISTRATION_KEY_REFUSED', `the message log is that of ${owner}`);
}

/** One more than the part's schema allows would make the next draft impossible for everybody. @throws REGISTRATION_LIMIT */
function requireRoom(list: readonly unknown[] | undefined, most: number | undefined): void {
  if (list && most !== undefined && list.length >= most) throw new AccordError('REGISTRATION_LIMIT', `${most}`);
}

function inInstance(id: MemberId, instance: string): MemberId {
  if (!id.startsWith(`${instance}/`)) throw new AccordError('IDENTIFIER_INVALID', `this registry is for ${instance}`);
  return id;
}

function codeOf(id: string): string {
  return id.slice(id.lastIndexOf('/') + 1);
}
