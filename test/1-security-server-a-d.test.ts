// Of test/security-server/, what begins with a letter up to d.
import t from 'tap';
import { together } from './together.ts';

together(t, 'security-server/[a-d]*.test.ts');
