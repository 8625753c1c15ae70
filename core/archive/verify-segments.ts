// Verifies an archive, segment by segment from the log's first entry on, as an audit verifies the log: every entry's
// spelling, statement, signature and place in its batch, the tree over all of them, every checkpoint's signature and root, and
// what the log says of itself. Read back from a destination, before anything rests on it; whoever holds it controls every byte.
import { setImmediate } from 'node:timers/promises';
import { Frontier } from '#certs/merkle.ts';
import { type SignerKeys, signerAmong } from '#core/log/audit-batches.ts';
import { StoredCheckpoints } from '#core/log/audit-checkpoints.ts';
import { rangeVerifier } from '#core/log/audit-entries.ts';
import { Finding } from '#core/log/audit-finding.ts';
import { OwnEntries } from '#core/log/audit-own-entries.ts';
import { type Followed, follow } from '#core/log/audit-walk.ts';
import { KeyChain } from '#core/log/key-chain.ts';
import { type NoteVerifier, parseVerifierKey } from '#core/log/signed-note.ts';
import { AccordError } from '#schemas/problems.ts';
import type { Segment } from './read-segment.ts';
import { type Elsewhere, SegmentRows } from './segment-rows.ts';

/** Entries verified before others may run: some milliseconds. */
const AT_ONCE = 1_024;

/** Where a walk begins that does not begin with entry 0: at the end of an earlier segment. */
export interface WalkStart {
  frontier: Frontier;
  chain: KeyChain;
  lastMs: number;
  /** Checkpoints before. */
  checkpoints: number;
}

export interface WalkRules {
  origin: string;
  /** The log's first verifier key, C2SP text form. */
  verifierKey: string;
  /** Entries of exchanges in segments before the one that is verified. */
  elsewhere: Elsewhere;
  /** The log's root at a size before the start; null where it is not known. */
  rootAt?: (size: number) => Buffer | null;
  signers?: SignerKeys;
}

export class ArchiveWalk {
  readonly #rules: WalkRules;
  readonly #chain: KeyChain;
  readonly #own: OwnEntries;
  readonly #followed: Followed;
  /** Ends of segments. */
  readonly #roots = new Map<number, Buffer>();
  #checkpoints: StoredCheckpoints | null = null;
  #previous: SegmentRows | null = null;

  constructor(rules: WalkRules, start?: WalkStart) {
    const first = parseVerifierKey(rules.verifierKey);
    if (first.name !== rules.origin) throw new AccordError('LOG_ORIGIN_WRONG', first.name);
    this.#rules = rules;
    this.#chain = start?.chain ?? new KeyChain(first);
    this.#followed = {
      frontier: start?.frontier ?? new Frontier(),
      checkpoints: start?.checkpoints ?? 0,
      lastMs: start?.lastMs ?? 0,
      wrongTile: null,
    };
    this.#own = new OwnEntries(rules.origin, this.#chain, (size) => this.#rootAt(size));
    if (start !== undefined) this.#own.beginLater();
  }

  get frontier(): Frontier {
    return this.#followed.frontier;
  }

  /** Signed checkpoints that agreed so far. */
  get checkpoints(): number {
    return this.#followed.checkpoints;
  }

  /** Whether one of the log's keys so far is this one. */
  names(verifier: NoteVerifier): boolean {
    return this.#chain.names(verifier);
  }

  /** @throws Finding, and ARCHIVE_MALFORMED where the segment does not belong here */
  async take(segment: Segment): Promise<void> {
    const { origin, verifierKey, from, to, firstMs, lastMs, root, checkpoints } = segment.manifest;
    const { frontier } = this.#followed;
    const belongs = origin === this.#rules.origin && verifierKey === this.#rules.verifierKey && from === frontier.size;
    if (!belongs || checkpoints.from !== this.#followed.checkpoints) {
      throw new AccordError('ARCHIVE_MALFORMED', `the segment from entry ${from} does not go on here`);
    }
    const rows = new SegmentRows(segment, (id) => [...(this.#previous?.lines(id) ?? []), ...this.#rules.elsewhere(id)]);
    const judged = new StoredCheckpoints(rows, this.#chain, null, { number: checkpoints.from, size: from });
    this.#checkpoints = judged;
    judged.compare(this.#followed);
    const verify = rangeVerifier(rows, signerAmong(this.#rules.signers));
    for (let at = from; at < to; ) {
      const range = verify(at, Math.min(to, at + AT_ONCE));
      follow(range, rows, this.#followed, this.#own, judged);
      at = range.to;
      await setImmediate();
    }
    const { wrongTile } = this.#followed;
    if (wrongTile !== null) throw new Finding('LOG_TILE_WRONG', null, wrongTile);
    const isOf = segment.checkpoints.at(-1)?.note === segment.manifest.checkpoint;
    const times = firstMs === rows.timeOf(from) && lastMs === rows.timeOf(to - 1);
    if (!isOf || !times)
      throw new AccordError('ARCHIVE_MALFORMED', `the manifest from entry ${from} says something else`);
    const isAtEnd = frontier.size === to && this.#followed.checkpoints === checkpoints.to;
    if (!isAtEnd || frontier.root().toString('base64url') !== root) {
      throw new Finding('LOG_ENTRY_CHANGED', null, `the segment from entry ${from} does not end at its own root`);
    }
    this.#roots.set(to, frontier.root());
    this.#previous = rows;
  }

  #rootAt(size: number): Buffer | null {
    return this.#roots.get(size) ?? this.#checkpoints?.rootAt(size) ?? this.#rules.rootAt?.(size) ?? null;
  }
}
