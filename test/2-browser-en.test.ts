// Of test/consent-service/, what needs a browser, in English.
import t from 'tap';
import { together } from './together.ts';

together(t, 'consent-service/browser-en.test.ts');
