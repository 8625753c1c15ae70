// A body of any size may take its time, as long as it moves: a connection on which next to nothing came or went for a
// while is cut off, and so is one whose unwanted rest does not end soon. The other end controls how fast it sends and reads.
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { BODY_IDLE_MS, MIN_MOVED_BYTES } from '#schemas/limits.ts';

/**
 * Watches the connection until what is returned is called; what waits inside the server shall not be watched.
 * @param idleMs in each such time at least MIN_MOVED_BYTES have to pass, so that single bytes keep nothing open
 */
export function watchMoving(socket: Socket, idleMs: number = BODY_IDLE_MS): () => void {
  const moved = () => socket.bytesRead + socket.bytesWritten;
  let before = moved();
  const timer = setInterval(() => {
    const now = moved();
    if (now - before < MIN_MOVED_BYTES) socket.destroy();
    before = now;
  }, idleMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** Watches it while `work` reads from it. */
export async function whileMoving<T>(
  socket: Socket,
  work: () => Promise<T>,
  idleMs: number = BODY_IDLE_MS,
): Promise<T> {
  const stop = watchMoving(socket, idleMs);
  try {
    return await work();
  } finally {
    stop();
  }
}

/**
 * What is sent moves in larger steps: the system takes some 1.6 MB at once from a slow reader's share, and asks for more
 * when all of it was read. A reader of 16 KiB a second is still put up with.
 */
const SENDING_FACTOR = 4;

/** Watches it while `work` writes to it. */
export async function whileTaken<T>(socket: Socket, work: () => Promise<T>, idleMs: number = BODY_IDLE_MS): Promise<T> {
  return whileMoving(socket, work, idleMs * SENDING_FACTOR);
}

/** Cuts the connection off unless the whole request came by then. */
export function arriveWithin(request: IncomingMessage, ms: number): void {
  const timer = setTimeout(() => {
    if (!request.complete) request.socket.destroy();
  }, ms);
  timer.unref();
  request.once('close', () => clearTimeout(timer));
}

const PASS_OVER_MS = 2_000;

/**
 * The rest of a body that nobody wants: read past for a moment, so that the answer arrives (a connection that is closed on
 * unread bytes takes the answer with it), then cut off.
 */
export function passOver(request: IncomingMessage): void {
  if (request.complete && request.readableEnded) return;
  arriveWithin(request, PASS_OVER_MS);
  request.on('error', () => {});
  request.resume();
}
