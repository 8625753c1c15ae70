// Rows of the one table of errors (problems.ts) that evidence needs: witnesses, time-stamps, erasure, packs, archives.
import { row } from './problem-row.ts';

// biome-ignore format: one row, one line, so that the table stays a table
export const EVIDENCE_PROBLEMS = {
  // --- time-stamps (certs/time-stamp*.ts, core/time-stamp-client.ts)
  TIME_STAMP_MALFORMED: row(400, 'A time-stamp is not what RFC 3161 describes', 'caller', 'Look at it with `openssl ts -reply -token_in -text`; ask the authority for another one.'),
  TIME_STAMP_REFUSED: row(502, 'A time-stamp authority refused', 'caller', 'Ask the authority what the status in the detail means; the next authority was asked.'),
  TIME_STAMP_IMPRINT_WRONG: row(409, 'A time-stamp is over something else', 'caller', 'Keep both as evidence: this token does not belong to this checkpoint.'),
  TIME_STAMP_NONCE_WRONG: row(409, 'A time-stamp answers another request', 'caller', 'Ask again; if it comes back, someone replays old answers on the way to the authority.'),
  TIME_STAMP_DIGEST_WRONG: row(409, 'The contents of a time-stamp were changed', 'caller', 'Keep it as evidence and get the token from where it was first kept.'),
  TIME_STAMP_SIGNER_WRONG: row(409, 'A time-stamp does not name its signing certificate as it has to', 'caller', 'Compare the certificates of the authority in the configuration with those it uses now.'),
  TIME_STAMP_ALGORITHM_REFUSED: row(409, 'A time-stamp is signed with an algorithm that is not allowed here', 'caller', 'Ask the authority for RSA (2048 bits or more) or ECDSA (P-256, P-384) with SHA-2.'),
  TIME_STAMP_SIGNATURE_WRONG: row(409, 'The signature of a time-stamp does not verify', 'caller', 'Keep it as evidence and get the token from where it was first kept.'),
  TIME_STAMP_UNTRUSTED: row(409, 'A time-stamp is not from an authority that is trusted here', 'caller', 'The detail names the rule of the certification path; check the certificates of the authority with `accord registry time-stamps`.'),
  TIME_STAMP_CLOCK_DIFFERS: row(502, 'A time-stamp authority and this server disagree about the time by more than five minutes', 'operator', 'Check the clock of this server first; if all authorities differ it is this one.'),
  TIME_STAMP_UNAVAILABLE: row(503, 'No time-stamp authority gave a token', 'operator', 'The detail names each authority and what went wrong; exchanges go on within the period of grace. See docs/operations.md, section Time-stamps.'),
  TIME_STAMP_FROM_FUTURE: row(409, 'A time-stamp names a time that has not come', 'caller', 'Compare the clock of this machine with the authority: one of them is wrong.'),
  // --- certificate status (security-server/certificate-status/)
  CERTIFICATE_STATUS_UNREADABLE: row(500, 'The file with OCSP answers is damaged', 'operator', 'Restore certificate-status.json from its copy; without it, certificates that are known to be revoked would count again until their answers or lists come.'),
  OCSP_RESPONDER_FAILED: row(502, 'An OCSP responder did not answer as it should', 'operator', 'The detail names the responder and what went wrong; the answer at hand counts until its end.'),
  // --- witnesses and anchorings (core/witness/, central-registry/aggregate.ts)
  WITNESS_ORIGIN_UNKNOWN: row(404, 'The witness does not stand for a log of this origin', 'public', 'Register the server with its log, and wait until a configuration with it is published.'),
  WITNESS_KEY_WRONG: row(403, "A checkpoint is not signed by its log's registered key", 'public', 'Register the new checkpoint key of the log (`accord server renew`), or look who else uses its name.'),
  WITNESS_UNPROVEN: row(422, 'A checkpoint does not prove that it grew out of the one before', 'public', 'Send the consistency proof from the size that the witness names; if there is none, the log has two histories.'),
  WITNESS_BUDGET: row(429, 'One log asks for cosignatures too often', 'public', 'Ask once a minute.'),
  WITNESS_STOPPED: row(503, 'The witness cannot write its memory and cosigns nothing', 'public', 'Look at the disk of the witness, then start it again; never put its memory back from a backup.'),
  WITNESS_ANSWER_WRONG: row(502, 'A witness answered something that is no cosignature of a known key', 'operator', "Compare the witness's verifier keys with those in the configuration."),
  WITNESS_OFF: row(404, 'This registry is no witness', 'caller', 'Make its keys with `accord registry init-witness` and start it again.'),
  AGGREGATE_KEY_WRONG: row(500, "The aggregate log's last checkpoint was signed with another key", 'operator', 'Put the key file of the aggregate log back; it stays the same as long as its log.'),
  AGGREGATE_UNKNOWN: row(404, 'The aggregate log holds no such checkpoint', 'public', 'Give the checkpoint to the witness first.'),
  AGGREGATE_NOT_YET: row(404, 'The checkpoint has not been cosigned and time-stamped yet', 'public', 'Ask again in a minute.'),
  AGGREGATE_BEHIND: row(409, 'A witness knows a larger or another aggregate log than this one', 'operator', 'Look whether the memory of the witness was put back from a backup; keep both checkpoints as evidence.'),
  WITNESS_REFUSED: row(502, "The registry's witness refuses this log's checkpoints", 'operator', 'With status 403 or 404 register the log and its key (`accord server renew`) and let the content be approved; see docs/operations.md, section Witnesses.'),
  LOG_NOT_AS_WITNESSED: row(409, 'The witness knows another or a longer history of this log than this server has', 'operator', 'Put the newest copy of the log back, or close this log: `accord log new-origin --dir DIR --yes`. Keep both as evidence.'),
  ANCHORING_REFUSED: row(502, 'What the registry showed as an anchoring does not verify', 'operator', 'The detail names what was found; compare the witnesses in the configuration with those that cosign, and ask the registry.'),
  ANCHORING_LATE: row(503, 'The message log waits long for a time-stamp', 'operator', 'Exchanges go on. See docs/operations.md, section Time-stamps: `accord server anchoring` says whether the registry or the authorities are the trouble.'),
  ANCHORING_OVERDUE: row(503, 'The message log has waited too long for a time-stamp; new exchanges stop', 'caller', 'Try again later: the server goes on by itself as soon as its log has a time-stamp. Its operator finds the reason with `accord server anchoring`.', 'LoggingFailed'),
  ANCHORING_MALFORMED: row(400, 'An anchoring of the message log is malformed', 'public', 'Compare it with docs/evidence.md, section Anchoring; it is canonical JSON.'),
  // --- retention, destruction and holds (core/retention/)
  RETENTION_NOTE_MALFORMED: row(400, 'A note about retention is malformed', 'public', 'Compare it with docs/evidence.md, section Retention and erasure; it is canonical JSON.'),
  DESTRUCTION_MALFORMED: row(400, 'A certificate of destruction is malformed', 'public', 'Compare it with docs/evidence.md, section Retention and erasure.'),
  RECORD_KEY_NOT_DESTROYED: row(409, 'A record whose key was certified as destroyed can still be opened', 'operator', 'Keep the folder as evidence; find out from which copy the key store was put back, and destroy it again.'),
  RETENTION_CLASS_UNKNOWN: row(409, 'There is no such retention class on this server', 'caller', 'See `accord retention classes`; a new class is asked for with `accord retention class set` and approved by a second person.'),
  RETENTION_CHANGE_UNKNOWN: row(404, 'No change of this retention class waits for approval', 'caller', 'See `accord retention classes`.'),
  SAME_PERSON: row(409, 'A second person has to do this', 'caller', 'Let somebody else approve it, with a key of the admin API under another name.'),
  DESTRUCTION_UNKNOWN: row(404, 'There is no such request for destruction', 'caller', 'See `accord retention requests`.'),
  DESTRUCTION_CLOSED: row(409, 'The request for destruction was carried out or withdrawn', 'caller', 'See `accord retention show`; ask again if something is left to destroy.'),
  DESTRUCTION_NOT_DUE: row(409, 'There is nothing to destroy in what was asked for', 'caller', 'See `accord retention plan`; days of a class are destroyed when its longest time is over, single exchanges at any time.'),
  DESTRUCTION_HELD: row(409, 'A hold blocks the destruction', 'caller', 'See `accord retention hold list`; two persons may lift the hold.'),
  DESTRUCTION_UNDER_WAY: row(503, 'A destruction that was begun is not done yet', 'caller', 'See the alarms of this server; it goes on by itself when disk and signing key work again.'),
  DESTRUCTION_OVERDUE: row(409, 'Records are kept longer than their retention class allows', 'operator', 'Run `accord retention plan`, then request the destruction and let a second person approve it.'),
  HOLD_UNKNOWN: row(404, 'There is no such hold', 'caller', 'See `accord retention hold list`.'),
  HOLD_LIMIT: row(409, 'There are too many holds', 'caller', 'Lift those that are over, or hold a class or a period instead of single exchanges.'),
  // --- OCSP, packs, audits and archives
  EXCHANGE_NOT_FOUND: row(404, 'There is no signed request of this exchange in this log', 'caller', 'See `accord log show --id`; a closed log is read with --origin.'),
  EXCHANGE_AMBIGUOUS: row(409, 'Several servers used this id for an exchange', 'caller', 'Say which with --peer; the detail names them.'),
} as const;
