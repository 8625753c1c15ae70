// Lints sources that must not stand in the tree (each breaks a rule on purpose) under this project's own configuration,
// in a folder of their own. Used by the floor check and by its test.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';

/** Maps each given path to the names of the lint rules that refused it; an empty map when there is no configuration. */
export function lintCanaries(sources: Record<string, string>): Map<string, string[]> {
  const found = new Map<string, string[]>();
  if (!existsSync('biome.json')) return found;
  const folder = mkdtempSync(join(tmpdir(), 'accord-canary-'));
  const real = realpathSync(folder);
  try {
    const configuration = JSON.parse(readFileSync('biome.json', 'utf8'));
    configuration.vcs.enabled = false;
    writeFileSync(join(folder, 'biome.json'), JSON.stringify(configuration));
    for (const [path, source] of Object.entries(sources)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), source);
      found.set(path, []);
    }
    const args = ['lint', '--reporter=github', '--max-diagnostics=none'];
    const done = spawnSync(resolve('node_modules/.bin/biome'), args, { cwd: folder, encoding: 'utf8' });
    for (const line of done.stdout.split('\n')) {
      const at = /title=lint\/[a-z]+\/(\w+),file=([^,]+),/i.exec(line);
      if (at?.[1] && at[2]) found.get(relative(real, resolve(real, at[2])))?.push(at[1]);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return found;
}
