// All of test/core/.
import t from 'tap';
import { together } from './together.ts';

together(t, 'core/*.test.ts');
