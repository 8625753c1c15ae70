// The demonstration, its people and its databases; and the benchmark.
import t from 'tap';
import { together } from './together.ts';

together(t, 'scripts/demo*.test.ts', 'scripts/residents.test.ts', 'scripts/bench.test.ts');
