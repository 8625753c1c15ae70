import t from 'tap';
import { countMovedBytes } from '#core/moved-bytes.ts';

const MIB = 1024 * 1024;
const PIECE_BYTES = 64 * 1024;

t.test('what passes through and is dropped does not wait until the whole heap is full', (t) => {
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  for (let piece = 0; piece < 2_000; piece += 1) {
    Buffer.allocUnsafeSlow(PIECE_BYTES).fill(piece);
    countMovedBytes(PIECE_BYTES);
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  }
  t.ok(most >= 8 * MIB && most < 48 * MIB, `${most} bytes of the 125 MiB that passed`);
  t.equal(typeof (globalThis as { gc?: unknown }).gc, 'undefined', 'and nobody else comes by the collector');
  t.end();
});
