// The benchmark, and the demonstration's people and databases.
import t from 'tap';
import { together } from './together.ts';

together(t, 'scripts/bench.test.ts', 'scripts/demo-*.test.ts', 'scripts/residents.test.ts');
