// The body of an answer that is written piece by piece: the next is asked for when the system has taken the last, so that one transfer
// holds one piece of memory however slowly it is read. The reader controls how fast that is, and when it hangs up.
import type { ServerResponse } from 'node:http';
import { finished } from 'node:stream/promises';
import { giveBack } from '#core/give-back.ts';

/**
 * Writes the body and ends the answer; resolves when the system has all of it.
 * @param body bytes that stay the caller's; or pieces, each of which is this function's own from then on
 * @throws what the pieces throw, and an error when the connection ends before; the answer has to be destroyed then
 */
export async function writeOut(response: ServerResponse, body: Buffer | AsyncIterable<Buffer>): Promise<void> {
  response.on('error', ignored);
  if (Buffer.isBuffer(body)) await written(response, body);
  else {
    for await (const piece of body) {
      await written(response, piece);
      giveBack(piece);
    }
  }
  response.end();
  await finished(response);
}

/** What an error means is heard where it is written and waited for. */
function ignored(): void {}

/** Also of a connection that ends without a word to what still waits to be written. */
function written(response: ServerResponse, piece: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const hungUp = () => reject(new Error('the connection ended'));
    if (response.destroyed || response.closed) {
      hungUp();
      return;
    }
    response.once('close', hungUp);
    response.write(piece, (error) => {
      response.off('close', hungUp);
      if (error) reject(error);
      else resolve();
    });
  });
}
