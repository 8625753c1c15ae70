// Short forms of the campaigns in one process, and of those whose processes are short.
import t from 'tap';
import { together } from './together.ts';

together(t, 'scripts/campaign.test.ts', 'scripts/campaign-[cflptw]*.test.ts', 'scripts/conformance.test.ts');
