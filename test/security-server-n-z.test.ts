// Of test/security-server/, what begins with a letter from n on.
import t from 'tap';
import { together } from './together.ts';

together(t, 'security-server/[n-z]*.test.ts');
