// Of test/security-server/, what begins with a letter from s on.
import t from 'tap';
import { together } from './together.ts';

together(t, 'security-server/[s-z]*.test.ts');
