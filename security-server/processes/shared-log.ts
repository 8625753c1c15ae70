// One message log for several processes: one of them writes it, the others hand their records over and wait until they are
// durable, as they would wait for the disk. What one turn of a process's event loop brings goes over as one message, and
// becomes one commit there. A process that ends between the two leaves durable records of requests that were not sent,
// or not answered, as a crash does; settlement tells them.
import type { Appended, MessageLog, NewRecord, RecordView } from '#core/log/message-log.ts';
import type { SealedParts } from '#core/log/sealed-record.ts';
import { TurnEnd } from '#core/turn-end.ts';
import { AccordError, isProblemCode } from '#schemas/problems.ts';
import type { RequestLog } from '#security-server/server-parts.ts';
import { type Calls, failure } from './calls.ts';

type Settled = { appended: Appended } | { code: string; detail: string };

/** What the process that writes the log answers about it. */
export type LogAnswers = {
  append(records: readonly NewRecord[]): Promise<Settled[]>;
  find(asked: { from: string | null; id: string }): RecordView[];
  readSealed(seq: number): SealedParts | null;
};

export function answerForLog(log: Pick<MessageLog, 'append' | 'find' | 'readSealed'>): LogAnswers {
  return {
    // All of them in this turn, so that the log takes them as one.
    append: (records) =>
      Promise.all(
        records.map((record) =>
          log.append(record).then(
            (appended) => ({ appended }),
            (error: unknown) => failure(error),
          ),
        ),
      ),
    // Evidence is read when it is looked at; over there it could not be.
    find: ({ from, id }) => log.find(from, id).map((record) => ({ ...record, evidence: record.evidence })),
    readSealed: (seq) => log.readSealed(seq),
  };
}

interface Waiting {
  record: NewRecord;
  resolve: (appended: Appended) => void;
  reject: (error: AccordError) => void;
}

/** The log of another process. Its `append` resolves when the record is durable there. */
export function openLogElsewhere(origin: string, writer: Pick<Calls<LogAnswers>, 'ask'>): RequestLog {
  let waiting: Waiting[] = [];

  async function flush(): Promise<void> {
    const now = waiting;
    waiting = [];
    if (now.length === 0) return;
    try {
      const settled = await writer.ask(
        'append',
        now.map(({ record }) => record),
      );
      for (const [at, { resolve, reject }] of now.entries()) {
        const one = settled[at];
        if (one !== undefined && 'appended' in one) resolve(one.appended);
        else reject(failed(one));
      }
    } catch (cause) {
      // Whether it is durable is not known here any more; nothing may be sent or answered on it.
      for (const { reject } of now) reject(new AccordError('LOG_UNAVAILABLE', 'the process that writes it', { cause }));
    }
  }

  const turn = new TurnEnd(() => void flush());
  return {
    origin,
    append: (record) =>
      new Promise((resolve, reject) => {
        waiting.push({ record, resolve, reject });
        turn.add();
      }),
    find: (from, id) => writer.ask('find', { from, id }),
    readSealed: (seq) => writer.ask('readSealed', seq),
  };
}

function failed(settled: { code: string; detail: string } | undefined): AccordError {
  const { code, detail } = settled ?? { code: 'LOG_UNAVAILABLE', detail: '' };
  return new AccordError(isProblemCode(code) ? code : 'INTERNAL', detail);
}
