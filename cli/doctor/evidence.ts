// How far the evidence of a server's exchanges stands by itself: the last anchoring and who vouched for it, against the
// period of grace; the OCSP answers about its own certificates; the last copy of its log in the archive. Read from the data
// folder, also while the server runs; nothing is verified again, which is what `accord log verify` does.
import { join } from 'node:path';
import { type ClosedPlace, closedLogs, closedState } from '#core/archive/closed-log.ts';
import type { ConfigurationSnapshot } from '#core/configuration/snapshot.ts';
import { originOfFolder } from '#core/log/origin.ts';
import { showLog } from '#core/log/show.ts';
import { anchoringFacts, sayAnchoring } from '#core/witness/anchoring-facts.ts';
import { parseManifest } from '#schemas/archive.ts';
import { isAccordError } from '#schemas/problems.ts';
import { readAnswers } from '#security-server/certificate-status/answer-file.ts';
import { countsUntilMs } from '#security-server/certificate-status/answers.ts';
import { ANSWER_FILE } from '#security-server/certificate-status/status.ts';
import { LOG_PLACES } from '#security-server/log-origin.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

/** Entries looked at for one that nothing covers: a log with more `anchored` ones behind one another is at rest. */
const MAX_LOOKED_AT = 64;
/** Where no authority is named nothing stops; a day without any anchoring is worth a word all the same. */
const LONG_MS = 86_400_000;

/** @throws LOG_MISSING, LOG_DATABASE_DAMAGED, ANCHORING_MALFORMED, NOTE_MALFORMED */
export function checkAnchoring(folder: string, snapshot: ConfigurationSnapshot, nowMs: number): Finding[] {
  const check = 'anchoring';
  const [witnesses, stamping] = [snapshot.witnesses(), snapshot.timeStamps()];
  if (witnesses === null && stamping === null) return [ok(check, 'the configuration names no witness')];
  const place = join(folder, 'log');
  const [record] = showLog(place, { id: 'anchored' }, 1);
  const facts = record?.evidence ? anchoringFacts(record.evidence.statement) : null;
  const since = record === undefined ? '' : `, logged ${new Date(record.entry.t).toISOString()}`;
  const quorum = witnesses === null ? '' : `; quorum ${witnesses.quorum}`;
  const said = facts === null ? 'nothing is anchored yet' : `${sayAnchoring(facts)}${quorum}${since}`;
  const waiting = showLog(place, { fromSeq: facts?.size ?? 0 }, MAX_LOOKED_AT).find(
    ({ entry }) => entry.kind !== 'anchored',
  );
  if (waiting === undefined) return [ok(check, `${said}; nothing waits`)];
  const waitedMs = Math.max(0, nowMs - waiting.entry.t);
  const graceMs = stamping?.graceMs ?? LONG_MS;
  const detail = `${said}; entry ${waiting.seq} waits for ${minutes(waitedMs)} of ${minutes(graceMs)} minutes`;
  if (waitedMs >= graceMs && stamping !== null) return [fail(check, 'ANCHORING_OVERDUE', detail)];
  return [waitedMs * 4 >= graceMs ? warn(check, 'ANCHORING_LATE', detail) : ok(check, detail)];
}

/** @param signing SHA-256 of the signing certificate, base64url. @throws CERTIFICATE_STATUS_UNREADABLE */
export function checkOcsp(
  folder: string,
  snapshot: ConfigurationSnapshot,
  signing: string | undefined,
  nowMs: number,
): Finding[] {
  const check = 'certificate status';
  const rules = snapshot.trust.ocsp;
  if (rules === undefined || rules.mode === 'off') return [ok(check, 'the configuration asks for no OCSP answer')];
  const answer = readAnswers(join(folder, ANSWER_FILE)).find(({ certificate }) => certificate === signing);
  if (answer === undefined) {
    const none = 'no OCSP answer for the signing certificate';
    return [rules.mode === 'require' ? warn(check, 'CERTIFICATE_STATUS_MISSING', none) : ok(check, none)];
  }
  const untilMs = countsUntilMs(answer, rules.freshnessMs);
  const detail = `signing certificate ${answer.status}, ${minutes(nowMs - answer.thisUpdateMs)} minutes old, until ${new Date(untilMs).toISOString()}`;
  if (answer.status === 'revoked') return [fail(check, 'CERTIFICATE_INVALID', detail)];
  return [nowMs > untilMs ? warn(check, 'CERTIFICATE_STATUS_MISSING', detail) : ok(check, detail)];
}

/** @param isSet whether the settings name a destination. @throws LOG_MISSING, LOG_DATABASE_DAMAGED, ARCHIVE_* */
export function checkArchive(folder: string, isSet: boolean): Finding[] {
  const check = 'archive';
  const place = join(folder, LOG_PLACES.log);
  const [record] = showLog(place, { id: 'archived' }, 1);
  const origin = originOfFolder(place, join(folder, LOG_PLACES.checkpointFile)) ?? '';
  const closed = closedLogs(place, origin).map((one) => checkClosed(one, isSet));
  if (record === undefined) return [ok(check, isSet ? 'nothing is archived yet' : 'none is set'), ...closed];
  const { to } = parseManifest(record.evidence?.statement ?? Buffer.alloc(0));
  const last = `entries before ${to}, last ${new Date(record.entry.t).toISOString()}`;
  return [ok(check, isSet ? last : `${last}; the settings name no destination any more`), ...closed];
}

/** A log that was closed keeps what cannot go: what was signed by nobody, and where it is damaged all of it. */
function checkClosed(place: ClosedPlace, isSet: boolean): Finding {
  const check = 'archive';
  try {
    const { origin, entries, archivedUntil, signedUntil } = closedState(place);
    const rest = entries > signedUntil ? `; ${entries - signedUntil} entries are under no checkpoint and stay` : '';
    if (archivedUntil >= signedUntil) return ok(check, `closed log ${origin}: all ${archivedUntil} entries${rest}`);
    const said = `closed log ${origin}: entries before ${archivedUntil} of ${signedUntil}${rest}`;
    return ok(check, isSet || archivedUntil === 0 ? said : `${said}; the settings name no destination any more`);
  } catch (error) {
    if (!isAccordError(error)) throw error;
    return warn(check, error.code, `closed log ${place.origin}: ${error.detail}`);
  }
}

const minutes = (ms: number) => Math.floor(ms / 60_000);
