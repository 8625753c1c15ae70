// Of test/security-server/, what begins with a letter from e to m.
import t from 'tap';
import { together } from './together.ts';

together(t, 'security-server/[e-m]*.test.ts');
