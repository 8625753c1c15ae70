// All of test/policy/.
import t from 'tap';
import { together } from './together.ts';

together(t, 'policy/*.test.ts');
