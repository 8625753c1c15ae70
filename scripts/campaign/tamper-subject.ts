// What campaign `tamper` works on: two departments' logs of the same exchanges, written by the real message log, with a
// witness that saw each checkpoint, entries `anchored`, sealed parts and claims; and the images of the log's database as they
// were at each checkpoint. The keys of both are the campaign's: a forger here has whatever the server has.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { signEd25519 } from '#certs/ed25519.ts';
import { generateKeys } from '#certs/keys.ts';
import type { Clock } from '#core/clock.ts';
import { type MessageLog, type MessageLogOptions, openMessageLog } from '#core/log/message-log.ts';
import { type NoteVerifier, parseVerifierKey, signNote } from '#core/log/signed-note.ts';
import { formatAddCheckpoint } from '#core/witness/add-checkpoint.ts';
import { cosigner, formatCosignerKey } from '#core/witness/cosignature.ts';
import { readWitnessPolicy, type WitnessPolicy } from '#core/witness/policy.ts';
import { Witness, type WitnessAnswer } from '#core/witness/witness.ts';
import { openWitnessStoreSqlite } from '#core/witness/witness-store-sqlite.ts';
import { anchoringText } from '#schemas/anchoring.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { Source } from '#scripts/demo/random.ts';
import { MADE_PEER, MADE_SERVER, madeAnswers, madeLogOptions, madeRequests } from '#scripts/log/made-log.ts';

const HOUR_MS = 3_600_000;
const STARTED_MS = Date.UTC(2026, 0, 5);
const REPLAY_MS = 30 * 24 * HOUR_MS;
const WITNESS = 'registry.tamper';
export const ABOUT_ITSELF = {
  ...{ peer: null, client: null, service: null, purpose: null, basis: null, code: null, decisionHash: null },
  ...{ configurationVersion: 1, retention: 'standard', evidence: null, sealed: null },
} as const;

/** Moves on a little with every look, so that entries of different turns have different times. */
export interface TamperClock extends Clock {
  pass(ms: number): void;
}

function tamperClock(): TamperClock {
  let atMs = STARTED_MS;
  const pass = (ms: number) => {
    atMs += ms;
  };
  const nowMs = () => {
    pass(3);
    return atMs;
  };
  return { nowMs, monotonicMs: () => atMs, pass };
}

/** The log as it was at one of its checkpoints. */
export interface Stage {
  size: number;
  database: Buffer;
  note: string;
}

export interface Subject {
  /** A server's data folder: log/, record-keys/, checkpoint.txt. */
  place: string;
  options: MessageLogOptions & { clock: TamperClock };
  verifier: NoteVerifier;
  verifierKey: string;
  /** Signs checkpoints as the server does. */
  sign(text: string): string;
  /** The last one is the log as it is. */
  stages: Stage[];
  /** The other department's folder. */
  peerFolder: string;
  outside: Outside;
}

/** What others hold. */
export interface Outside {
  /** Every checkpoint that the witness cosigned, in order. */
  seen: string[];
  policy: WitnessPolicy;
  /** Asks for one more, as a server would that goes on from the size given. */
  cosigns(note: string, oldSize: number, proof: Buffer[]): Promise<boolean>;
  /** The size it cosigned last. */
  size(): number;
}

export interface SubjectSize {
  phases: number;
  turns: number;
  batch: number;
}

export async function makeSubject(place: string, size: SubjectSize, chance: Source): Promise<Subject> {
  const options = { ...madeLogOptions(place), clock: tamperClock(), every: () => () => {} };
  const peer = {
    ...madeLogOptions(`${place}-peer`),
    ...{ origin: `accord/${MADE_PEER}`, clock: options.clock, every: () => () => {} },
  };
  const outside = openOutside(options);
  const stages: Stage[] = [];
  let verifierKey = '';
  for (let phase = 0; phase < size.phases; phase++) {
    const [log, other] = [await openMessageLog(options), await openMessageLog(peer)];
    verifierKey = log.verifierKey;
    for (let turn = 0; turn < size.turns; turn++) {
      await exchange(log, other, chance.integer(1, size.batch), options.clock, chance);
      if (chance.chance(0.4)) await outside.show(log);
      options.clock.pass(HOUR_MS);
    }
    await outside.show(log);
    // Not after the last phase: what stands behind the last anchoring is for others to know.
    if (phase % 2 === 0 && phase < size.phases - 1) await anchor(log, outside);
    await outside.show(log);
    await Promise.all([log.close(), other.close()]);
    stages.push(stageOf(options));
  }
  const verifier = parseVerifierKey(verifierKey);
  const sign = (text: string) => signNote(text, verifier, (bytes) => signEd25519(options.checkpointKey, bytes));
  return { place, options, verifier, verifierKey, sign, stages, peerFolder: peer.folder, outside };
}

/** Both departments log the questions and the answers of one turn. */
async function exchange(log: MessageLog, other: MessageLog, size: number, clock: TamperClock, chance: Source) {
  const sealed = chance.chance(0.5);
  const nowMs = clock.nowMs();
  const requests = madeRequests({ size, nowMs, sealed });
  // A batch that comes in two turns is stored with its paths.
  const whole = chance.chance(0.6) ? size : Math.ceil(size / 2);
  await Promise.all(requests.slice(0, whole).map((record) => log.append(record)));
  await Promise.all(requests.slice(whole).map((record) => log.append(record)));
  const firstIndex = other.size();
  const received = requests.map((record) => ({ ...record, kind: 'request-received' as const, peer: MADE_SERVER }));
  await Promise.all(received.map((record) => other.append(record)));
  const answers = madeAnswers(requests, nowMs, sealed, firstIndex);
  await Promise.all(
    answers.map((record) => other.append({ ...record, kind: 'response-sent', peer: MADE_SERVER, decisionHash: null })),
  );
  await Promise.all(answers.map((record) => log.append(record)));
  await log.claimVoid(MADE_PEER, madeRequests({ size: 1, nowMs, sealed: false })[0]?.id ?? '', nowMs + REPLAY_MS, 1);
}

/** The witness's word about the newest checkpoint goes into the log. */
async function anchor(log: MessageLog, outside: ReturnType<typeof openOutside>): Promise<void> {
  const checkpoint = await outside.show(log);
  await log.append({
    ...ABOUT_ITSELF,
    ...{ kind: 'anchored', id: 'anchored' },
    note: anchoringText({ v: 1, checkpoint, aggregate: null, tokens: [] }),
  });
}

function openOutside({ origin, clock }: MessageLogOptions & { clock: TamperClock }) {
  const key = cosigner(WITNESS, generateKeys('Ed25519').privateKey);
  const seen: string[] = [];
  const lines = new Map<string, string>();
  let keys: NoteVerifier[] = [];
  let last = 0;
  const store = openWitnessStoreSqlite(':memory:');
  const verifiersOf = (one: string) => (one === origin ? keys : undefined);
  const witness = new Witness({ store, cosigners: [key], clock, verifiersOf });
  const add = async (note: string, oldSize: number, proof: Buffer[]): Promise<WitnessAnswer | null> => {
    clock.pass(60_000);
    try {
      return await witness.add(formatAddCheckpoint({ oldSize, proof, note }));
    } catch (error) {
      if (isAccordError(error)) return null;
      throw error;
    }
  };
  return {
    seen,
    policy: readWitnessPolicy({
      ...{ aggregate: null, witnesses: [], quorum: 0 },
      registryWitness: { name: WITNESS, verifierKeys: [formatCosignerKey(key.key)] },
    }),
    cosigns: async (note: string, oldSize: number, proof: Buffer[]) =>
      (await add(note, oldSize, proof))?.status === 200,
    size: () => last,
    /** @returns the newest checkpoint with the witness's line */
    async show(log: MessageLog): Promise<string> {
      keys = [parseVerifierKey(log.verifierKey)];
      const { note, size } = log.publishCheckpoint();
      const known = lines.get(note);
      if (known !== undefined) return note + known;
      const proof = last === 0 ? [] : log.consistencyProof(last, size).map((hash) => Buffer.from(hash, 'base64url'));
      const answer = await add(note, last, proof);
      if (answer?.status !== 200) throw new TypeError(`the witness refuses ${size}`);
      seen.push(note);
      lines.set(note, answer.body);
      last = size;
      return note + answer.body;
    },
  };
}

/** The closed database as one file, in the form in which a copy of it in memory can be opened too. */
function stageOf({ folder, checkpointFile }: MessageLogOptions): Stage {
  const database = plainDatabase(readFileSync(join(folder, 'messages.db')));
  const note = readFileSync(checkpointFile, 'utf8');
  return { size: Number(note.split('\n')[1]), database, note };
}

/** SQLite's file format 1.3.3: the two bytes say that there is a write-ahead log beside; a closed log has none. */
function plainDatabase(bytes: Buffer): Buffer {
  const [writeVersion, readVersion] = [18, 19];
  bytes[writeVersion] = 1;
  bytes[readVersion] = 1;
  return bytes;
}
