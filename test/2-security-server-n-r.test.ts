// Of test/security-server/, what begins with a letter from n to r.
import t from 'tap';
import { together } from './together.ts';

together(t, 'security-server/[n-r]*.test.ts');
