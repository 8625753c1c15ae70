// What the documentation names exists: files, commands and their options, codes, limits, variables, metrics, ports and
// settings; and its generated tables say what the code says.
import { existsSync, globSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import t from 'tap';
import { buildProgram, NOUNS } from '#cli/program.ts';
import * as limits from '#schemas/limits.ts';
import { PROBLEMS } from '#schemas/problems.ts';
import { stalePages } from '#scripts/docs.ts';
import { errorsDocument, limitsTable, metricsTable, settingsTable } from '#scripts/docs-tables.ts';
import { DEFAULT_SETTINGS, OVERRIDES } from '#security-server/settings.ts';
import { fences } from './runner.ts';

const PAGES = ['README.md', 'CHANGELOG.md', ...globSync('docs/*.md').sort()];
const FOLDERS =
  /^(?:schemas|certs|policy|core|security-server|central-registry|consent-service|adapters|cli|scripts|test|docs|bin)\/[\w./*-]*$/;

function text(page: string): string {
  return readFileSync(page, 'utf8');
}

/** `inline code` outside fences. */
function codeSpans(page: string): string[] {
  const withoutFences = text(page).replace(/^```[\s\S]*?^```$/gm, '');
  return [...withoutFences.matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span);
}

/** Command lines of `accord`, in fences and in the text. */
function commandLines(page: string): string[] {
  const blocks = fences(page)
    .filter(({ info }) => /^sh\b/.test(info))
    .map((fence) => fence.text);
  const shown = [
    ...blocks
      .join('\n')
      .replaceAll('\\\n', ' ')
      .matchAll(/(?:^|\$\(|; do )(?:[A-Z_]+=\S+ )*accord ([^|;)\n]+)/gm),
  ];
  const spans = codeSpans(page).filter((span) => /^accord [a-z]/.test(span));
  return [...shown.map(([, line = '']) => line), ...spans.map((span) => span.slice('accord '.length))];
}

const nouns = new Map<string, Command>();
for (const { name } of NOUNS) {
  const noun = (await buildProgram([name])).commands.find((command) => command.name() === name);
  if (noun) nouns.set(name, noun);
}

/** What is wrong with a command line, or undefined. */
function wrongWith(line: string): string | undefined {
  const words = line.match(/'[^']*'|"[^"]*"|\S+/g) ?? [];
  if (words[0] === 'complete') return undefined; // a shell types it, so that no help names it
  const noun = nouns.get(words[0] ?? '');
  if (noun === undefined) return `no noun ${words[0]}`;
  let verb = noun;
  for (const word of words.slice(1)) {
    if (verb.commands.length === 0) break;
    const below = verb.commands.find((command) => command.name() === word);
    // `accord catalogue TEXT` searches: what is no verb there is the first word of one that needs no name.
    if (below === undefined && verb.name() === 'catalogue') break;
    if (below === undefined) return `no verb ${word}`;
    verb = below;
  }
  const known = new Set(verb.options.map(({ long }) => long));
  const unknown = words.filter(
    (word) => /^--[a-z]/.test(word) && word !== '--help' && !known.has(word.split('=')[0] ?? ''),
  );
  return unknown.length === 0 ? undefined : `no option ${unknown.join(', ')}`;
}

t.test('files and folders', async (t) => {
  let seen = 0;
  for (const page of PAGES) {
    for (const span of codeSpans(page)) {
      if (!FOLDERS.test(span)) continue;
      seen += 1;
      t.ok(span.includes('*') ? globSync(span).length > 0 : existsSync(span), `${page}: ${span}`);
    }
  }
  t.ok(seen > 60, `${seen} files were looked for`);
});

t.test('commands and options', async (t) => {
  let seen = 0;
  for (const page of PAGES) {
    for (const line of commandLines(page)) {
      seen += 1;
      t.equal(wrongWith(line), undefined, `${page}: accord ${line}`);
    }
  }
  t.ok(seen > 60, `${seen} command lines were looked at`);
  t.equal(wrongWith('server stop --dir x'), 'no verb stop');
  t.equal(wrongWith("access grant --endpoint 'GET --x' --who me"), 'no option --who');
  t.equal(wrongWith('serve'), 'no noun serve');
  const scripts = Object.keys((JSON.parse(text('package.json')) as { scripts: object }).scripts);
  for (const [, script = ''] of PAGES.map(text)
    .join('\n')
    .matchAll(/npm run (?:-s )?([a-z]+)/g)) {
    t.ok(scripts.includes(script), `npm run ${script}`);
  }
});

t.test('codes, limits and variables', async (t) => {
  const written = new Set<string>();
  const folders = '{certs,policy,core,security-server,central-registry,consent-service,adapters,cli,scripts}';
  for (const source of [...globSync(`${folders}/**/*.ts`), 'test/chromium.ts']) {
    for (const [word] of text(source).matchAll(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g)) written.add(word);
  }
  const environment = new Set(
    Object.keys(OVERRIDES).map((name) => `ACCORD_SERVER_${name.toUpperCase().replaceAll('-', '_')}`),
  );
  // Codes of a settlement's answer, and entries of the protocol, are words of the code as well.
  const isKnown = (word: string) => word in PROBLEMS || word in limits || environment.has(word) || written.has(word);
  let seen = 0;
  for (const page of PAGES.filter((each) => each !== 'docs/errors.md')) {
    for (const span of codeSpans(page)) {
      for (const [word] of span.matchAll(/\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g)) {
        seen += 1;
        t.ok(isKnown(word), `${page}: ${word}`);
      }
    }
  }
  t.ok(seen > 60, `${seen} words were looked up`);
  t.notOk(isKnown('LOG_LOST'));
});

t.test('metrics, ports, settings, health', async (t) => {
  // The registry's stand where they are made.
  const metrics = `${await metricsTable()} ${text('central-registry/routes-witness-state.ts').replaceAll("'", '`')}`;
  for (const page of PAGES) {
    for (const [name] of text(page).matchAll(/\baccord_[a-z_]+[a-z]\b/g))
      t.ok(metrics.includes(`\`${name}\``), `${page}: ${name}`);
  }
  const operations = text('docs/operations.md');
  const ports = operations.slice(operations.indexOf('\n## Ports'), operations.indexOf('\n## Information systems'));
  const named = [...ports.matchAll(/^\| (\d+) \|/gm)].map(([, port]) => Number(port));
  t.same(named.sort(), Object.values(DEFAULT_SETTINGS.ports).sort());
  t.match(text('docs/registry.md'), /4400 configuration, 4401 admin/);
  t.match(text('central-registry/registry.ts'), /\?\? 4400[\s\S]*\?\? 4401/);
  for (const path of ['/livez', '/readyz', '/metrics']) {
    t.match(operations, path);
    t.match(text('security-server/health.ts'), `'${path}'`);
  }
  const names = [...text('security-server/health.ts').matchAll(/check\('([a-z-]+)'/g)].map(([, name = '']) => name);
  t.equal(names.length, 11);
  for (const name of names) t.match(operations, `| \`${name}\` |`);
});

t.test('generated tables', async (t) => {
  t.same(await stalePages(), [], 'run node scripts/docs.ts');
  for (const code of Object.keys(PROBLEMS)) t.match(errorsDocument(), `| \`${code}\` |`);
  t.match(settingsTable(), 'ACCORD_SERVER_CONFIGURATION_MAX_STALE_MS');
  t.match(limitsTable(), /MAX_BODY_BYTES.*256 KiB/);
});

t.test('every alarm and every refusal of a start stands in the runbook', async (t) => {
  const operations = text('docs/operations.md');
  const start = text('core/log/start.ts').match(/'LOG_[A-Z_]+'/g) ?? [];
  const log = text('core/log/message-log.ts').match(/(?:busy|full|failed): '(LOG_[A-Z_]+)'/g) ?? [];
  const codes = [...start, ...log.map((found) => found.replace(/^.*: /, ''))].map((code) => code.slice(1, -1));
  t.ok(codes.length > 8);
  for (const code of new Set(codes)) t.match(operations, `\`${code}\``, code);
});
