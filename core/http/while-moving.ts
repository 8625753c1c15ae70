// A body of any size may take its time, as long as it moves: a connection on which nothing came or went for a while is
// cut off. The other end controls how fast it sends and reads.
import type { Socket } from 'node:net';

const IDLE_MS = 30_000;

/** Watches the connection until what is returned is called; what waits inside the server shall not be watched. */
export function watchMoving(socket: Socket, idleMs: number = IDLE_MS): () => void {
  const cutOff = () => socket.destroy();
  socket.setTimeout(idleMs, cutOff);
  return () => {
    socket.off('timeout', cutOff);
    socket.setTimeout(0);
  };
}

/** Watches it while `work` reads from it or writes to it. */
export async function whileMoving<T>(socket: Socket, work: () => Promise<T>, idleMs: number = IDLE_MS): Promise<T> {
  const stop = watchMoving(socket, idleMs);
  try {
    return await work();
  } finally {
    stop();
  }
}
