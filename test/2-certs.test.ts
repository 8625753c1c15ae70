// All of test/certs/.
import t from 'tap';
import { together } from './together.ts';

together(t, 'certs/*.test.ts');
