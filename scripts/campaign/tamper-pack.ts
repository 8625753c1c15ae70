// Campaign `tamper` on evidence packs of two real servers: bytes of the zip, of its files, files dropped, swapped, put in and
// cut off; as they are, or sealed again by the department that exported them; its statement, entry and checkpoint signed again
// with its own keys; and the pack of an older anchoring. What proves an exchange is signed by others: no edit is VALID.
import { signBatch } from '#certs/batch.ts';
import { rawEd25519PublicKey, signEd25519 } from '#certs/ed25519.ts';
import { Frontier, leafHash } from '#certs/merkle.ts';
import { certificateHash } from '#certs/path.ts';
import { PackFinding } from '#core/evidence/finding.ts';
import { MANIFEST, SEAL, SEAL_CERTIFICATE } from '#core/evidence/layout.ts';
import { readZip, writeZip } from '#core/evidence/zip.ts';
import { checkpointText, noteVerifier, signNote } from '#core/log/signed-note.ts';
import type { Source } from '#scripts/demo/random.ts';
import type { Files } from './pack-edits.ts';
import { openPackSetting, type PackSetting, type Which } from './pack-setting.ts';
import { libraryVerdict } from './pack-verdicts.ts';
import { damageBytes } from './tamper-bytes.ts';
import type { Case } from './tamper-log.ts';

export type PackJudge = (files: Files) => string;

interface Pack {
  which: Which;
  whole: Files;
  sealed: Files;
  zip: Buffer;
}

export interface PackTargets {
  made: PackSetting;
  packs: Pack[];
  judge: PackJudge;
}

/** As in campaign `pack`: what nobody signed of a token, and a cosignature beside those that count. */
const LOOSE = /^log\/(?:token\.|aggregate$)/;

export async function openPackTargets(judge: PackJudge | undefined): Promise<PackTargets> {
  const made = await openPackSetting();
  const exchanges = [await made.ask(), await made.ask('{"b":"another"}')];
  await made.anchorLog('provider');
  await made.anchorLog('consumer');
  const packs: Pack[] = [];
  for (const which of ['provider', 'consumer'] as const) {
    for (const exchange of exchanges) {
      const whole = await made.files(which, exchange);
      const sealed = made.seal(which, whole);
      packs.push({ which, whole, sealed, zip: writeZip(sealed) });
    }
  }
  return { made, packs, judge: judge ?? ((files) => libraryVerdict(made, files)) };
}

export async function tamperPack(targets: PackTargets, chance: Source): Promise<Case> {
  const pack = chance.pick(targets.packs);
  const which = chance.weighted([0.3, 0.35, 0.2, 0.15]);
  if (which === 0) return editZip(targets, pack, chance);
  if (which === 1) return editFile(targets, pack, chance);
  if (which === 2) return editFolder(targets, pack, chance);
  return signedAgain(targets, pack, chance);
}

function editZip({ judge }: PackTargets, { zip }: Pack, chance: Source): Case {
  const { bytes, what } = damageBytes(zip, chance, 256);
  const edit = `${what} of the zip`;
  if (bytes.equals(zip)) return { edit, fault: null, by: 'means nothing' };
  try {
    const verdict = judge(readZip(bytes));
    return { edit, fault: verdict === 'VALID' ? 'VALID' : null, by: verdict };
  } catch (error) {
    if (error instanceof PackFinding) return { edit, fault: null, by: error.code };
    throw error;
  }
}

/** Bytes of one file, half of the time sealed again. */
function editFile({ made, judge }: PackTargets, { which, whole, sealed }: Pack, chance: Source): Case {
  const isSealedAgain = chance.chance(0.5);
  const files = new Map(isSealedAgain ? whole : sealed);
  const name = chance.pick([...files].filter(([, bytes]) => bytes.length > 0).map(([one]) => one));
  const original = files.get(name) ?? Buffer.alloc(0);
  const { bytes, what } = damageBytes(original, chance, 64);
  files.set(name, bytes);
  const edit = `${what} of ${name}${isSealedAgain ? ', sealed again' : ''}`;
  const verdict = judge(isSealedAgain ? made.seal(which, files) : files);
  if (verdict !== 'VALID') return { edit, fault: null, by: verdict };
  const isNothing = bytes.equals(original) || (isSealedAgain && LOOSE.test(name));
  return { edit, fault: isNothing ? null : 'VALID', by: 'means nothing' };
}

/** Whole files, always sealed again: manifest and seal have nothing to say. */
function editFolder({ made, judge, packs }: PackTargets, { which, whole }: Pack, chance: Source): Case {
  const files = new Map(whole);
  const names = [...files.keys()].filter((name) => ![MANIFEST, SEAL, SEAL_CERTIFICATE].includes(name));
  const [a, b] = [chance.pick(names), chance.pick(names)];
  const other = chance.pick(packs).whole.get(a);
  const kind = chance.integer(0, 3);
  const [before, there] = [files.get(a) ?? Buffer.alloc(0), files.get(b) ?? Buffer.alloc(0)];
  if (kind === 0) files.delete(a);
  if (kind === 1) files.set(a, there).set(b, before);
  if (kind === 2 && other !== undefined) files.set(a, other);
  if (kind === 3) files.set(`${a}.2`, before);
  const edit = [`${a} dropped`, `${a} and ${b} swapped`, `${a} of another pack`, `${a} put in twice`][kind] ?? '';
  const isSame =
    kind !== 3 && files.size === whole.size && [...files].every(([name, bytes]) => whole.get(name)?.equals(bytes));
  const verdict = judge(made.seal(which, files));
  if (verdict !== 'VALID' || isSame) return { edit, fault: null, by: isSame ? 'means nothing' : verdict };
  // What is not asked for when it is not there proves nothing by being there.
  return { edit, fault: kind === 0 && isSpare(a) ? null : 'VALID', by: 'means nothing' };
}

/** A second way to the same end. */
function isSpare(name: string): boolean {
  return LOOSE.test(name);
}

/** The exporter's own keys: another statement, another entry, another tree, signed as the old ones were. */
function signedAgain({ made, judge }: PackTargets, { which, whole }: Pack, chance: Source): Case {
  const { keys } = made.pair.identities[which];
  const files = new Map(whole);
  const own = which === 'provider' ? 'answer' : 'request';
  const kind = chance.integer(0, 2);
  const text = (name: string) => (files.get(name) ?? Buffer.alloc(0)).toString('utf8');
  if (kind !== 1) {
    const statement = Buffer.from(text(`${own}/statement`).replace('"basis":"open"', '"basis":"law"'));
    const hash = certificateHash(made.certificateOf(which));
    const key = { alg: 'ES256' as const, key: keys.signing.key };
    const [signature] = signBatch(
      [statement],
      key,
      hash,
      Math.floor((JSON.parse(statement.toString()) as { at: number }).at / 1000),
    );
    files.set(`${own}/statement`, statement).set(`${own}/signature`, Buffer.from(signature?.jws ?? ''));
  }
  if (kind !== 0) {
    const entry = text(`${own}/entry`)
      .replace(/"configuration":\d+/, '"configuration":6')
      .replace(/"t":(\d)/, '"t":1$1');
    files.set(`${own}/entry`, Buffer.from(entry));
    files.set('log/checkpoint', Buffer.from(forgedCheckpoint(made, which, entry, text('log/checkpoint'))));
  }
  const edit = `signed again by the ${which}: ${['the statement', 'the entry and the tree', 'all of it'][kind]}`;
  const verdict = judge(made.seal(which, files));
  return { edit, fault: verdict === 'VALID' ? 'VALID' : null, by: verdict };
}

/** A tree of as many entries, of which this is the last, under the log's own key, with the old cosignatures behind it. */
function forgedCheckpoint(made: PackSetting, which: Which, entry: string, note: string): string {
  const [origin = '', count = '1'] = note.split('\n');
  const frontier = new Frontier();
  for (let at = 0; at < Number(count) - 1; at++) frontier.push(leafHash(`entry ${at}`));
  frontier.push(leafHash(entry));
  const { checkpoint } = made.pair.identities[which].keys;
  const verifier = noteVerifier(origin, rawEd25519PublicKey(checkpoint));
  const forged = signNote(checkpointText({ origin, size: Number(count), root: frontier.root() }), verifier, (bytes) =>
    signEd25519(checkpoint, bytes),
  );
  const lines = note.split('\n\n')[1]?.split('\n').slice(1).join('\n') ?? '';
  return forged + lines;
}
