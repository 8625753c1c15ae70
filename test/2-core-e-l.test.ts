// Of test/core/, what begins with a letter from e to l: evidence.
import t from 'tap';
import { together } from './together.ts';

together(t, 'core/[e-l]*.test.ts');
