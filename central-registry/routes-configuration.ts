// Admin API: trust, limits, API keys, the audit trail, and the publishing of the configuration: drafts, approvers'
// signatures, roots and distrust lists. Signed files are uploaded as base64url of their exact bytes.

import type { VerifiedRoot } from '#core/configuration/verify.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { LimitsPart } from '#schemas/configuration.ts';
import { MAX_DISTRUST_STATEMENT_BYTES } from '#schemas/limits.ts';
import { AccordError } from '#schemas/problems.ts';
import { Sha256 } from '#schemas/registrations.ts';
import { Type } from '#schemas/schema-builder.ts';
import { type AdminFrame, idFrom, newApiKey, PageQuery, pageOf, type RegistryContext } from './admin-frame.ts';
import { addTrust, removeTrust } from './trust-rules.ts';

const closed = { additionalProperties: false };
const Base64url = Type.String({ pattern: '^[A-Za-z0-9_-]+$', maxLength: 900_000 });
const DistrustBody = Type.Object(
  { statement: Type.String({ pattern: '^[A-Za-z0-9_.-]+$', maxLength: MAX_DISTRUST_STATEMENT_BYTES }) },
  closed,
);
const SignedFileBody = Type.Object({ file: Base64url }, closed);
const Trust = Type.Object(
  {
    kind: Type.Union([Type.Literal('anchor'), Type.Literal('intermediate'), Type.Literal('crl')]),
    der: Base64url,
  },
  closed,
);
const limitOf = <Name extends keyof LimitsPart>(name: Name) =>
  Type.Object({ name: Type.Literal(name), value: LimitsPart.properties[name] }, closed);
const Limit = Type.Union([
  limitOf('maxStaleMs'),
  limitOf('distrustPerApprover'),
  limitOf('utcOffsetMinutes'),
  limitOf('emergencyReviewMinutes'),
]);
const LIMITS = [
  'maxStaleMs',
  'distrustPerApprover',
  'utcOffsetMinutes',
  'emergencyReviewMinutes',
] as const satisfies (keyof LimitsPart)[];
const NewApiKey = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 200 }),
    role: Type.Union([
      Type.Literal('registry-admin'),
      Type.Literal('registration-officer'),
      Type.Literal('publisher'),
      Type.Literal('auditor'),
    ]),
  },
  closed,
);
const Signature = Type.Object(
  {
    kid: Sha256,
    protected: Type.String({ pattern: '^[A-Za-z0-9_-]+$', maxLength: 1000 }),
    signature: Type.String({ pattern: '^[A-Za-z0-9_-]+$', maxLength: 1000 }),
  },
  closed,
);
const VersionPath = Type.Object({ version: Type.String({ pattern: '^[1-9][0-9]{0,14}$' }) }, closed);
const HashPath = Type.Object({ hash: Sha256 }, closed);
const KeyPath = Type.Object({ id: Type.String({ pattern: '^[0-9a-f]{18}$' }) }, closed);

export function addTrustRoutes(frame: AdminFrame, { store, clock }: RegistryContext): void {
  frame.read({
    method: 'GET',
    url: '/trust',
    summary: 'Trust anchors, intermediates and revocation lists (DER, base64url)',
    permission: 'read',
    read: () => store.trust(),
  });
  frame.change({
    method: 'POST',
    url: '/trust',
    summary: 'Add a trust anchor, an intermediate, or a revocation list, which replaces an older one of its authority',
    permission: 'govern',
    body: Trust,
    change({ body }) {
      const hash = addTrust(store, body.kind, body.der, clock.nowMs());
      return { status: 201, body: { hash, kind: body.kind }, target: hash };
    },
  });
  frame.change({
    method: 'DELETE',
    url: '/trust/:hash',
    summary: 'Remove a trust anchor, an intermediate or a revocation list',
    permission: 'govern',
    params: HashPath,
    change(request) {
      const hash = idFrom(request);
      removeTrust(store, hash);
      return { status: 200, body: { removed: hash }, target: hash };
    },
  });
  frame.read({
    method: 'GET',
    url: '/limits',
    summary: 'Limits of the instance; null where none was set',
    permission: 'read',
    read: () => ({ items: LIMITS.map((name) => ({ name, value: store.limits()[name] ?? null })) }),
  });
  frame.change({
    method: 'POST',
    url: '/limits',
    summary: 'Set a limit of the instance',
    permission: 'govern',
    body: Limit,
    change({ body }) {
      store.setLimit(body.name, body.value as number);
      return { status: 200, body, target: body.name };
    },
  });
}

export function addApiKeyRoutes(frame: AdminFrame, { store, clock }: RegistryContext): void {
  frame.read({
    method: 'GET',
    url: '/api-keys',
    summary: 'API keys without their secrets',
    permission: 'audit',
    read: () => ({ items: store.administration.apiKeys().map(({ secretHash: _, ...row }) => row) }),
  });
  frame.change({
    method: 'POST',
    url: '/api-keys',
    summary: 'Make an API key; it is shown once',
    permission: 'govern',
    body: NewApiKey,
    change({ body }) {
      const { id, text, secretHash } = newApiKey();
      store.administration.addApiKey({ id, ...body, secretHash, createdAtMs: clock.nowMs(), revokedAtMs: null });
      // A repeated request gets no second sight of the secret: its answer is kept without it.
      return { status: 201, body: { id, ...body, apiKey: text }, kept: { id, ...body }, target: id };
    },
  });
  frame.change({
    method: 'DELETE',
    url: '/api-keys/:id',
    summary: 'Revoke an API key',
    permission: 'govern',
    params: KeyPath,
    change(request) {
      const id = idFrom(request);
      if (!store.administration.revokeApiKey(id, clock.nowMs())) throw new AccordError('REGISTRATION_UNKNOWN', id);
      return { status: 200, body: { revoked: id }, target: id };
    },
  });
  frame.read({
    method: 'GET',
    url: '/audit',
    summary: 'Actions of administrators, in order',
    permission: 'audit',
    query: PageQuery,
    read(request) {
      const { after, limit } = pageOf(request);
      if (!/^\d{0,15}$/.test(after)) throw new AccordError('SCHEMA_MISMATCH', 'querystring/after: a number');
      const items = store.administration.audit(Number(after), limit);
      return { items, next: items.length === limit ? String(items.at(-1)?.seq) : null };
    },
  });
}

function versionOf(request: Parameters<typeof idFrom>[0]): number {
  return Number(idFrom(request));
}

export function addDraftRoutes(frame: AdminFrame, { store, publisher, instance }: RegistryContext): void {
  frame.read({
    method: 'GET',
    url: '/configuration',
    summary: 'What is published, and the newest draft',
    permission: 'read',
    read() {
      const content = store.newestPublished('content');
      const newest = store.newestDraft();
      return {
        instance,
        root: { version: publisher.root.document.version, hash: publisher.root.hash },
        content: content ? { version: content.version, hash: content.hash } : null,
        distrust: publisher.distrust?.version ?? 0,
        draft: newest === 0 ? null : publisher.draft(newest),
      };
    },
  });
  frame.change({
    method: 'POST',
    url: '/configuration/drafts',
    summary: 'Make a draft of the next content from what is registered',
    permission: 'publish',
    change(request) {
      const caller = /accord_([0-9a-f]{18})/.exec(request.headers.authorization ?? '')?.[1] ?? '';
      const draft = publisher.makeDraft(caller);
      return { status: 201, body: draft, target: `content ${draft.version}` };
    },
  });
  frame.read({
    method: 'GET',
    url: '/configuration/drafts/:version',
    summary: 'One draft: the payload that approvers sign, and who signed',
    permission: 'read',
    params: VersionPath,
    read: (request) => publisher.draft(versionOf(request)),
  });
  frame.read({
    method: 'GET',
    url: '/configuration/parts/:hash',
    summary: 'One part that a draft names (base64url)',
    permission: 'read',
    params: HashPath,
    read(request) {
      const bytes = store.part(idFrom(request));
      if (!bytes) throw new AccordError('NOT_FOUND');
      return { part: bytes.toString('base64url') };
    },
  });
}

export function addPublishingRoutes(frame: AdminFrame, { publisher }: RegistryContext): void {
  frame.change({
    method: 'POST',
    url: '/configuration/drafts/:version/signatures',
    summary: "Give one approver's signature; with enough of them the content is published",
    permission: 'publish',
    params: VersionPath,
    body: Signature,
    change(request) {
      const draft = publisher.sign(versionOf(request), request.body);
      return { status: 201, body: draft, target: `content ${draft.version}`, after: () => publisher.accept({}) };
    },
  });
  frame.change({
    method: 'POST',
    url: '/configuration/drafts/:version/publish',
    summary: 'Publish an approved draft, or write its files again',
    permission: 'publish',
    params: VersionPath,
    change(request) {
      publisher.publish(versionOf(request), true);
      const draft = publisher.draft(versionOf(request));
      return { status: 200, body: draft, target: `content ${draft.version}`, after: () => publisher.accept({}) };
    },
  });
  frame.change({
    method: 'POST',
    url: '/configuration/roots',
    summary: 'Publish the next root, signed under the thresholds of the old and the new one',
    permission: 'govern',
    body: SignedFileBody,
    change({ body }) {
      const root: VerifiedRoot = publisher.addRoot(fromBase64url(body.file));
      const { version } = root.document;
      return {
        status: 201,
        body: { version, hash: root.hash },
        target: `root ${version}`,
        after: () => publisher.accept({ root }),
      };
    },
  });
}

export function addDistrustRoutes(frame: AdminFrame, { store, publisher }: RegistryContext): void {
  frame.read({
    method: 'GET',
    url: '/configuration/distrust',
    summary: 'Statements of distrust, and whether they count',
    permission: 'read',
    read() {
      const lifted = new Map(store.distrust().map((row) => [row.hash, row.lifted]));
      const items = publisher.distrustStates().map(({ entry, counts }) => {
        const { key: _, ...statement } = entry.statement;
        const by = entry.ownKey === null ? 'approver' : 'owner';
        return { hash: entry.hash, ...statement, by, kid: entry.by, counts, liftedInNextDraft: lifted.get(entry.hash) };
      });
      return { version: items.length, items };
    },
  });
  frame.change({
    method: 'POST',
    url: '/configuration/distrust',
    summary: 'Hand in a statement of distrust that an approver, or the owner of the key, signed; it counts at once',
    permission: 'distrust',
    body: DistrustBody,
    change({ body }) {
      const distrust = publisher.addDistrust(body.statement);
      const { version } = distrust;
      const hash = distrust.entries.at(-1)?.hash;
      const after = () => publisher.accept({ distrust });
      return { status: 201, body: { version, hash, entries: version }, target: `distrust ${version}`, after };
    },
  });
  for (const lifted of [true, false]) {
    frame.change({
      method: lifted ? 'POST' : 'DELETE',
      url: '/configuration/distrust/:hash/lifted',
      summary: lifted ? 'Let the next draft lift a statement of distrust' : 'Let the next draft not lift it',
      permission: 'publish',
      params: HashPath,
      change(request) {
        const { hash } = request.params as { hash: string };
        if (!store.setDistrustLifted(hash, lifted)) throw new AccordError('REGISTRATION_UNKNOWN', hash);
        return { status: 200, body: { hash, liftedInNextDraft: lifted }, target: hash };
      },
    });
  }
}
