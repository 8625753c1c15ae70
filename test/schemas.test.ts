// All of test/schemas/.
import t from 'tap';
import { together } from './together.ts';

together(t, 'schemas/*.test.ts');
