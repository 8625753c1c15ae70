// JAdES files (ETSI TS 119 182-1) of one exchange, for validators that know eIDAS and not Accord: made of the files of its
// evidence pack. For each statement the signature that was made on that day, put into the standard's serialization as it
// is; beside it the statement and its place in the signed batch, without which that signature says nothing of it. When a
// key is given, each statement also signed anew by this department. Time-stamps are asked for now, because a `sigTst` is
// over one signature and the log's tokens are over checkpoints. The folder's owner controls what is exported.
import type { KeyObject } from 'node:crypto';
import { readBatch } from '#certs/batch.ts';
import { readSignedData } from '#certs/cms.ts';
import { sha256 } from '#certs/commitment.ts';
import {
  encodeJades,
  type JadesParts,
  type JadesValues,
  partsOfCompact,
  signatureImprint,
  signJades,
} from '#certs/jades-form.ts';
import { newestList } from '#certs/jades-revocation.ts';
import { type JadesVerdict, verifyJades } from '#certs/jades-verify.ts';
import { validatePath } from '#certs/path.ts';
import { base64url } from '#schemas/base64url.ts';
import type { TrustPart } from '#schemas/configuration.ts';
import { AccordError } from '#schemas/problems.ts';
import { candidates } from './check-certificate.ts';
import { derOf } from './check-configuration.ts';
import { MESSAGES, type MessageName, parsePlace } from './layout.ts';
import { manifestOf } from './seal.ts';

/** A verified token over an imprint, and the certification path of who signed it, leaf first. */
interface JadesStamp {
  token: Buffer;
  facts: { path: readonly Uint8Array[] };
}

export interface JadesOptions {
  /** Trust of the configurations concerned, the newest first. */
  trust: readonly TrustPart[];
  /** DER, of the time-stamp authorities in the configuration. */
  timeStampCertificates: readonly Uint8Array[];
  /** Null, or gives null: without a time-stamp. */
  stamp: ((imprint: Buffer) => Promise<JadesStamp | null>) | null;
  /** Lists that the configuration does not hold, for instance those of a time-stamp authority. */
  crls: readonly Uint8Array[];
  /** This department's signing key with its certificate and the newest OCSP answer about it; null signs nothing anew. */
  seal: { key: KeyObject; certificate: Buffer; ocsp: Buffer | null } | null;
  nowMs: number;
}

/** One file and what the own verification says of it. */
export interface JadesDocument extends JadesVerdict {
  file: string;
  /** What the signature is over. */
  signs: 'batch' | 'statement';
}

/** @param files of an evidence pack. @throws EXCHANGE_NOT_FOUND, BATCH_MALFORMED, CERTIFICATE_INVALID (the one that signs anew); what `stamp` throws */
export async function exportJades(
  files: ReadonlyMap<string, Buffer>,
  options: JadesOptions,
): Promise<{ files: Map<string, Buffer>; documents: JadesDocument[] }> {
  const made = new Map<string, Buffer>();
  const documents: JadesDocument[] = [];
  const add = async (file: string, signs: JadesDocument['signs'], source: JadesSource) => {
    const bytes = encodeJades(source.parts, await valuesFor(source, options));
    made.set(file, bytes);
    const { timeStampCertificates, nowMs } = options;
    documents.push({
      file,
      signs,
      ...verifyJades(bytes, { anchors: anchorsOf(options), timeStampCertificates, nowMs }),
    });
  };
  for (const name of MESSAGES) {
    const statement = files.get(`${name}/statement`);
    if (statement === undefined) continue;
    const jws = needed(files, `${name}/signature`).toString('latin1');
    const certificate = needed(files, `${name}/certificate.der`);
    const ocsp = files.get(`${name}/certificate-status.der`) ?? null;
    made.set(`${name}.statement`, statement);
    made.set(`${name}.place.json`, placeFile(files, name, statement, jws));
    const atMs = readBatch(jws).issuedAtSeconds * 1000;
    const path = pathFor(certificate, options, atMs);
    await add(`${name}.jades.json`, 'batch', { parts: partsOfCompact(jws), path, carried: 0, ocsp });
    if (options.seal !== null)
      await add(`${name}.sealed.jades.json`, 'statement', sealed(statement, options, options.seal));
  }
  if (documents.length === 0) throw new AccordError('EXCHANGE_NOT_FOUND', 'no signed statement');
  made.set('report.json', Buffer.from(`${JSON.stringify(documents, null, 2)}\n`));
  made.set('manifest', manifestOf(made));
  return { files: made, documents };
}

interface JadesSource {
  parts: JadesParts;
  /** From the signing certificate to the anchor; the signing certificate alone where there is no path. */
  path: readonly Uint8Array[];
  /** How many of them stand in `x5c`. */
  carried: number;
  ocsp: Buffer | null;
}

function sealed(statement: Buffer, options: JadesOptions, seal: NonNullable<JadesOptions['seal']>): JadesSource {
  const path = pathFor(seal.certificate, options, options.nowMs);
  const carried = path.length - 1;
  if (carried === 0) throw new AccordError('CERTIFICATE_INVALID', "this server's own, now");
  const signer = { key: seal.key, path: path.slice(0, carried) };
  const parts = signJades(statement, signer, 'json', Math.floor(options.nowMs / 1000));
  return { parts, path, carried, ocsp: seal.ocsp };
}

async function valuesFor({ parts, path, carried, ocsp }: JadesSource, options: JadesOptions): Promise<JadesValues> {
  const crls = [...options.trust.flatMap((one) => derOf(one.crls)), ...options.crls];
  const stamp = options.stamp === null ? null : await options.stamp(signatureImprint(parts));
  const embedded = stamp === null ? [] : readSignedData(stamp.token).certificates;
  const stampPath = stamp?.facts.path ?? [];
  return {
    signatureTimeStamps: stamp === null ? [] : [stamp.token],
    certificates: path.slice(carried),
    crls: listsFor(path, crls),
    ocsp: ocsp === null || path.length < 2 ? [] : [ocsp],
    timeStampCertificates: stampPath.filter((one) => !embedded.some((other) => other.equals(one))),
    timeStampCrls: listsFor(stampPath, crls),
  };
}

function listsFor(path: readonly Uint8Array[], crls: readonly Uint8Array[]): Uint8Array[] {
  const found = path.slice(0, -1).map((one, at) => newestList(one, path[at + 1] ?? one, crls)?.der);
  return [...new Set(found.filter((der) => der !== undefined))];
}

function anchorsOf({ trust }: JadesOptions): Buffer[] {
  const all = trust.flatMap((one) => derOf(one.anchors));
  return all.filter((der, at) => all.findIndex((one) => one.equals(der)) === at);
}

function pathFor(leaf: Buffer, options: JadesOptions, atMs: number): readonly Uint8Array[] {
  const anchors = anchorsOf(options).map((der) => ({ der }));
  const known = options.trust.flatMap((one) => derOf(one.intermediates));
  const intermediates = candidates(
    leaf,
    known.filter((der, at) => known.findIndex((one) => one.equals(der)) === at),
  );
  const verdict = validatePath({ leaf, intermediates, anchors, atMs, purpose: 'sign' });
  return verdict.valid ? verdict.path : [leaf];
}

/** How the statement hangs on what the signature is over (RFC 9162 2.1.3.2), for a reader without this program. */
function placeFile(files: ReadonlyMap<string, Buffer>, name: MessageName, statement: Buffer, jws: string): Buffer {
  const { numbers, path } = parsePlace(needed(files, `${name}/place`), 2, `${name}/place`);
  const place = {
    ...{ v: 1, statement: `${name}.statement`, sha256: sha256(statement), jades: `${name}.jades.json` },
    leaf: 'SHA-256(0x00 || "accord-statement/1" || 0x00 || the statement)',
    node: 'SHA-256(0x01 || left || right)',
    ...{ index: numbers[0], size: numbers[1], path: path.map(base64url), root: base64url(readBatch(jws).root) },
  };
  return Buffer.from(`${JSON.stringify(place, null, 2)}\n`);
}

function needed(files: ReadonlyMap<string, Buffer>, name: string): Buffer {
  const bytes = files.get(name);
  if (bytes === undefined) throw new AccordError('EXCHANGE_NOT_FOUND', name);
  return bytes;
}
