// Short forms of the campaigns in one process.
import t from 'tap';
import { together } from './together.ts';

together(
  t,
  'scripts/campaign.test.ts',
  'scripts/campaign-[cfltw]*.test.ts',
  'scripts/campaign-pa*.test.ts',
  'scripts/conformance.test.ts',
);
