// One piece of work for all that a turn of the event loop brings: one signature, one commit, one write. Under load a turn
// brings everybody at once, and who works on all of them before the first goes on leaves the next server idle meanwhile,
// which then does the same. So what came goes on as soon as there is enough of it to be worth a batch, and both work side
// by side (docs/performance.md has the gain).

/** From so many on the end of the turn is not waited for. What one callback brings is never cut. */
const ENOUGH = 16;

export class TurnEnd {
  readonly #work: () => void;
  #count = 0;
  #immediate: NodeJS.Immediate | undefined;

  /** @param work on all that waits, which may be nothing; throws nothing */
  constructor(work: () => void) {
    this.#work = work;
  }

  /** One more waits: it is worked on when the turn ends, or, when enough wait, as soon as nothing else of this callback is to do. */
  add(): void {
    this.#count += 1;
    if (this.#count < ENOUGH) {
      this.#immediate ??= setImmediate(() => this.#run());
    } else if (this.#count === ENOUGH) {
      clearImmediate(this.#immediate);
      // Behind all promises that are settled by now: what was signed together is logged and sent together.
      process.nextTick(() => this.#run());
    }
  }

  #run(): void {
    this.#count = 0;
    this.#immediate = undefined;
    this.#work();
  }
}
