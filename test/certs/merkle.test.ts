// The tree of RFC 9162 against the published vectors of Certificate Transparency (eight leaves), and laws over any tree.
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import {
  consistencyProof,
  EMPTY_ROOT,
  Frontier,
  foldHashes,
  InclusionChecker,
  inclusionProof,
  leafHash,
  nodeHash,
  rootOfLeaves,
  type SubtreeReader,
  verifyConsistency,
  verifyInclusion,
} from '#certs/merkle.ts';

// The test tree of the Certificate Transparency project.
const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map(
  (hex) => leafHash(Buffer.from(hex, 'hex')),
);
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];
const INCLUSION: [index: number, size: number, path: string[]][] = [
  [0, 1, []],
  [
    0,
    8,
    [
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ],
  ],
  [
    5,
    8,
    [
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  ],
  [2, 3, ['fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125']],
  [
    1,
    5,
    [
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ],
  ],
];
const CONSISTENCY: [first: number, second: number, proof: string[]][] = [
  [1, 1, []],
  [
    1,
    8,
    [
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ],
  ],
  [
    6,
    8,
    [
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  ],
  [
    2,
    5,
    [
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ],
  ],
];

const over =
  (leaves: readonly Buffer[]): SubtreeReader =>
  (height, index) =>
    foldHashes(leaves.slice(index * 2 ** height, (index + 1) * 2 ** height));
const hex = (hashes: readonly Uint8Array[]) => hashes.map((hash) => Buffer.from(hash).toString('hex'));

/** The definition of RFC 9162 section 2.1.1, word for word. */
function treeHash(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return createHash('sha256').digest();
  if (leaves.length === 1) return leaves[0]!;
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return nodeHash(treeHash(leaves.slice(0, k)), treeHash(leaves.slice(k)));
}

function frontierOf(leaves: readonly Buffer[]): Frontier {
  const frontier = new Frontier();
  for (const leaf of leaves) frontier.push(leaf);
  return frontier;
}

t.test('the published eight-leaf tree: roots, inclusion and consistency', async (t) => {
  for (const [size, root] of ROOTS.entries()) {
    t.equal(frontierOf(LEAVES.slice(0, size)).root().toString('hex'), root, `root at ${size}`);
  }
  for (const [index, size, path] of INCLUSION) {
    const made = inclusionProof(index, size, over(LEAVES));
    t.same(hex(made), path, `inclusion ${index} of ${size}`);
    t.ok(verifyInclusion(LEAVES[index]!, index, size, made, Buffer.from(ROOTS[size]!, 'hex')));
  }
  for (const [first, second, proof] of CONSISTENCY) {
    const made = consistencyProof(first, second, over(LEAVES));
    t.same(hex(made), proof, `consistency ${first} to ${second}`);
    const [a, b] = [Buffer.from(ROOTS[first]!, 'hex'), Buffer.from(ROOTS[second]!, 'hex')];
    t.ok(verifyConsistency(first, second, a, b, made));
  }
});

t.test('every proof of every small tree is accepted, and no altered one', async (t) => {
  const leaves = Array.from({ length: 20 }, (_, i) => leafHash(`leaf ${i}`));
  let [accepted, refused] = [0, 0];
  const wrong = (proof: Buffer[], root: Buffer): Buffer[][] => [
    [...proof, root],
    proof.slice(0, -1),
    proof.slice(1),
    [...proof].reverse(),
    proof.map((hash) => nodeHash(hash, hash)),
  ];
  for (let size = 1; size <= leaves.length; size++) {
    const root = treeHash(leaves.slice(0, size));
    for (let index = 0; index < size; index++) {
      const path = inclusionProof(index, size, over(leaves));
      if (verifyInclusion(leaves[index]!, index, size, path, root)) accepted++;
      else t.fail(`inclusion ${index} of ${size}`);
      for (const other of wrong(path, root).filter((proof) => hex(proof).join() !== hex(path).join())) {
        if (verifyInclusion(leaves[index]!, index, size, other, root)) t.fail(`altered inclusion ${index} of ${size}`);
        else refused++;
      }
      for (const i of [index - 1, index + 1, size, -1, 0.5]) {
        if (verifyInclusion(leaves[index]!, i, size, path, root)) t.fail(`inclusion ${index} as ${i} of ${size}`);
      }
    }
    for (let first = 0; first <= size; first++) {
      const proof = consistencyProof(first, size, over(leaves));
      const before = treeHash(leaves.slice(0, first));
      if (verifyConsistency(first, size, before, root, proof)) accepted++;
      else t.fail(`consistency ${first} to ${size}`);
      for (const other of wrong(proof, root).filter((each) => hex(each).join() !== hex(proof).join())) {
        if (verifyConsistency(first, size, before, root, other)) t.fail(`altered consistency ${first} to ${size}`);
        else refused++;
      }
      if (first > 0 && first < size && verifyConsistency(first, size, nodeHash(before, before), root, proof)) {
        t.fail(`another root at ${first}`);
      }
    }
  }
  t.equal(accepted, 210 + 230);
  t.ok(refused > 1_000, `${refused} altered proofs refused`);
  t.throws(() => inclusionProof(3, 3, over(leaves)), RangeError);
  t.throws(() => consistencyProof(4, 3, over(leaves)), RangeError);
});

t.test('the frontier agrees with the definition, with a stored tree, and with its tiles', async (t) => {
  const all = Array.from({ length: 1_500 }, (_, i) => leafHash(`${i}`));
  fc.assert(
    fc.property(fc.nat(1_500), fc.nat(1_500), (a, b) => {
      const [first, second] = [Math.min(a, b), Math.max(a, b)];
      const root = treeHash(all.slice(0, second));
      const frontier = Frontier.at(first, over(all));
      const copy = frontier.copy();
      const tiles: [number, number, string][] = [];
      for (const leaf of all.slice(first, second)) {
        frontier.push(leaf, (height, index, hash) => tiles.push([height, index, hash.toString('hex')]));
      }
      const complete = Math.floor(second / 256) - Math.floor(first / 256);
      return (
        frontier.size === second &&
        frontier.root().equals(root) &&
        copy.root().equals(treeHash(all.slice(0, first))) &&
        tiles.length === complete &&
        tiles.every(([height, index, hash]) => height === 8 && over(all)(8, index).toString('hex') === hash) &&
        verifyConsistency(first, second, copy.root(), root, consistencyProof(first, second, over(all))) &&
        (second === 0 ||
          verifyInclusion(
            all[first % second]!,
            first % second,
            second,
            inclusionProof(first % second, second, over(all)),
            root,
          ))
      );
    }),
    { numRuns: 60 },
  );
  t.ok(new Frontier().root().equals(EMPTY_ROOT));
  const sizes = Array.from({ length: 256 }, (_, i) => i + 1);
  const wrong = sizes.filter(
    (size) => !rootOfLeaves(Buffer.concat(all.slice(0, size))).equals(treeHash(all.slice(0, size))),
  );
  t.same(wrong, [], 'leaves in one piece, of every size of a tile or a batch');
  for (const bytes of [0, 31, 33, 257 * 32]) t.throws(() => rootOfLeaves(Buffer.alloc(bytes)), TypeError, `${bytes}`);
});

t.test('many proofs of one tree: the same answers as one by one, right and wrong', async (t) => {
  let [right, wrong] = [0, 0];
  const tree = fc.record({
    size: fc.integer({ min: 1, max: 70 }),
    order: fc.array(fc.nat(), { minLength: 1, maxLength: 40 }),
  });
  const change = fc.constantFrom('none', 'none', 'leaf', 'sibling', 'short', 'long', 'index');
  fc.assert(
    fc.property(tree, fc.array(change, { minLength: 40, maxLength: 40 }), ({ size, order }, changes) => {
      const leaves = Array.from({ length: size }, (_, i) => leafHash(`leaf ${i}`));
      const subtree: SubtreeReader = (height, index) =>
        foldHashes(leaves.slice(index * 2 ** height, (index + 1) * 2 ** height));
      const root = Frontier.at(size, subtree).root();
      const checker = new InclusionChecker(size, root);
      for (const [i, pick] of order.entries()) {
        const index = pick % size;
        const path = inclusionProof(index, size, subtree);
        let [leaf, at] = [leaves[index]!, index];
        const other = leafHash(`other ${pick}`);
        if (changes[i] === 'leaf') leaf = other;
        if (changes[i] === 'sibling' && path.length > 0) path[pick % path.length] = other;
        if (changes[i] === 'short') path.pop();
        if (changes[i] === 'long') path.push(other);
        if (changes[i] === 'index') at = (index + 1) % (size + 1);
        const expected = verifyInclusion(leaf, at, size, path, root);
        if (expected) right++;
        else wrong++;
        if (checker.verify(leaf, at, path) !== expected) throw new Error(`${changes[i]} at ${index} of ${size}`);
      }
    }),
    { numRuns: 600 },
  );
  t.ok(right > 500 && wrong > 500, `${right} right, ${wrong} wrong`);
});
