// The citizen pages in a real Chromium, in Chinese.
import t from 'tap';
import { testPages } from './browsing.ts';

await testPages(t, 'zh');
