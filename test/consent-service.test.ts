// Of test/consent-service/, what needs no browser.
import t from 'tap';
import { together } from './together.ts';

together(t, 'consent-service/!(browser-*).test.ts');
