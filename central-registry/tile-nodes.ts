// Hashes of complete subtrees of the aggregate log, with a tile's inner nodes computed once: after each minute's checkpoint
// every server asks for the proof of its leaf, and those leaves stand beside one another.
import { nodeHash, TILE_HEIGHT, TILE_WIDTH } from '#certs/merkle.ts';
import { AccordError } from '#schemas/problems.ts';

/** Tiles whose nodes are kept: 16 KiB each, and the leaves of 10,000 servers fill 40. */
const MAX_TILES = 512;

/** Hashes of a tile's level from its first on, as many as there are. */
export type TileReader = (level: number, tile: number) => Buffer[];

export class TileNodes {
  readonly #read: TileReader;
  /** By level and number: the nodes by height in the tile. In the order of last use. */
  readonly #tiles = new Map<string, Buffer[][]>();

  constructor(read: TileReader) {
    this.#read = read;
  }

  /** @throws LOG_DATABASE_DAMAGED when the log does not hold it */
  readonly subtree = (height: number, index: number): Buffer => {
    const level = Math.floor(height / TILE_HEIGHT);
    const inTile = height - level * TILE_HEIGHT;
    const perTile = TILE_WIDTH / 2 ** inTile;
    const [tile, at] = [Math.floor(index / perTile), index % perTile];
    const hash = this.#nodes(level, tile, inTile, at);
    if (hash === undefined) throw new AccordError('LOG_DATABASE_DAMAGED', `no subtree ${height}/${index}`);
    return hash;
  };

  #nodes(level: number, tile: number, inTile: number, at: number): Buffer | undefined {
    const name = `${level}/${tile}`;
    const known = this.#tiles.get(name);
    const hash = known?.[inTile]?.[at];
    if (known !== undefined && hash !== undefined) {
      this.#tiles.delete(name);
      this.#tiles.set(name, known);
      return hash;
    }
    // Complete subtrees never change; a tile that was not full may have more of them by now.
    const nodes = [this.#read(level, tile)];
    for (let below = nodes[0] ?? []; below.length > 1; nodes.push(below)) {
      const above: Buffer[] = [];
      for (let i = 0; i + 1 < below.length; i += 2) above.push(nodeHash(below[i] as Buffer, below[i + 1] as Buffer));
      below = above;
    }
    this.#tiles.delete(name);
    this.#tiles.set(name, nodes);
    if (this.#tiles.size > MAX_TILES) this.#tiles.delete(this.#tiles.keys().next().value ?? '');
    return nodes[inTile]?.[at];
  }
}
