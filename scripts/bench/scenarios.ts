// What is measured, one row each. A turn's length is a share of `--seconds`.
import type { Size } from './assistance.ts';
import type { VariantName } from './variants.ts';

export interface Scenario {
  /** As `--only` names it. */
  name: string;
  title: string;
  concurrency: number;
  mix: readonly { size: Size; perThousand: number }[];
  variants: readonly VariantName[];
  /** Also in the one-minute form. */
  quick: boolean;
}

const all: readonly VariantName[] = ['nginx', 'plain', 'safe', 'write'];
const reads: readonly VariantName[] = ['nginx', 'plain', 'safe'];
const only = (size: Size) => [{ size, perThousand: 1000 }];

/** Shares of real traffic, by requests: most bytes are in few of them. */
const MIX: Scenario['mix'] = [
  { size: '2k', perThousand: 300 },
  { size: '10k', perThousand: 600 },
  { size: '100k', perThousand: 90 },
  { size: '2m', perThousand: 9 },
  { size: '10m', perThousand: 1 },
];

export const SCENARIOS: readonly Scenario[] = [
  { name: 'at64', title: '1 KiB, 64 at once', concurrency: 64, mix: only('1k'), variants: all, quick: true },
  { name: 'at16', title: '1 KiB, 16 at once', concurrency: 16, mix: only('1k'), variants: all, quick: true },
  { name: 'at1', title: '1 KiB, one after the other', concurrency: 1, mix: only('1k'), variants: all, quick: true },
  { name: 'at256', title: '1 KiB, 256 at once', concurrency: 256, mix: only('1k'), variants: all, quick: false },
  { name: '100k', title: '100 KiB, 16 at once', concurrency: 16, mix: only('100k'), variants: reads, quick: false },
  {
    name: '10m',
    title: '10 MiB, one after the other',
    concurrency: 1,
    mix: only('10m'),
    variants: reads,
    quick: false,
  },
  { name: '16x10m', title: '10 MiB, 16 at once', concurrency: 16, mix: only('10m'), variants: ['safe'], quick: false },
  { name: 'mix', title: '2 KiB to 10 MiB, 16 at once', concurrency: 16, mix: MIX, variants: reads, quick: false },
];
