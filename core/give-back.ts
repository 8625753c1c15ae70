// Bodies pass through a server in pieces that live for a moment. The bytes of a piece lie outside V8's heap, where its
// collector comes late: what a dozen fast transfers leave behind meanwhile is many times what they need. Whoever had the
// last use of a piece therefore gives its memory back at once. Nothing from outside is read here.

/**
 * Frees the memory of a piece that nobody else holds: no view of it, and no write to a socket or a file that is still
 * under way. Afterwards it is empty. What is part of a larger piece (Node's pool, a slice) is left to the collector.
 */
export function giveBack(piece: Uint8Array): void {
  const { buffer } = piece;
  const isWhole = piece.byteOffset === 0 && piece.length === buffer.byteLength;
  if (isWhole && piece.length > 0 && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
