// Checks a folder that `exportJades` made: the manifest, every JAdES file under the reader's own trust anchors, and that the
// statements are what was signed: by their place in the batch, or as the payload. Whoever hands in the folder controls it.
import { type BatchClaims, readBatch, standsIn } from '#certs/batch.ts';
import { readJades } from '#certs/jades-form.ts';
import { type JadesTrust, type JadesVerdict, verifyJades } from '#certs/jades-verify.ts';
import { fromBase64url } from '#schemas/base64url.ts';
import { parseJsonObject } from '#schemas/json.ts';
import { isAccordError } from '#schemas/problems.ts';
import { MESSAGES } from './layout.ts';
import { manifestOf } from './seal.ts';

interface JadesFile {
  file: string;
  /** `signed`: the statement beside it is what this signature is over. */
  binding: 'signed' | 'wrong';
  /** Null for a file that is no JAdES file of ours. */
  verdict: JadesVerdict | null;
}

export interface JadesFolder {
  isGood: boolean;
  /** Whether the manifest names exactly these files with these hashes. */
  isAsListed: boolean;
  files: JadesFile[];
}

/** Never throws for what the files say. @param files by name, `manifest` among them */
export function checkJadesFolder(files: ReadonlyMap<string, Buffer>, trust: JadesTrust): JadesFolder {
  const listed = manifestOf(files);
  const isAsListed = files.get('manifest')?.equals(listed) === true;
  const found = MESSAGES.flatMap((name) =>
    (['jades', 'sealed.jades'] as const).flatMap((kind) => {
      const bytes = files.get(`${name}.${kind}.json`);
      return bytes === undefined ? [] : [checkFile(files, { name, kind, bytes }, trust)];
    }),
  );
  const areGood = found.every(({ binding, verdict }) => binding === 'signed' && verdict?.isGood === true);
  return { isGood: isAsListed && found.length > 0 && areGood, isAsListed, files: found };
}

function checkFile(
  files: ReadonlyMap<string, Buffer>,
  { name, kind, bytes }: { name: string; kind: 'jades' | 'sealed.jades'; bytes: Buffer },
  trust: JadesTrust,
): JadesFile {
  const file = `${name}.${kind}.json`;
  try {
    const statement = files.get(`${name}.statement`);
    const { protected: signed, payload, signature, payloadBytes } = readJades(bytes);
    const isSigned =
      kind === 'sealed.jades'
        ? statement?.equals(payloadBytes) === true
        : isInBatch(readBatch(`${signed}.${payload}.${signature}`), statement, files.get(`${name}.place.json`));
    return { file, binding: isSigned ? 'signed' : 'wrong', verdict: verifyJades(bytes, trust) };
  } catch (error) {
    if (!isAccordError(error)) throw error;
    return { file, binding: 'wrong', verdict: null };
  }
}

function isInBatch(claims: BatchClaims, statement: Buffer | undefined, place: Buffer | undefined): boolean {
  if (statement === undefined || place === undefined) return false;
  const { index, size, path } = parseJsonObject(place, { maxBytes: 16 * 1024, maxDepth: 3, maxValues: 64 });
  if (!Number.isSafeInteger(index) || size !== claims.size || !Array.isArray(path)) return false;
  const hashes = path.map((one) => fromBase64url(String(one)));
  return standsIn(claims, statement, index as number, hashes);
}
