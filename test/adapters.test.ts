// All of test/adapters/.
import t from 'tap';
import { together } from './together.ts';

together(t, 'adapters/*.test.ts');
