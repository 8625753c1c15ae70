// Of test/consent-service/, what needs a browser, in Chinese.
import t from 'tap';
import { together } from './together.ts';

together(t, 'consent-service/browser-zh.test.ts');
