// The house keeps its own rules: the floors hold, and the checker itself notices when it examined nothing.
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { lintCanaries } from '#scripts/lint-canaries.ts';

t.test('imports upwards, sideways and of guarded libraries are refused', async (t) => {
  const refused: [string, string][] = [
    ['schemas', '#certs/jws.ts'],
    ['schemas', 'node:fs'],
    ['certs', '#core/clock.ts'],
    ['certs', '../core/clock.ts'],
    ['policy', '#core/clock.ts'],
    ['core', '#policy/decide.ts'],
    ['core', '#security-server/main.ts'],
    ['core', 'undici'],
    ['core/log', 'better-sqlite3'],
    ['security-server', '#central-registry/x.ts'],
    ['central-registry', '#security-server/x.ts'],
    ['consent-service', '#security-server/x.ts'],
    ['security-server', '#consent-service/x.ts'],
    ['adapters', '#consent-service/x.ts'],
    ['adapters', '#certs/jws.ts'],
    ['security-server', 'jose'],
    ['cli', '#test/x.ts'],
  ];
  const allowed: [string, string][] = [
    ['certs/a.ts', '#schemas/limits.ts'],
    ['certs/a.ts', 'jose'],
    ['core/log/store-sqlite.ts', 'better-sqlite3'],
    ['core/http/client.ts', 'undici'],
    ['security-server/a.ts', '#policy/decide.ts'],
    ['cli/a.ts', '#central-registry/x.ts'],
  ];
  const source = (to: string) => `import { x } from '${to}';\n\nexport const y = x;\n`;
  const paths = refused.map(([from, to], i) => ({ path: `${from}/refused${i}.ts`, to }));
  const sources = [...paths.map(({ path, to }) => [path, source(to)]), ...allowed.map(([p, to]) => [p, source(to)])];
  const said = lintCanaries(Object.fromEntries(sources));
  for (const { path, to } of paths)
    t.ok(said.get(path)?.includes('noRestrictedImports'), `${path} may not import ${to}`);
  for (const [path, to] of allowed)
    t.notOk(said.get(path)?.includes('noRestrictedImports'), `${path} may import ${to}`);
});

t.test('files over 400 lines, functions over 70, enums and process.env are refused', async (t) => {
  const lines = Array.from({ length: 401 }, (_, i) => `export const v${i} = ${i};`).join('\n');
  const body = Array.from({ length: 75 }, (_, i) => `  console.log(${i});`).join('\n');
  const said = lintCanaries({
    'core/long.ts': `${lines}\n`,
    'core/function.ts': `export function f(): void {\n${body}\n}\n`,
    'core/enum.ts': 'export enum A { B }\n',
    'core/env.ts': 'export const a = process.env.HOME;\n',
  });
  t.ok(said.get('core/long.ts')?.includes('noExcessiveLinesPerFile'));
  t.ok(said.get('core/function.ts')?.includes('noExcessiveLinesPerFunction'));
  t.ok(said.get('core/enum.ts')?.includes('noEnum'));
  t.ok(said.get('core/env.ts')?.includes('noProcessEnv'));
});

t.test('a check that saw no file fails', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'accord-check-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  for (const file of ['check.ts', 'lint-canaries.ts']) {
    writeFileSync(join(folder, file), readFileSync(`scripts/${file}`, 'utf8'));
  }
  const done = spawnSync(process.execPath, ['check.ts'], { cwd: folder, encoding: 'utf8' });
  t.equal(done.status, 1);
  for (const name of ['types', 'lint', 'floors', 'clock', 'unused']) t.match(done.stdout, `FAILED  ${name}: 0 files`);
});

t.test("TypeBox's builders, which take long to load, are in no program", async (t) => {
  const files = globSync(
    '{schemas,certs,policy,core,security-server,central-registry,consent-service,adapters,cli}/**/*.ts',
  );
  t.ok(files.length > 600, `${files.length} files`);
  const naming = files.filter((file) => readFileSync(file, 'utf8').includes("'@sinclair/typebox'"));
  t.same(naming, ['schemas/schema-builder.ts']);
  t.notMatch(readFileSync('schemas/schema-builder.ts', 'utf8'), /^(?:im|ex)port (?!type ).*'@sinclair/m, 'but types');
});

t.test('every test file is run, and once', async (t) => {
  const taken = globSync('test/*.test.ts').flatMap((group) => {
    const [, patterns = ''] = /^together\(t,([^;]*)\);$/m.exec(readFileSync(group, 'utf8')) ?? [];
    return [...patterns.matchAll(/'([^']+)'/g)].map(([, pattern]) => `test/${pattern}`);
  });
  const files = globSync('test/*/**/*.test.ts');
  t.ok(files.length > 100, `${files.length} files`);
  t.same(taken.flatMap((pattern) => globSync(pattern)).sort(), files.sort());
});
