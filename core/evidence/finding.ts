// What a check of an evidence pack finds: the closed set of verdict codes. `failed`: something is not what it claims to be,
// so the pack proves nothing; `missing`: what is there is right, and something is not there. The shell script knows the
// same codes, and a test holds the two together.

/** Code → what it means for whoever reads the verdict. */
export const PACK_CODES = {
  // --- INVALID
  PACK_NOT_CANONICAL: 'The zip is not the one encoding of its files.',
  PACK_MALFORMED: 'A file of the pack is not in its one form, or has no place in a pack.',
  PACK_FILE_CHANGED: 'A file is not the one that the manifest names.',
  PACK_FILE_UNKNOWN: 'There is a file that the manifest does not name.',
  PACK_FILE_MISSING: 'A file that the manifest names is not there.',
  SEAL_WRONG: 'The seal is not a good signature of the exporting department over the manifest.',
  ROOT_NOT_ANCHORED: "No root in the pack is the one that the auditor's anchor names, or the chain from it is broken.",
  CONFIGURATION_WRONG: 'A configuration is not signed by two approvers of its root.',
  CONFIGURATION_PART_CHANGED: 'A part of a configuration is not the one that was approved.',
  CONFIGURATION_NOT_IN_FORCE: 'A configuration was not in force when the message was signed.',
  STATEMENT_MALFORMED: 'A statement is not in its one form.',
  STATEMENT_OTHER: 'A statement is not the one of this exchange, or the answer does not answer the request.',
  SIGNATURE_WRONG: 'A statement is not signed by the certificate beside it.',
  CERTIFICATE_NOT_REGISTERED: 'The signing certificate was not registered to the server that the statement names.',
  CERTIFICATE_INVALID: 'The signing certificate does not chain to a trusted authority, or was not valid at the time.',
  SUBSYSTEM_NOT_ON_SERVER: 'The client or the service was not registered on the server that spoke for it.',
  CERTIFICATE_REVOKED: 'The signing certificate had been revoked.',
  CERTIFICATE_STATUS_WRONG: 'The answer about the certificate is not a good one of its authority.',
  COMMITMENT_WRONG: 'A context or body is not the one that the statement commits to.',
  DESTRUCTION_WRONG: 'The certificate of destruction is not good, or does not cover this record.',
  DESTRUCTION_ENTRY_WRONG: 'The entries of the log about the destruction do not say what its certificate says.',
  DESTRUCTION_BY_ONE: 'One person alone had it destroyed.',
  DESTRUCTION_ORDER_WRONG: 'It was done before it was intended, or intended before the record was written.',
  ENTRY_WRONG: 'An entry of the log does not say what its statement says.',
  INCLUSION_WRONG: 'An entry does not stand in the tree of the checkpoint.',
  CHECKPOINT_WRONG: 'The checkpoint is not signed with the registered key of the log.',
  AGGREGATE_WRONG: "The aggregate log's checkpoint is not signed with its key, or does not hold this checkpoint.",
  COSIGNATURE_WRONG: 'A cosignature does not verify, or is of nobody whom the configuration names.',
  TIME_STAMP_WRONG: 'A time-stamp is not over this checkpoint, or not by an authority of the configuration.',
  TIME_WRONG: 'The log says that something was written later than the time-stamp over it.',
  // --- INCOMPLETE
  ROOT_MISSING: "The pack's roots do not reach the root that the auditor's anchor names.",
  ANSWER_MISSING: 'There is no answer: the pack proves the request alone.',
  CONFIGURATION_MISSING: 'The configuration that the message was judged under is not there.',
  CERTIFICATE_STATUS_MISSING: 'Nothing says whether the signing certificate had been revoked.',
  CONTENT_MISSING: 'A context or a body is not there, and no certificate says that it was destroyed.',
  DESTRUCTION_NOT_LOGGED: 'The certificate of destruction is there, but not the two entries of the log about it.',
  CHECKPOINT_MISSING: 'No signed checkpoint covers the entries.',
  AGGREGATE_MISSING: 'The checkpoint stands in no aggregate log.',
  QUORUM_MISSING: 'Fewer witnesses than the quorum vouch for the log.',
  TIME_STAMP_MISSING: 'No time-stamp says when the entries existed.',
} as const;

export type PackCode = keyof typeof PACK_CODES;

/** Thrown inside a check: what is there is wrong. */
export class PackFinding extends Error {
  readonly code: PackCode;
  readonly detail: string;

  constructor(code: PackCode, detail: string) {
    super(`${code} ${detail}`);
    this.name = 'PackFinding';
    this.code = code;
    this.detail = detail;
  }
}

/** Thrown inside a check: something is not there. */
export class PackGap extends PackFinding {
  constructor(code: PackCode, detail: string) {
    super(code, detail);
    this.name = 'PackGap';
  }
}
