// One piece of work for all that a turn of the event loop brings: one signature, one commit, one write. Under load a turn
// brings everybody at once, and who works on all of them before the first goes on leaves the next server idle meanwhile,
// which then does the same. So what came goes on as soon as there is enough of it to be worth a batch, and both work side
// by side (docs/performance.md has the gain).

/** Batches into which what is under way is cut at the least, and how small and how large they are for that. */
const PARTS = 4;
const LEAST = 8;
const MOST = 16;

/** Exchanges of this process that have begun and not ended: all of them share its one loop. */
export const underWay = { count: 0 };

/** From so many on the end of the turn is not waited for. What one callback brings is never cut. */
const enough = (): number => Math.min(MOST, Math.max(LEAST, Math.ceil(underWay.count / PARTS)));

export class TurnEnd {
  readonly #work: () => void;
  #count = 0;
  /** It was enough, and will be worked on. */
  #isDue = false;
  #immediate: NodeJS.Immediate | undefined;

  /** @param work on all that waits, which may be nothing; throws nothing */
  constructor(work: () => void) {
    this.#work = work;
  }

  /** One more waits: it is worked on when the turn ends, or, when enough wait, as soon as nothing else of this callback is to do. */
  add(): void {
    this.#count += 1;
    if (this.#isDue) return;
    if (this.#count < enough()) {
      this.#immediate ??= setImmediate(() => this.#run());
      return;
    }
    this.#isDue = true;
    clearImmediate(this.#immediate);
    // Behind all promises that are settled by now: what was signed together is logged and sent together.
    process.nextTick(() => this.#run());
  }

  #run(): void {
    this.#count = 0;
    this.#isDue = false;
    this.#immediate = undefined;
    this.#work();
  }
}
