// Admin API: trust, limits, API keys, the audit trail, and the publishing of the configuration: drafts, approvers'
// signatures, roots and distrust lists. Signed files are uploaded as base64url of their exact bytes.
import { Type } from '@sinclair/typebox';
import { readCertificate } from '#certs/x509-read.ts';
import { fileHash, type VerifiedDistrust, type VerifiedRoot } from '#core/configuration/verify.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { AccordError } from '#schemas/problems.ts';
import { Sha256 } from '#schemas/registrations.ts';
import { type AdminFrame, idFrom, newApiKey, PageQuery, pageOf, type RegistryContext } from './admin-frame.ts';

const closed = { additionalProperties: false };
const Base64url = Type.String({ pattern: '^[A-Za-z0-9_-]+$', maxLength: 900_000 });
const SignedFileBody = Type.Object({ file: Base64url }, closed);
const Trust = Type.Object(
  {
    kind: Type.Union([Type.Literal('anchor'), Type.Literal('intermediate'), Type.Literal('crl')]),
    der: Base64url,
  },
  closed,
);
const Limit = Type.Object(
  { name: Type.Literal('maxStaleMs'), value: Type.Integer({ minimum: 600_000, maximum: 7 * 86_400_000 }) },
  closed,
);
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

export function addTrustRoutes(frame: AdminFrame, { store }: RegistryContext): void {
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
    summary: 'Add a trust anchor, an intermediate or a revocation list',
    permission: 'govern',
    body: Trust,
    change({ body }) {
      const der = fromBase64url(body.der);
      if (body.kind !== 'crl') readCertificate(der);
      store.putTrust(fileHash(der), body.kind, body.der);
      return { status: 201, body: { hash: fileHash(der), kind: body.kind }, target: fileHash(der) };
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
      if (!store.removeTrust(hash)) throw new AccordError('REGISTRATION_UNKNOWN', hash);
      return { status: 200, body: { removed: hash }, target: hash };
    },
  });
  frame.change({
    method: 'POST',
    url: '/limits',
    summary: 'Set a limit of the instance',
    permission: 'govern',
    body: Limit,
    change({ body }) {
      store.setLimit(body.name, body.value);
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
    read: () => ({ items: store.apiKeys().map(({ secretHash: _, ...row }) => row) }),
  });
  frame.change({
    method: 'POST',
    url: '/api-keys',
    summary: 'Make an API key; it is shown once',
    permission: 'govern',
    body: NewApiKey,
    change({ body }) {
      const { id, text, secretHash } = newApiKey();
      store.addApiKey({ id, ...body, secretHash, createdAtMs: clock.nowMs(), revokedAtMs: null });
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
      if (!store.revokeApiKey(id, clock.nowMs())) throw new AccordError('REGISTRATION_UNKNOWN', id);
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
      const items = store.audit(Number(after), limit);
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
        distrust: publisher.distrust?.document.version ?? 0,
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
  frame.change({
    method: 'POST',
    url: '/configuration/distrust',
    summary: 'Publish a grown distrust list that an approver signed',
    permission: 'publish',
    body: SignedFileBody,
    change({ body }) {
      const distrust: VerifiedDistrust = publisher.addDistrust(fromBase64url(body.file));
      const { version, entries } = distrust.document;
      const after = () => publisher.accept({ distrust });
      return { status: 201, body: { version, entries: entries.length }, target: `distrust ${version}`, after };
    },
  });
}
