// When the work of a turn is done: what one callback brings together, and enough of it before the turn is over.
import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { TurnEnd, underWay } from '#core/turn-end.ts';

/** What was worked on together, when each of these callbacks of one turn brought so many. */
async function batches(callbacks: readonly number[]): Promise<number[]> {
  const done: number[] = [];
  let waiting = 0;
  const turn = new TurnEnd(() => {
    done.push(waiting);
    waiting = 0;
  });
  for (const count of callbacks) {
    // Immediates that wait together run in one turn, one callback after the other, as those of sockets do.
    setImmediate(() => {
      // One promise behind the other, as what is signed together is logged.
      let settled = Promise.resolve();
      for (let at = 0; at < count; at += 1) {
        settled = settled.then(() => {
          waiting += 1;
          turn.add();
        });
      }
    });
  }
  for (let turns = 0; turns < 3; turns += 1) await nextTurn();
  t.equal(waiting, 0, 'nothing waits for ever');
  return done;
}

for (const [name, exchanges, callbacks, expected] of [
  ['a few: once, at the end of the turn', 64, [1, 2, 3], [6]],
  ['enough: as soon as they are there, and the rest at the end', 64, [10, 10, 10], [20, 10]],
  ['each time', 64, [16, 16, 1], [16, 16, 1]],
  ['what one callback brings is not cut', 64, [64, 2], [64, 2]],
  ['nor what came before it', 64, [15, 200], [215]],
  ['where less is under way, less is enough', 16, [4, 4, 4, 4], [8, 8]],
  ['but no fewer than eight', 1, [7, 1, 7], [8, 7]],
  ['and sixteen are always enough', 1_000, [16, 15], [16, 15]],
] as const) {
  t.test(name, async (t) => {
    underWay.count = exchanges;
    t.same(await batches(callbacks), expected);
  });
}
