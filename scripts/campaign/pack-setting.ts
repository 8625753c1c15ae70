// Two real servers under a configuration that two approvers really signed, with witnesses, an aggregate log and a time-stamp
// authority whose keys the setting holds: what the tests and the campaign of evidence packs export and damage. The
// registry that does all this has tests of its own.
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '#certs/commitment.ts';
import {
  type DevelopmentTimeStampSigner,
  makeDevelopmentTimeStampSigner,
} from '#certs/development-time-stamp-signer.ts';
import { rawEd25519PublicKey, signEd25519 } from '#certs/ed25519.ts';
import { generateKeys } from '#certs/keys.ts';
import { Frontier, foldHashes, inclusionProof, leafHash, sha256Of } from '#certs/merkle.ts';
import { certificateHash } from '#certs/path.ts';
import { makeTimeStampToken } from '#certs/time-stamp-make.ts';
import type { ServerIdentity } from '#cli/dev/throw-away-authority.ts';
import { systemClock } from '#core/clock.ts';
import { hashesOf, partsOf, type RegistryState } from '#core/configuration/parts.ts';
import { anchorOf, payloadOf, planRoot, signFile } from '#core/configuration/sign.ts';
import { fileHash, verifyAnchoredRoot, verifyNextRoot } from '#core/configuration/verify.ts';
import { exportPack } from '#core/evidence/export-pack.ts';
import { sealPack } from '#core/evidence/seal.ts';
import { checkpointText, formatVerifierKey, noteVerifier, signNote } from '#core/log/signed-note.ts';
import { cosignatureLine, cosigner, formatCosignerKey } from '#core/witness/cosignature.ts';
import { anchoringText } from '#schemas/anchoring.ts';
import { base64url } from '#schemas/base64url.ts';
import type { ConfigurationAnchor } from '#schemas/configuration.ts';
import { memberOf } from '#schemas/identifiers.ts';
import type { RegisteredMember } from '#schemas/registrations.ts';
import { foldersOf } from '#security-server/data-folder.ts';
import { CLIENT, openPair, type Pair, SERVICE } from './pair.ts';

export type Which = 'consumer' | 'provider';

const AGGREGATE = 'accord-aggregate/DEV';
const HOUR_MS = 3_600_000;
const VERSION = 7;

export interface PackSetting {
  pair: Pair;
  anchor: ConfigurationAnchor;
  /** A folder with that anchor, as an auditor has one. */
  anchorFolder: string;
  /** Keys under the consumer's name that were certified and never registered. */
  stranger: ServerIdentity;
  /** The time-stamp authority, which makes lists of what it revoked. */
  stamper: DevelopmentTimeStampSigner;
  /** One answered lookup; its id. */
  ask(body?: string): Promise<string>;
  /** Another configuration is signed, under other roots: `change` says what it says otherwise than the servers know. */
  publish(change: (state: RegistryState) => unknown, issuedAtMs?: number): void;
  /** Others vouch for all of a server's log; without some of it when told so. */
  anchorLog(which: Which, without?: 'aggregate' | 'quorum' | 'token', stampedAtMs?: number): Promise<void>;
  /** The files of a pack, without and with manifest and seal. */
  files(which: Which, exchange: string, withBody?: boolean): Promise<Map<string, Buffer>>;
  seal(which: Which, files: ReadonlyMap<string, Buffer>, atMs?: number): Map<string, Buffer>;
  /** Two persons have the keys of an exchange's records destroyed. */
  destroy(which: Which, exchange: string): Promise<void>;
  /** DER of a server's signing certificate. */
  certificateOf(which: Which): Buffer;
  close(): Promise<void>;
}

interface Vouchers {
  aggregate: KeyObject;
  registry: KeyObject;
  /** Of two departments; the first has an ML-DSA-44 key beside. */
  witnesses: KeyObject[];
  postQuantum: KeyObject;
}

export interface PackSettingOptions {
  /** A responder answers about both servers, and its answers are demanded. */
  ocsp?: boolean;
  /** The root was rotated since the auditor got the anchor, with other approvers. */
  rotated?: boolean;
  /** Revocation lists about the time-stamp authority, which the configuration holds. */
  stampLists?: (stamper: DevelopmentTimeStampSigner) => Buffer[];
}

export async function openPackSetting(options: PackSettingOptions = {}): Promise<PackSetting> {
  const pair = await openPair();
  const ed25519 = () => generateKeys('Ed25519').privateKey;
  const vouchers: Vouchers = {
    ...{ aggregate: ed25519(), registry: ed25519(), witnesses: [ed25519(), ed25519()] },
    postQuantum: generateKeyPairSync('ml-dsa-44' as never).privateKey as unknown as KeyObject,
  };
  const nowMs = systemClock.nowMs();
  const stamper = await makeDevelopmentTimeStampSigner('Development time-stamp authority', nowMs - HOUR_MS);
  const signingOf = (which: Which) =>
    Buffer.from(pair.identities[which].registration.signingCertificates[0] ?? '', 'base64url');
  const list = { number: 1, thisUpdateMs: nowMs - HOUR_MS, nextUpdateMs: nowMs + 24 * HOUR_MS };
  const crl = await pair.authority.revocationList(list);
  const responder = options.ocsp === true ? await openResponder(pair) : null;
  const lists = options.stampLists?.(stamper).map(base64url);
  const state = () => {
    const made = stateOf(pair, vouchers, stamper.root, crl);
    if (lists !== undefined && made.timeStamps !== undefined) made.timeStamps.crls = lists;
    return made;
  };
  const { anchor } = publish(pair, state(), nowMs - HOUR_MS, options.rotated === true);
  for (const which of ['consumer', 'provider'] as const) {
    if (responder !== null) await pair[which].parts.certificateStatus.look();
  }
  const anchorFolder = mkdtempSync(join(tmpdir(), 'accord-anchor-'));
  const giveAnchor = () => writeFileSync(join(anchorFolder, 'anchor.json'), JSON.stringify(made.anchor));
  const stamp = (text: string, genTimeMs = systemClock.nowMs()) =>
    makeTimeStampToken(
      stamper,
      { imprint: { hash: 'sha256', digest: sha256Of(text) }, nonceHex: null, wantsCertificates: true },
      { genTimeMs, accuracyMs: 1_000, serial: randomBytes(12) },
    );
  const made: PackSetting = {
    pair,
    anchor,
    anchorFolder,
    stamper,
    publish(change, issuedAtMs = systemClock.nowMs() - HOUR_MS) {
      const changed = state();
      change(changed);
      made.anchor = publish(pair, changed, issuedAtMs, false).anchor;
      giveAnchor();
    },
    certificateOf: signingOf,
    stranger: await pair.authority.server(pair.consumer.id),
    ask: async (body = '{"a":1}') => {
      const lookup = { client: CLIENT, service: SERVICE, method: 'POST', path: '/residents/7', body };
      const answer = await fetch(`${pair.consumer.urls.loopback}/lookups`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(lookup),
      });
      const { id, code } = (await answer.json()) as { id: string; code: string };
      if (code !== 'OK') throw new TypeError(`a lookup: ${code}`);
      return id;
    },
    anchorLog: async (which, without, stampedAtMs) =>
      anchorLog(pair, which, vouchers, (text) => stamp(text, stampedAtMs), without),
    files: (which, exchange, withBody = true) => filesOf(pair, which, exchange, withBody),
    async destroy(which, exchange) {
      const { retention } = pair[which].parts;
      const person = (name: string) => {
        return { name, role: 'administrator' as const, key: sha256(name), atMs: systemClock.nowMs() };
      };
      const exchanges = [{ id: exchange, peer: null }];
      const wanted = { retention: null, throughDay: null, exchanges, legalBasis: 'a court', reason: 'its order' };
      const { id } = await retention.request(wanted, person('Ann'));
      await retention.approve(id, person('Bob'));
    },
    seal: (which, files, atMs = systemClock.nowMs()) =>
      sealPack(files, { key: pair.identities[which].keys.signing.key, certificate: signingOf(which) }, atMs),
    async close() {
      responder?.close();
      await pair.close();
      rmSync(anchorFolder, { recursive: true, force: true });
    },
  };
  giveAnchor();
  return made;
}

function filesOf(pair: Pair, which: Which, exchange: string, withBody: boolean): Promise<Map<string, Buffer>> {
  const folders = foldersOf(join(pair.folder, which));
  const inUse = { folder: folders.log, origin: pair[which].parts.log.origin };
  const storageKey = withBody ? pair.identities[which].keys.storageKey : null;
  const nowMs = systemClock.nowMs();
  return exportPack({ ...folders, server: pair[which].id, inUse }, { exchange, storageKey, nowMs });
}

/** A responder of the pair's authority, and rules that demand its answers. */
async function openResponder(pair: Pair): Promise<Server> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      response.setHeader('content-type', 'application/ocsp-response');
      response.end(pair.authority.ocsp(Buffer.concat(chunks), HOUR_MS));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = certificateHash(pair.authority.trust.intermediates[0] ?? Buffer.alloc(0));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const rules = { mode: 'require' as const, responders: [{ issuer, url }], namedInCertificate: false };
  const ocsp = { ...rules, freshnessMs: 12 * HOUR_MS, graceMs: HOUR_MS };
  pair.configuration.trust = { ...pair.authority.trust, ocsp };
  pair.configuration.changed();
  return server;
}

/** Signs what the pair's held configuration says and lays it where both servers would keep their copy. */
function publish(pair: Pair, state: RegistryState, issuedAtMs: number, isRotated: boolean) {
  const key = () => generateKeys('P-256').privateKey;
  const [rootKey, rootFiles] = [key(), [] as Buffer[]];
  const plan = {
    instance: 'DEV',
    rootKeys: [{ key: rootKey, person: 'Root' }],
    rootThreshold: 1,
    approvers: [
      { key: key(), person: 'Ann' },
      { key: key(), person: 'Bob' },
    ],
    freshness: [{ key: key(), person: 'registry' }],
    expiresAtMs: issuedAtMs + 1_000 * HOUR_MS,
  };
  const payload = planRoot(plan);
  rootFiles.push(signFile('root', payload, [rootKey]));
  const [file = Buffer.alloc(0)] = rootFiles;
  const anchor = anchorOf({ document: JSON.parse(payload.toString()), file, hash: fileHash(file) }, [
    'http://127.0.0.1:1/',
  ]);
  let root = verifyAnchoredRoot(file, anchor);
  if (isRotated) {
    const nextKey = key();
    plan.approvers = plan.approvers.map(({ person }) => ({ key: key(), person: `${person} the second` }));
    const next = planRoot({ ...plan, rootKeys: [{ key: nextKey, person: 'Root' }], previous: root });
    rootFiles.push(signFile('root', next, [rootKey, nextKey]));
    root = verifyNextRoot(rootFiles[1] ?? Buffer.alloc(0), root);
  }
  const parts = partsOf(state);
  const content = signFile(
    'content',
    payloadOf({
      v: 1,
      instance: 'DEV',
      version: VERSION,
      root: { version: root.document.version, hash: root.hash },
      previous: null,
      parts: hashesOf(parts),
      distrust: null,
      distrustLifted: [],
      issuedAtMs,
      expiresAtMs: issuedAtMs + 100 * HOUR_MS,
    }),
    plan.approvers.map((one) => one.key),
  );
  for (const which of ['consumer', 'provider'] as const) {
    const { configuration } = foldersOf(join(pair.folder, which));
    mkdirSync(join(configuration, 'parts'), { recursive: true });
    for (const [i, bytes] of rootFiles.entries()) writeFileSync(join(configuration, `root.${i + 1}.jws`), bytes);
    writeFileSync(join(configuration, `content.${VERSION}.jws`), content);
    for (const bytes of parts.values()) writeFileSync(join(configuration, 'parts', fileHash(bytes)), bytes);
  }
  Object.assign(pair.configuration, { version: VERSION, hash: fileHash(content) });
  return { anchor };
}

function stateOf(
  { configuration, authority }: Pair,
  vouchers: Vouchers,
  stampRoot: Buffer,
  crl: Buffer,
): RegistryState {
  const members = [...configuration.entries.values()].map((server): RegisteredMember => {
    const id = memberOf(server.id);
    const subsystems = [...server.subsystems];
    return {
      id,
      name: `Department ${id} "\\`,
      subsystems: subsystems.map((one) => ({ code: one.slice(id.length + 1), name: 'a system' })),
      servers: [
        {
          code: server.id.slice(id.length + 1),
          address: server.address,
          authenticationCertificates: server.authenticationCertificates.map(({ der }) => base64url(der)),
          signingCertificates: server.signingCertificates.map(({ der }) => base64url(der)),
          encryptionKeys: [...server.encryptionKeys],
          subjectKeys: [...server.subjectKeys],
          subsystems,
          log: server.log,
        },
      ],
    };
  });
  const { anchors, intermediates } = authority.trust;
  const { ocsp } = configuration.trust;
  const [first, second] = vouchers.witnesses as [KeyObject, KeyObject];
  const key = (name: string, privateKey: KeyObject) => formatCosignerKey(cosigner(name, privateKey).key);
  return {
    members,
    services: [],
    trust: {
      anchors: anchors.map(base64url),
      intermediates: intermediates.map(base64url),
      crls: [base64url(crl)],
      ...(ocsp && { ocsp }),
    },
    limits: {},
    timeStamps: {
      authorities: [{ name: 'one', url: 'http://127.0.0.1:1/', certificates: [base64url(stampRoot)] }],
      graceMs: 4 * HOUR_MS,
    },
    witnesses: {
      aggregate: {
        origin: AGGREGATE,
        verifierKey: formatVerifierKey(noteVerifier(AGGREGATE, rawEd25519PublicKey(vouchers.aggregate))),
        url: 'http://127.0.0.1:1',
      },
      registryWitness: { name: 'registry.dev', verifierKeys: [key('registry.dev', vouchers.registry)] },
      witnesses: [
        { name: 'a.dev', verifierKeys: [key('a.dev', first), key('a.dev', vouchers.postQuantum)], url: null },
        { name: 'b.dev', verifierKeys: [key('b.dev', second)], url: null },
      ],
      quorum: 2,
    },
  };
}

/** What the server's anchoring task logs once registry, witnesses and authority have answered. */
async function anchorLog(
  pair: Pair,
  which: Which,
  vouchers: Vouchers,
  stamp: (text: string) => Buffer,
  without?: 'aggregate' | 'quorum' | 'token',
): Promise<void> {
  const { log } = pair[which].parts;
  const key = pair[which].id === pair.consumer.id ? pair.identities.consumer.keys : pair.identities.provider.keys;
  const text = checkpointText({ origin: log.origin, size: log.size(), root: Buffer.from(log.root(), 'base64url') });
  const verifier = noteVerifier(log.origin, rawEd25519PublicKey(key.checkpoint));
  const signed = signNote(text, verifier, (bytes) => signEd25519(key.checkpoint, bytes));
  const nowMs = systemClock.nowMs();
  const line = (over: string, name: string, privateKey: KeyObject) =>
    cosignatureLine(over, cosigner(name, privateKey), nowMs);
  const leaves = Array.from({ length: 21 }, (_, i) => (i === 13 ? leafHash(signed) : sha256Of(`another ${i}`)));
  const frontier = new Frontier();
  for (const leaf of leaves) frontier.push(leaf);
  const above = checkpointText({ origin: AGGREGATE, size: leaves.length, root: frontier.root() });
  const aggregateVerifier = noteVerifier(AGGREGATE, rawEd25519PublicKey(vouchers.aggregate));
  const [first, second] = vouchers.witnesses as [KeyObject, KeyObject];
  const cosigned =
    signNote(above, aggregateVerifier, (bytes) => signEd25519(vouchers.aggregate, bytes)) +
    line(above, 'a.dev', first) +
    line(above, 'a.dev', vouchers.postQuantum) +
    (without === 'quorum' ? '' : line(above, 'b.dev', second));
  const subtree = (height: number, index: number) =>
    foldHashes(leaves.slice(index * 2 ** height, (index + 1) * 2 ** height));
  const path = inclusionProof(13, leaves.length, subtree).map(base64url);
  const hasAggregate = without !== 'aggregate';
  const token = { over: hasAggregate ? ('aggregate' as const) : ('checkpoint' as const) };
  const note = anchoringText({
    v: 1,
    checkpoint: signed + line(text, 'registry.dev', vouchers.registry),
    aggregate: hasAggregate ? { checkpoint: cosigned, index: 13, path } : null,
    tokens: without === 'token' ? [] : [{ ...token, token: base64url(stamp(hasAggregate ? above : text)) }],
  });
  await log.append({
    kind: 'anchored',
    id: 'anchored',
    ...{ peer: null, client: null, service: null, purpose: null, basis: null, code: null, decisionHash: null },
    configurationVersion: VERSION,
    retention: 'standard',
    evidence: null,
    sealed: null,
    note,
  });
}
