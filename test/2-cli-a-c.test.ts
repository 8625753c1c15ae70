// Of test/cli/, what begins with a letter up to c.
import t from 'tap';
import { together } from './together.ts';

together(t, 'cli/[a-c]*.test.ts');
