#!/usr/bin/env node
// Starts `accord` from a checkout with whatever Node is there. The program is TypeScript that Node runs as it is, which
// takes Node 24.12; an older one starts the copy that `npm install` put beside it. JavaScript without a type and without
// anything new on purpose: a Node of years ago must be able to read this file.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const LEAST_MAJOR = 24;
const LEAST_MINOR = 12;
const PRECONDITION = 5;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const beside = join(root, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node');
const [major, minor] = process.versions.node.split('.').map(Number);

if (major > LEAST_MAJOR || (major === LEAST_MAJOR && minor >= LEAST_MINOR)) {
  // In this process: nothing to forward.
  await import(new URL('../cli/main.ts', import.meta.url).href);
} else if (existsSync(beside)) {
  start(beside);
} else {
  process.stderr.write(
    `accord needs Node ${LEAST_MAJOR}.${LEAST_MINOR} or newer; this is ${process.versions.node}.\n` +
      `Next: Run \`npm install\` in ${root}, which brings one along on Linux, or install a newer Node.\n`,
  );
  process.exitCode = PRECONDITION;
}

function start(node) {
  const child = spawn(node, [join(root, 'cli', 'main.ts'), ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2']) {
    process.on(signal, () => {
      // Ctrl-C at a terminal reaches the child by itself; a second copy would count as a second Ctrl-C.
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on('error', (error) => {
    process.stderr.write(`${node} does not start: ${error.message}\nNext: Run \`npm install\` again.\n`);
    process.exitCode = PRECONDITION;
  });
  child.on('exit', (code, signal) => {
    process.exitCode = signal === null ? code : 128 + constants.signals[signal];
  });
}
