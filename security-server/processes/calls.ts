// Questions and answers between the process of a security server that writes its log and those that serve information
// systems beside it: one pipe each, made when it is started, messages in V8's own serialisation. Both ends are
// this program, started by one user; nothing from outside comes here unread. A pipe keeps the order, and ends with the
// process at its other end: then every question that waits is over, and nobody knows what became of it.
import { AccordError, isAccordError, isProblemCode } from '#schemas/problems.ts';

type Said =
  | { ask: number; name: string; value: unknown }
  | { told: number; value: unknown }
  | { told: number; code: string; detail: string };

/** What one end may be asked: by name, one argument. */
export type Answers = Readonly<Record<string, (value: never) => unknown>>;

interface Waiting {
  resolve: (value: never) => void;
  reject: (error: AccordError) => void;
}

/** One end of the pipe; `Other` is what the other end answers. */
export class Calls<Other extends Answers> {
  readonly #send: (message: Said) => void;
  readonly #failed: (error: unknown) => void;
  readonly #waiting = new Map<number, Waiting>();
  #answers: Answers = {};
  #next = 0;
  #ended = false;

  /**
   * @param send puts a message into the pipe; may throw when it is closed
   * @param failed told of an error without a code in an answer; the other end hears INTERNAL
   */
  constructor(send: (message: unknown) => void, failed: (error: unknown) => void) {
    this.#send = send;
    this.#failed = failed;
  }

  /** What the other end may ask from now on. */
  serve(answers: Answers): void {
    this.#answers = answers;
  }

  /** @throws what the other end throws with a code; PROCESS_ENDED when it is not there any more */
  ask<Name extends keyof Other & string>(
    name: Name,
    value: Parameters<Other[Name]>[0],
  ): Promise<Awaited<ReturnType<Other[Name]>>> {
    return new Promise((resolve, reject) => {
      if (this.#ended) throw new AccordError('PROCESS_ENDED', name);
      const ask = this.#next++;
      this.#waiting.set(ask, { resolve, reject });
      try {
        this.#send({ ask, name, value });
      } catch (cause) {
        this.#waiting.delete(ask);
        reject(new AccordError('PROCESS_ENDED', name, { cause }));
      }
    });
  }

  /** A message came out of the pipe. */
  heard(message: unknown): void {
    const said = message as Said;
    if ('ask' in said) return void this.#answer(said.ask, said.name, said.value);
    const waiting = this.#waiting.get(said.told);
    this.#waiting.delete(said.told);
    if (!('code' in said)) waiting?.resolve(said.value as never);
    else waiting?.reject(new AccordError(isProblemCode(said.code) ? said.code : 'INTERNAL', said.detail));
  }

  /** The pipe is closed. */
  end(): void {
    this.#ended = true;
    for (const { reject } of this.#waiting.values()) reject(new AccordError('PROCESS_ENDED'));
    this.#waiting.clear();
  }

  async #answer(told: number, name: string, value: unknown): Promise<void> {
    try {
      const answer = this.#answers[name];
      if (answer === undefined) throw new TypeError(`nobody answers ${name}`);
      this.#tell({ told, value: await answer(value as never) });
    } catch (error) {
      if (!isAccordError(error)) this.#failed(error);
      this.#tell({ told, ...failure(error) });
    }
  }

  /** Whoever asked may have ended meanwhile. */
  #tell(message: Said): void {
    try {
      if (!this.#ended) this.#send(message);
    } catch (error) {
      this.#failed(error);
    }
  }
}

/** What crosses the pipe of an error. */
export function failure(error: unknown): { code: string; detail: string } {
  return isAccordError(error)
    ? { code: error.code, detail: error.detail }
    : { code: 'INTERNAL', detail: String(error) };
}
