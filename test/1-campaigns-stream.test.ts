// Short forms of the campaigns whose processes are weighed.
import t from 'tap';
import { together } from './together.ts';

together(t, 'scripts/campaign-[os]*.test.ts');
