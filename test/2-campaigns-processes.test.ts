// Short forms of the campaigns with processes of their own that are killed.
import t from 'tap';
import { together } from './together.ts';

together(t, 'scripts/campaign-[kr]*.test.ts');
