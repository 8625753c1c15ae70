// The manifest of an evidence pack and the seal over it: who made this copy, and that it was not changed since. Nothing
// about the exchange rests on it: every file also proves itself, and a seal more or less changes no other byte, so that
// two exports of one exchange differ in the seal only. Whoever hands in a pack controls both.
import type { KeyObject } from 'node:crypto';
import { hash } from 'node:crypto';
import { parseCompact, signCompact, verifyParsed } from '#certs/jws.ts';
import { keyAlgorithm } from '#certs/keys.ts';
import { certificateHash } from '#certs/path.ts';
import { isAccordError } from '#schemas/problems.ts';
import { holderOf, publicKeyOf } from './check-certificate.ts';
import { PackFinding } from './finding.ts';
import { isPackFile, MANIFEST, SEAL, SEAL_CERTIFICATE } from './layout.ts';

const SEAL_TYP = 'accord-evidence+jws';
const OUTSIDE: readonly string[] = [MANIFEST, SEAL, SEAL_CERTIFICATE];

/** `<SHA-256, hex>  <name>` for every file, ascending: what `sha256sum` writes and checks. */
export function manifestOf(files: ReadonlyMap<string, Buffer>): Buffer {
  const names = [...files.keys()].filter((name) => !OUTSIDE.includes(name)).sort();
  return Buffer.from(names.map((name) => `${hash('sha256', files.get(name) ?? '', 'hex')}  ${name}\n`).join(''));
}

/** The files with manifest and seal. @param certificate DER; its key is `key` */
export function sealPack(
  files: ReadonlyMap<string, Buffer>,
  { key, certificate }: { key: KeyObject; certificate: Buffer },
  atMs: number,
): Map<string, Buffer> {
  const manifest = manifestOf(files);
  const header = { typ: SEAL_TYP, 'x5t#S256': certificateHash(certificate), iat: Math.floor(atMs / 1000) };
  const seal = signCompact(manifest, header, { alg: keyAlgorithm(key), key });
  return new Map([...files, [MANIFEST, manifest], [SEAL, Buffer.from(seal)], [SEAL_CERTIFICATE, certificate]]);
}

/** Every file is one that a pack may have and the one that the manifest names. @throws PackFinding PACK_* */
export function checkManifest(files: ReadonlyMap<string, Buffer>): void {
  const manifest = files.get(MANIFEST)?.toString('latin1') ?? '';
  const lines = manifest.split('\n');
  if (manifest === '' || lines.pop() !== '') throw new PackFinding('PACK_MALFORMED', MANIFEST);
  const listed = new Map<string, string>();
  let before = '';
  for (const line of lines) {
    const [, digest = '', name = ''] = /^([0-9a-f]{64}) {2}([!-~]+)$/.exec(line) ?? [];
    if (!isPackFile(name) || OUTSIDE.includes(name) || name <= before)
      throw new PackFinding('PACK_MALFORMED', MANIFEST);
    listed.set(name, digest);
    before = name;
  }
  for (const name of [...files.keys()].sort()) {
    if (!listed.has(name) && !OUTSIDE.includes(name)) throw new PackFinding('PACK_FILE_UNKNOWN', JSON.stringify(name));
  }
  const absent = [...listed.keys()].find((name) => !files.has(name));
  if (absent !== undefined) throw new PackFinding('PACK_FILE_MISSING', absent);
  for (const [name, digest] of listed) {
    if (hash('sha256', files.get(name) ?? '', 'hex') !== digest) throw new PackFinding('PACK_FILE_CHANGED', name);
  }
}

export interface ReadSeal {
  certificate: Buffer;
  atMs: number;
}

/**
 * The seal is a signature of the certificate's key over the manifest, and the certificate is the server's by name; that
 * it chains to an authority is judged with the configuration.
 * @throws PackFinding SEAL_WRONG
 */
export function checkSeal(files: ReadonlyMap<string, Buffer>, server: string): ReadSeal {
  const [jws, certificate, manifest] = [files.get(SEAL), files.get(SEAL_CERTIFICATE), files.get(MANIFEST)];
  if (jws === undefined || certificate === undefined || manifest === undefined) {
    throw new PackFinding('SEAL_WRONG', 'there is no seal');
  }
  try {
    const parsed = parseCompact(jws.toString('latin1'), {
      typ: SEAL_TYP,
      headers: ['alg', 'typ', 'x5t#S256', 'iat'],
      maxBytes: 64 * 1024,
    });
    const { iat, 'x5t#S256': named } = parsed.header;
    const holder = holderOf(certificate);
    if (named !== certificateHash(certificate)) throw new PackFinding('SEAL_WRONG', 'another certificate');
    if (holder !== server) throw new PackFinding('SEAL_WRONG', `the certificate is of ${holder}`);
    if (!parsed.payload.equals(manifest)) throw new PackFinding('SEAL_WRONG', 'over another manifest');
    if (!Number.isSafeInteger(iat) || !verifyParsed(parsed, publicKeyOf(certificate))) {
      throw new PackFinding('SEAL_WRONG', 'the signature does not verify');
    }
    return { certificate, atMs: (iat as number) * 1000 };
  } catch (error) {
    if (!isAccordError(error)) throw error;
    throw new PackFinding('SEAL_WRONG', error.code);
  }
}
