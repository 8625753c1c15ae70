// The configuration in an evidence pack: the chain of roots to the auditor's own anchor, contents signed by two approvers of
// the root they cite, and the parts that were approved with them. From here on the pack has keys that it did not bring
// itself. Whoever made the pack controls every file until its signatures or its hash were checked.
import { plainTimeStampToken, verifyTimeStampToken } from '#certs/time-stamp.ts';
import { partShardOf, readPart } from '#core/configuration/parts.ts';
import type { ServerEntry } from '#core/configuration/snapshot.ts';
import {
  fileHash,
  type VerifiedContent,
  type VerifiedRoot,
  verifyAnchoredRoot,
  verifyNextRoot,
  verifyStoredContent,
} from '#core/configuration/verify.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import type { ConfigurationAnchor, TrustPart, WitnessesPart } from '#schemas/configuration.ts';
import { memberOf } from '#schemas/identifiers.ts';
import { AccordError, isAccordError } from '#schemas/problems.ts';
import { type PackCode, PackFinding, PackGap } from './finding.ts';
import type { PackHead } from './layout.ts';

/** One version of the configuration, as far as evidence needs it. */
export interface PackConfiguration {
  content: VerifiedContent;
  trust: TrustPart;
  witnesses: WitnessesPart | null;
  /** Certificates of the time-stamp authorities, and lists about them, DER; null where none are named. */
  stamps: { certificates: Buffer[]; crls: Buffer[] } | null;
  server(id: string): ServerEntry | undefined;
}

/** Runs what throws coded errors as one check. */
export function checked<T>(code: PackCode, what: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!isAccordError(error)) throw error;
    throw new PackFinding(code, `${what}: ${error.code}`);
  }
}

/** The verified roots, ascending from the anchored one. @throws PackFinding, PackGap */
export function checkRoots(files: ReadonlyMap<string, Buffer>, anchor: ConfigurationAnchor): VerifiedRoot[] {
  const versions = [...files.keys()]
    .flatMap((name) => /^configuration\/root\.(\d+)\.jws$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
  const isChain = versions.every((version, at) => version === (versions[0] ?? 0) + at);
  if (!isChain) throw new PackFinding('ROOT_NOT_ANCHORED', 'a root of the chain is missing');
  if (!versions.includes(anchor.root.version)) throw new PackGap('ROOT_MISSING', `root ${anchor.root.version}`);
  const roots: VerifiedRoot[] = [];
  for (const version of versions) {
    // Roots before the anchored one prove nothing, and are not believed.
    if (version < anchor.root.version) continue;
    const file = files.get(`configuration/root.${version}.jws`) ?? Buffer.alloc(0);
    const last = roots.at(-1);
    roots.push(
      checked('ROOT_NOT_ANCHORED', `root ${version}`, () =>
        last === undefined ? verifyAnchoredRoot(file, anchor) : verifyNextRoot(file, last),
      ),
    );
  }
  return roots;
}

/** The contents that the pack's head names, by version. @throws PackFinding, PackGap */
export function checkContents(
  files: ReadonlyMap<string, Buffer>,
  head: PackHead,
  roots: readonly VerifiedRoot[],
): Map<number, VerifiedContent> {
  const contents = new Map<number, VerifiedContent>();
  for (const version of versionsOf(head)) {
    const file = files.get(`configuration/${version}/content.jws`);
    if (file === undefined) throw new PackGap('CONFIGURATION_MISSING', `content ${version}`);
    const cited = citedRoot(file);
    const root = roots.find(({ document }) => document.version === cited);
    if (root === undefined && cited > 0 && cited < (roots[0]?.document.version ?? 0)) {
      throw new PackGap('ROOT_MISSING', `root ${cited}, older than the anchor`);
    }
    if (root === undefined) throw new PackFinding('CONFIGURATION_WRONG', `content ${version}: its root is not here`);
    const content = checked('CONFIGURATION_WRONG', `content ${version}`, () => verifyStoredContent(file, root));
    if (content.document.version !== version) throw new PackFinding('CONFIGURATION_WRONG', `content ${version}`);
    contents.set(version, content);
  }
  return contents;
}

function versionsOf({ request, answer, anchoring, destruction }: PackHead): number[] {
  return [...new Set([request, answer, anchoring, destruction])].filter((version) => version > 0).sort((a, b) => a - b);
}

/** The version of the root that a content cites, before anything of it is verified; 0 when it cannot be read. */
function citedRoot(file: Buffer): number {
  const payload = /^\{"payload":"([A-Za-z0-9_-]+)"/.exec(file.toString('latin1'))?.[1] ?? '';
  const text = Buffer.from(payload, 'base64url').toString('utf8');
  return Number(/"root":\{"hash":"[A-Za-z0-9_-]{43}","version":([1-9][0-9]{0,14})\}/.exec(text)?.[1] ?? 0);
}

/** Parts that are there are the approved ones, and what evidence needs is there. @throws PackFinding, PackGap */
export function checkParts(
  files: ReadonlyMap<string, Buffer>,
  contents: ReadonlyMap<number, VerifiedContent>,
  servers: readonly string[],
): Map<number, PackConfiguration> {
  const read = new Map<number, PackConfiguration>();
  for (const [name, bytes] of files) {
    const [, version = '', part = ''] = /^configuration\/(\d+)\/(?:content\.jws|parts\/(.+))$/.exec(name) ?? [];
    if (version === '') continue;
    const content = contents.get(Number(version));
    if (content === undefined) throw new PackFinding('PACK_FILE_UNKNOWN', name);
    if (part !== '' && content.document.parts[part.replace('.', '/')] !== fileHash(bytes)) {
      throw new PackFinding('CONFIGURATION_PART_CHANGED', name);
    }
  }
  for (const [version, content] of contents) read.set(version, readConfiguration(files, version, content, servers));
  return read;
}

function readConfiguration(
  files: ReadonlyMap<string, Buffer>,
  version: number,
  content: VerifiedContent,
  servers: readonly string[],
): PackConfiguration {
  const part = (name: string, isNeeded: boolean) => {
    const bytes = files.get(`configuration/${version}/parts/${name.replace('/', '.')}`);
    if (bytes === undefined && (isNeeded || content.document.parts[name] !== undefined)) {
      throw new PackGap('CONFIGURATION_MISSING', `part ${name} of content ${version}`);
    }
    return bytes && checked('CONFIGURATION_WRONG', name, () => readPart(name, bytes, content.document.instance));
  };
  const shards = [...new Set(servers.map((server) => `members/${partShardOf(memberOf(server))}`))];
  const members = shards.flatMap((name) => part(name, true) ?? []);
  const trust = part('trust', true)?.trust ?? { anchors: [], intermediates: [], crls: [] };
  const witnesses = part('witnesses', false)?.witnesses ?? null;
  const stamps = part('time-stamps', false)?.timeStamps;
  const named = stamps && {
    certificates: stamps.authorities.flatMap((one) => derOf(one.certificates)),
    crls: derOf(stamps.crls ?? []),
  };
  const server = (id: string) => members.flatMap((one) => [...one.servers]).find((one) => one.id === id);
  return { content, trust, witnesses, stamps: named ?? null, server };
}

type VerifyToken = (token: Buffer, imprint: Buffer) => { genTimeMs: number; accuracyMs: number | null };

/** Judges tokens as they stand in the note of an entry, which covers all of their bytes; null where no authority is named. */
export function tokenVerifier({ stamps }: PackConfiguration, nowMs: number): VerifyToken | null {
  if (stamps === null) return null;
  const { certificates, crls } = stamps;
  return (token, imprint) => verifyTimeStampToken(token, imprint, certificates, nowMs, { crls });
}

/** Judges tokens that are files of the pack: there nothing but their own signatures covers their bytes. */
export function plainTokenVerifier(configuration: PackConfiguration, nowMs: number): VerifyToken | null {
  const verify = tokenVerifier(configuration, nowMs);
  const certificates = configuration.stamps?.certificates ?? [];
  return (
    verify &&
    ((token, imprint) => {
      // First: that the authority was revoked excuses nothing.
      if (!plainTimeStampToken(token, certificates).equals(token)) {
        throw new AccordError('TIME_STAMP_MALFORMED', 'something in it is signed by nobody');
      }
      return verify(token, imprint);
    })
  );
}

/** DER of a part's certificates or lists. */
export function derOf(list: readonly string[]): Buffer[] {
  return list.map(fromBase64url);
}
