// Of test/cli/, what begins with a letter from d on.
import t from 'tap';
import { together } from './together.ts';

together(t, 'cli/[d-z]*.test.ts');
