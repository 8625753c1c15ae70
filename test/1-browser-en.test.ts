// Of test/consent-service/, what needs a browser, in English. Groups that take long begin with a 1: tap starts them in the
// order of their names, and what is left at the end should be short.
import t from 'tap';
import { together } from './together.ts';

together(t, 'consent-service/browser-en.test.ts');
