// Of test/core/, what begins with a letter from m on: the message log, witnesses.
import t from 'tap';
import { together } from './together.ts';

together(t, 'core/[m-z]*.test.ts');
