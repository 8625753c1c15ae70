// `node scripts/docs.ts [--check]`: writes the generated tables into the documentation, or says which of them are stale
// (exit 1). A page marks its place with `<!-- generated NAME -->` and `<!-- end -->`; docs/errors.md is made as a whole.
import { readFileSync, writeFileSync } from 'node:fs';
import { errorsDocument, limitsTable, metricsTable, settingsTable, xroadTable } from './docs-tables.ts';

const ROOT = new URL('../', import.meta.url);
const PAGES = ['docs/operations.md', 'docs/threat-model.md', 'docs/xroad.md'];

/** Path → text as it should be, for every page that holds something generated. */
export async function generatedPages(): Promise<Map<string, string>> {
  const tables: Readonly<Record<string, string>> = {
    settings: settingsTable(),
    limits: limitsTable(),
    metrics: await metricsTable(),
    xroad: xroadTable(),
  };
  const pages = new Map([['docs/errors.md', errorsDocument()]]);
  const used = new Set<string>();
  for (const path of PAGES) {
    const text = readFileSync(new URL(path, ROOT), 'utf8');
    const filled = text.replace(/(<!-- generated (\w+) -->\n)[\s\S]*?(\n<!-- end -->)/g, (_, start, name, end) => {
      const table = tables[name];
      if (table === undefined) throw new TypeError(`${path}: there is no table ${name}`);
      used.add(name);
      return `${start}${table}${end}`;
    });
    pages.set(path, filled);
  }
  const unused = Object.keys(tables).filter((name) => !used.has(name));
  if (unused.length > 0) throw new TypeError(`no page has a place for ${unused.join(', ')}`);
  return pages;
}

/** Paths of pages that say something else than the code. */
export async function stalePages(): Promise<string[]> {
  const pages = await generatedPages();
  return [...pages].filter(([path, text]) => read(path) !== text).map(([path]) => path);
}

function read(path: string): string {
  try {
    return readFileSync(new URL(path, ROOT), 'utf8');
  } catch {
    return '';
  }
}

if (import.meta.main) {
  if (process.argv.includes('--check')) {
    const stale = await stalePages();
    for (const path of stale) process.stdout.write(`stale: ${path}; run node scripts/docs.ts\n`);
    process.exitCode = stale.length === 0 ? 0 : 1;
  } else {
    for (const [path, text] of await generatedPages()) writeFileSync(new URL(path, ROOT), text);
  }
}
