// The short form of campaign `stream`, whose processes are weighed.
import t from 'tap';
import { together } from './together.ts';

together(t, 'scripts/campaign-s*.test.ts');
