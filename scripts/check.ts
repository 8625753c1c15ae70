// `npm run check`: types, lint with the floors, unused code and the clock rule. A checker that examined no file has
// checked nothing, so each step must report how many files it saw; zero fails the run.
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { lintCanaries } from './lint-canaries.ts';

interface StepResult {
  ok: boolean;
  files: number;
  output: string;
}

interface Step {
  name: string;
  run: () => StepResult;
}

const FLOOR_FOLDERS = [
  'schemas',
  'certs',
  'policy',
  'core',
  'security-server',
  'central-registry',
  'consent-service',
  'adapters',
];

// Where the wall clock or the monotonic clock may be read: the clock port itself. Everything else is handed a clock,
// so that a seeded run can replay a whole exchange.
const CLOCK_READERS = new Set(['core/clock.ts']);
const CLOCK_USE = /\bDate\.now\(|\bnew Date\(\s*\)|\bperformance\.now\(|\bprocess\.hrtime\b/;

function run(command: string, args: string[]): { status: number; output: string } {
  const done = spawnSync(`node_modules/.bin/${command}`, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  return { status: done.status ?? 1, output: `${done.stdout}${done.stderr}` };
}

function types(): StepResult {
  const listed = run('tsc', ['--listFilesOnly']);
  const files = listed.output.split('\n').filter((line) => line.endsWith('.ts') && !line.includes('node_modules'));
  const checked = run('tsc', []);
  return { ok: checked.status === 0, files: files.length, output: checked.output };
}

function lint(): StepResult {
  const done = run('biome', ['ci', '--colors=off', '--max-diagnostics=40']);
  const seen = /Checked (\d+) files?/.exec(done.output);
  return { ok: done.status === 0, files: Number(seen?.[1] ?? 0), output: done.output };
}

// Canaries through the same configuration: one import upwards per floor must be refused, or the floors are not kept.
function floors(): StepResult {
  const source = "import { x } from '#cli/x.ts';\n\nexport const y = x;\n";
  const said = lintCanaries(Object.fromEntries(FLOOR_FOLDERS.map((folder) => [`${folder}/canary.ts`, source])));
  const leaks = FLOOR_FOLDERS.filter((folder) => !said.get(`${folder}/canary.ts`)?.includes('noRestrictedImports'));
  const output = leaks.map((folder) => `${folder}: an import from #cli was not refused`).join('\n');
  return { ok: leaks.length === 0, files: FLOOR_FOLDERS.length - leaks.length, output };
}

function unused(): StepResult {
  const done = run('knip', ['--performance', '--treat-config-hints-as-errors']);
  const seen = /^parseFile\s+(\d+)/m.exec(done.output);
  // The table of timings is only wanted for its count of files.
  const findings = done.output.split(/^Name {2,}/m, 1)[0] ?? '';
  return { ok: done.status === 0, files: Number(seen?.[1] ?? 0), output: findings };
}

function clock(): StepResult {
  const files = FLOOR_FOLDERS.flatMap((folder) => globSync(`${folder}/**/*.ts`));
  const found: string[] = [];
  for (const file of files) {
    if (CLOCK_READERS.has(file)) continue;
    for (const [index, line] of readFileSync(file, 'utf8').split('\n').entries()) {
      if (CLOCK_USE.test(line)) found.push(`${file}:${index + 1}: reads a clock; take a Clock from core/clock.ts`);
    }
  }
  return { ok: found.length === 0, files: files.length, output: found.join('\n') };
}

const steps: Step[] = [
  { name: 'types', run: types },
  { name: 'lint', run: lint },
  { name: 'floors', run: floors },
  { name: 'clock', run: clock },
  { name: 'unused', run: unused },
];

let failed = 0;
for (const step of steps) {
  const result = step.run();
  const ok = result.ok && result.files > 0;
  if (!ok) failed += 1;
  console.log(`${ok ? 'ok' : 'FAILED'}  ${step.name}: ${result.files} files`);
  if (!result.ok) console.log(result.output);
  if (result.files === 0) console.log(`${step.name} examined no file, which is a failure of the check itself`);
}
process.exitCode = failed === 0 ? 0 : 1;
