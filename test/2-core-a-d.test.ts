// Of test/core/, what begins with a letter up to d: archives, configuration.
import t from 'tap';
import { together } from './together.ts';

together(t, 'core/[a-d]*.test.ts');
