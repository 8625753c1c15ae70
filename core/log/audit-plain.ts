// Entries that differ from one judged before in nothing but their numbers, ids and hashes, as nearly all of a log do: such a
// row is compared in bytes (audit-forms.ts), never read. It is taken only where the whole judgement (audit-entries.ts) would
// find nothing: it has the form of the other, both hashes of the statement are right, the leaf, the place in the signed
// batch, and for an answer its request among the last ones. Whatever else there is goes to the whole judgement, which also
// says what is wrong. Whoever held the disk controls all bytes.
import { sha256 } from '#certs/commitment.ts';
import { HASH_BYTES, sha256Text } from '#certs/merkle.ts';
import { isAccordError } from '#schemas/problems.ts';
import type { Batches } from './audit-batches.ts';
import { type Form, HASH_TEXT_BYTES, ID_AT, ROW_BYTES, RowInHand, UUID_BYTES } from './audit-forms.ts';
import type { RecentStatements } from './audit-recent.ts';
import { PLACE, PLACE_IN_BATCH, PLACES, type StoredPage } from './stored-page.ts';

/** Forms that are known at a time; numbers of another length make another form. */
const MAX_FORMS = 256;
/** A log in which most rows are unlike all that are known takes no more new ones than this. */
const TRIAL = 128;

export class PlainRows {
  readonly #batches: Batches;
  readonly #recent: RecentStatements;
  readonly #row = new RowInHand();
  /** By the lengths of line and statement; the one that was met last comes first. */
  readonly #forms = new Map<number, Form[]>();
  #known = 0;
  #added = 0;
  #met = 0;

  constructor(batches: Batches, recent: RecentStatements) {
    this.#batches = batches;
    this.#recent = recent;
  }

  /** Its time when the row is plainly right, -1 when the whole judgement has to say. @throws Finding: who signed */
  judge(page: StoredPage, row: number, seq: number, notBeforeMs: number): number {
    const { bytes, places } = page;
    const base = row * PLACES;
    const isOther = places[base + PLACE.idLength] !== UUID_BYTES || places[base + PLACE.seq] !== seq;
    const forms = isOther ? undefined : this.#forms.get(lengths(places, base));
    const any = forms?.[0];
    if (forms === undefined || any === undefined || !isAsLong(any, places, base)) return -1;
    this.#row.take(bytes, places[base + PLACE.leaf] as number, any.bytes);
    for (let i = 0; i < forms.length; i++) {
      const form = forms[i] as Form;
      const t = this.#row.timeIn(form, seq);
      if (t < 0) continue;
      if (i > 0) forms.unshift(...forms.splice(i, 1));
      if (t < notBeforeMs || !this.#isRight(page, row, form, seq)) return -1;
      this.#met++;
      return t;
    }
    return -1;
  }

  #isRight(page: StoredPage, row: number, form: Form, seq: number): boolean {
    const { bytes } = this.#row;
    const leaf = sha256Text(form.line);
    if (page.isWithoutLeaves === undefined) {
      for (let i = 0; i < HASH_BYTES; i++) if (bytes[i] !== leaf.charCodeAt(i)) return false;
    } else page.bytes.write(leaf, page.places[row * PLACES + PLACE.leaf] ?? 0, HASH_BYTES, 'latin1');
    const hash = sha256(form.statement);
    const { statementHash, request } = form;
    for (let i = 0; i < HASH_TEXT_BYTES; i++) if (bytes[statementHash + i] !== hash.charCodeAt(i)) return false;
    if (request >= 0 && !this.#recent.has(bytes, ID_AT, UUID_BYTES, bytes, request)) return false;
    if (!this.#standsInBatch(page, row, form, seq, sha256Text(form.labelled))) return false;
    // What is asked for later is mostly a request; everything else is found in the log.
    if (request < 0) this.#recent.add(bytes, ID_AT, UUID_BYTES, hash);
    return true;
  }

  #standsInBatch(
    { bytes, places, signatures }: StoredPage,
    row: number,
    form: Form,
    seq: number,
    leaf: string,
  ): boolean {
    const base = row * PLACES;
    const key = signatures[row];
    if (key === null || key === undefined) return false;
    const pathLength = places[base + PLACE_IN_BATCH.pathLength] as number;
    const pathAt = (places[base + PLACE.leaf] as number) + form.bytes;
    const place = {
      seq,
      index: places[base + PLACE_IN_BATCH.index] as number,
      size: places[base + PLACE_IN_BATCH.size] as number,
      path: pathLength < 0 ? null : bytes.subarray(pathAt, pathAt + pathLength),
    };
    try {
      return this.#batches.stands(key, this.#row.bytes, form.signature, place, leaf);
    } catch (error) {
      if (isAccordError(error)) return false;
      throw error;
    }
  }

  /** Takes the form of a row of which the whole judgement found nothing. */
  learn({ bytes, places }: StoredPage, row: number): void {
    if (this.#added >= TRIAL && this.#met < 4 * this.#added) return;
    const base = row * PLACES;
    const [lineLength, statementLength] = [
      places[base + PLACE.lineLength] ?? 0,
      places[base + PLACE.statementLength] ?? 0,
    ];
    const length = ROW_BYTES + lineLength + statementLength;
    if (statementLength < 0 || places[base + PLACE.idLength] !== UUID_BYTES || !RowInHand.fits(length)) return;
    this.#row.take(bytes, places[base + PLACE.leaf] as number, length);
    const form = this.#row.form(lineLength, statementLength);
    if (form === null) return;
    this.#added++;
    if (++this.#known > MAX_FORMS) {
      this.#forms.clear();
      this.#known = 1;
    }
    const key = lengths(places, base);
    this.#forms.set(key, [form, ...(this.#forms.get(key) ?? [])]);
  }
}

/** What rows and forms are sought by: two pairs of lengths that are beyond all reason may have the same. */
function lengths(places: Float64Array, base: number): number {
  return (places[base + PLACE.lineLength] as number) * 65_536 + (places[base + PLACE.statementLength] as number);
}

function isAsLong({ line, statement }: Form, places: Float64Array, base: number): boolean {
  return (
    places[base + PLACE.lineLength] === line.length - 1 && places[base + PLACE.statementLength] === statement.length
  );
}
