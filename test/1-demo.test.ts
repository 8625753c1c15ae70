// The demonstration. Groups that take longest begin with a 1, those that take long with a 2: tap starts them in the
// order of their names, and what is left at the end should be short.
import t from 'tap';
import { together } from './together.ts';

together(t, 'scripts/demo.test.ts');
