// `node scripts/join-verify.ts [--check]`: joins the parts in scripts/verify/ to the one file that an auditor takes with him,
// scripts/verify.sh, or says that it is stale (exit 1). The same parts make the same bytes.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const PARTS = new URL('verify/', import.meta.url);
const JOINED = new URL('verify.sh', import.meta.url);
const NAME = /^\d\d-([a-z]+)\.sh$/;
const RULE = 120;

/** The text of verify.sh, as it should be. Every part has a name with its place and a first comment. */
function joinedScript(): string {
  const parts = readdirSync(PARTS)
    .sort()
    .map((name, index) => {
      const [, topic] = NAME.exec(name) ?? [];
      const text = readFileSync(new URL(name, PARTS), 'utf8');
      if (topic === undefined || !text.startsWith('# ') || !text.endsWith('\n'))
        throw new TypeError(`${name} is no part`);
      const rule = `# ${topic} `.padEnd(RULE, '-');
      return index === 0 ? text : `${rule}\n${text}`;
    });
  const head = '#!/bin/sh\n# Joined by scripts/join-verify.ts from the files in scripts/verify/; change those.\n#\n';
  return head + parts.join('\n');
}

/** Whether verify.sh says something else than its parts. */
export function isScriptStale(): boolean {
  return readFileSync(JOINED, 'utf8') !== joinedScript();
}

if (import.meta.main) {
  if (!process.argv.includes('--check')) writeFileSync(JOINED, joinedScript());
  else if (isScriptStale()) {
    process.stdout.write('stale: scripts/verify.sh; run node scripts/join-verify.ts\n');
    process.exitCode = 1;
  }
}
