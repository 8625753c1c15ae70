// `accord audit replay EXCHANGE`: makes a past decision again from its archived inputs and compares it with what both logs
// and the signed answer say (DESIGN: who may ask for what). At the provider it reads the data folder, with or without its
// server running; at the consumer, whose log has the hash only, it judges inputs that the provider handed over. The
// folder's owner and whoever hands over the inputs control what is read.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { openKey } from '#certs/key-file.ts';
import { storageKeyOf } from '#certs/storage-key.ts';
import { readKeyFile } from '#core/key-store.ts';
import { readSealed, type Unsealed } from '#core/log/read-sealed.ts';
import { MAX_SHOWN, showLog } from '#core/log/show.ts';
import { FILES } from '#security-server/data-folder.ts';
import { LOG_PLACES } from '#security-server/log-origin.ts';
import {
  type Answered,
  findAnswers,
  type Replayed,
  replayExchange,
  type Verdict,
} from '#security-server/replay-exchange.ts';
import { erasedBy, erasedInWords } from './audit-erased.ts';
import { jadesCommand, jadesVerifyCommand } from './audit-jades.ts';
import { logAuditCommand } from './audit-log.ts';
import { exportCommand, verifyCommand } from './audit-pack.ts';
import { entriesCommand, reconcileCommand } from './audit-reconcile.ts';
import { evidenceInWords } from './evidence-words.ts';
import { placeOf } from './log.ts';
import { CommandEnd, EXIT, type OutputOptions, outputFormat, print, runAction, withOutput } from './output.ts';
import { PASSPHRASE_VARIABLE, type PassphraseOptions, passphraseOption, readPassphrase } from './passphrase.ts';

const SEALED_NOTHING: Unsealed = { state: 'none' };

type ReplayOptions = OutputOptions &
  PassphraseOptions & { dir: string; origin?: string; peer?: string; inputs?: string; saveInputs?: string };

/** What a verdict means for a script, and what its reader does next. */
const ENDS: Record<Verdict, { exit: number; next: string }> = {
  SAME: { exit: EXIT.ok, next: '' },
  NO_DECISION: { exit: EXIT.ok, next: '' },
  HASH_ONLY: { exit: EXIT.ok, next: '' },
  ERASED: { exit: EXIT.notFound, next: 'Nothing: what was erased cannot be replayed, and the log still verifies.' },
  DIFFERENT_VERSION: {
    exit: EXIT.precondition,
    next: 'Replay it with the version of Accord that ran on that day; the log proves that the archive is genuine.',
  },
  DIFFERENT: {
    exit: EXIT.verificationFailed,
    next: 'Run `accord log verify`, replay with the version that ran on that day, and keep the folder as evidence.',
  },
  UNREADABLE: {
    exit: EXIT.verificationFailed,
    next: 'Run `accord log verify`, compare with a backup, and keep the folder as evidence.',
  },
};

const UNCERTIFIED =
  'ERASED: the key is gone, and no certificate of destruction covers the record\n' +
  'Next: Ask the operator of the server who destroyed it, and on what law; the log still proves what was committed.';

export function auditCommand(): Command {
  const audit = new Command('audit').description('check what a security server decided, and what proves an exchange');
  const replay = audit
    .command('replay')
    .description('decide a past exchange again and compare; also while the server runs')
    .argument('<exchange>', 'message id of the request')
    .requiredOption('--dir <folder>', "the server's data folder")
    .option('--origin <origin>', 'a closed log: its origin, or its number')
    .option('--peer <id>', 'the other security server, where two of them used the same id')
    .option('--inputs <file>', "inputs that the provider handed over, in place of this log's own")
    .option('--save-inputs <file>', 'write the archived inputs, byte for byte, to a new file: they name the person')
    .addOption(passphraseOption(PASSPHRASE_VARIABLE));
  withOutput(replay).action(runAction(replayCommand));
  audit.addCommand(exportCommand()).addCommand(verifyCommand());
  audit.addCommand(jadesCommand()).addCommand(jadesVerifyCommand());
  return audit.addCommand(logAuditCommand()).addCommand(reconcileCommand()).addCommand(entriesCommand());
}

async function replayCommand(exchange: string, options: ReplayOptions): Promise<void> {
  const { folder } = placeOf(options);
  const answered = oneAnswer(findAnswers(showLog(folder, { id: exchange }, MAX_SHOWN, true)), exchange, options);
  const { side, answer } = answered;
  const disclosed = options.inputs === undefined ? null : readFileSync(options.inputs);
  // The consumer's own record proves nothing more of the decision than its hash: no key is asked for without need.
  const isOpened = answer.entry.decisionHash !== null && (side === 'provider' || disclosed !== null);
  const kept = isOpened ? await unseal(folder, answered, options) : { answer: SEALED_NOTHING, request: SEALED_NOTHING };
  const replayed = replayExchange(answered, kept, disclosed);
  if (options.saveInputs !== undefined) saveInputs(kept.answer, options.saveInputs);
  const erased = replayed.verdict === 'ERASED' ? await erasedBy(options.dir, folder, answer) : null;
  if (outputFormat(options) === 'table') {
    const words = erased === null ? {} : { destroyed: erasedInWords(erased) };
    print({ ...forPeople(exchange, answered, replayed), ...words }, options);
  } else print({ ...whole(exchange, answered, replayed), destroyed: erased }, options);
  if (replayed.verdict === 'ERASED' && erased === null) throw new CommandEnd(EXIT.verificationFailed, UNCERTIFIED);
  const { exit, next } = ENDS[replayed.verdict];
  if (exit !== EXIT.ok) throw new CommandEnd(exit, `${replayed.verdict}: ${replayed.reason}\nNext: ${next}`);
}

function oneAnswer(found: readonly Answered[], exchange: string, { peer }: ReplayOptions): Answered {
  const fitting = found.filter(({ answer }) => peer === undefined || answer.entry.peer === peer);
  const [first, second] = fitting;
  if (first === undefined) {
    const what = `There is no answer to ${exchange} in this log`;
    throw new CommandEnd(
      EXIT.notFound,
      `${what}.\nNext: See \`accord log show --id\`; a closed log is read with --origin.`,
    );
  }
  if (second === undefined) return first;
  const peers = fitting.map(({ answer }) => answer.entry.peer).join(', ');
  throw new CommandEnd(EXIT.usage, `Several servers used this id.\nNext: Say which with --peer: ${peers}`);
}

async function unseal(folder: string, { answer, request }: Answered, options: ReplayOptions) {
  const passphrase = await readPassphrase(options, PASSPHRASE_VARIABLE, { prompt: 'Passphrase of the keys: ' });
  const { privateKey } = await openKey(await readKeyFile(join(options.dir, FILES.keys), 'storage'), passphrase);
  const place = { folder, keyFolder: join(options.dir, LOG_PLACES.recordKeys), storageKey: storageKeyOf(privateKey) };
  const seqs = request === null ? [answer.seq] : [answer.seq, request.seq];
  const [ofAnswer = SEALED_NOTHING, ofRequest = SEALED_NOTHING] = readSealed(place, seqs);
  return { answer: ofAnswer, request: ofRequest };
}

/** The bytes whose hash both logs carry; a file that is there is never overwritten. */
function saveInputs(kept: Unsealed, file: string): void {
  const bytes = kept.state === 'open' ? kept.parts.decisionInputs : undefined;
  if (bytes === undefined) throw new CommandEnd(EXIT.precondition, `No inputs are kept here; ${file} was not written.`);
  writeFileSync(file, bytes, { mode: 0o600, flag: 'wx' });
}

function whole(exchange: string, { side, answer }: Answered, { inputs, ...replayed }: Replayed) {
  const { seq, kind, peer, client, service, purpose, basis, code } = answer.entry;
  const entry = { seq, kind, peer, client, service, purpose, basis };
  const { verdict, reason, ...more } = replayed;
  return { exchange, side, verdict, reason, code, ...more, decidedAtMs: inputs?.nowMs ?? null, entry };
}

/** The group that the deciding right was given to; null when it was given to the client itself, or none decided. */
function groupOf({ inputs, decision }: Replayed): string | null {
  const holder = inputs?.rights?.find(({ right }) => right.id === decision?.rightId)?.right.client;
  return holder === undefined || holder === inputs?.request.client ? null : holder;
}

/** What was decided, line by line. */
function forPeople(exchange: string, { side, answer }: Answered, replayed: Replayed) {
  const { verdict, reason, hash, recomputedHash, inputs, decision, recomputed, notChecked } = replayed;
  const { code, client, service, purpose, basis, peer } = answer.entry;
  // Older archives know of no evidence, and one of another version may hold anything in its place.
  const words = inputs === null || verdict === 'DIFFERENT_VERSION' ? '' : evidenceInWords(inputs);
  const group = groupOf(replayed);
  const from = inputs?.defaultsFrom ?? null;
  const listed = (items: readonly { path: string | null; element: string }[] | undefined) =>
    items?.map(({ path, element }) => (path === null ? element : `${path} (${element})`)).join('\n') ?? '';
  return {
    verdict,
    ...(reason === '' ? {} : { reason }),
    exchange,
    side: `${side}, with ${peer}`,
    client,
    service,
    ...(inputs === null ? {} : { request: `${inputs.request.method} ${inputs.request.path}` }),
    purpose,
    basis,
    outcome: code,
    ...(decision === null ? {} : { decided: `${decision.code} ${decision.detail}`.trim(), right: decision.rightId }),
    ...(group === null ? {} : { 'given to': group }),
    ...(from === null ? {} : { 'purpose, basis and fields': `not named; the defaults of ${from}` }),
    ...(inputs === null ? {} : { at: new Date(inputs.nowMs).toISOString() }),
    ...(words === '' ? {} : { evidence: words }),
    permitted: listed(decision?.release?.asked),
    omitted: listed(decision?.release?.omitted),
    ...(recomputed === null ? {} : { 'decided now': `${recomputed.code} ${recomputed.detail}`.trim() }),
    hash,
    recomputed: recomputedHash,
    ...(notChecked.length === 0 ? {} : { 'not compared': notChecked.join('\n') }),
  };
}
