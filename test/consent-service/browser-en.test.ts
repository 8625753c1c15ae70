// The citizen pages in a real Chromium, in English.
import t from 'tap';
import { testPages } from './browsing.ts';

await testPages(t, 'en');
