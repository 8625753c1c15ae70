// All of test/docs/.
import t from 'tap';
import { together } from './together.ts';

together(t, 'docs/*.test.ts');
