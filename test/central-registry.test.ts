// All of test/central-registry/.
import t from 'tap';
import { together } from './together.ts';

together(t, 'central-registry/*.test.ts');
