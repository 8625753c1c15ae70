// What the library and `verify.sh` say of the same files.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { systemClock } from '#core/clock.ts';
import { verifyPack } from '#core/evidence/verify-pack.ts';
import type { PackSetting } from './pack-setting.ts';

const SCRIPT = join(import.meta.dirname, '../verify.sh');

/** `VALID`, `INVALID(CODE)` … */
export function libraryVerdict({ anchor }: PackSetting, files: ReadonlyMap<string, Buffer>): string {
  const { verdict, code } = verifyPack(files, { anchor, nowMs: systemClock.nowMs() });
  return code === null ? verdict : `${verdict}(${code})`;
}

export function writePack(folder: string, files: ReadonlyMap<string, Buffer>): void {
  for (const [name, bytes] of files) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), bytes);
  }
}

export interface ScriptEnd {
  /** The last line of its output. */
  verdict: string;
  exit: number | null;
  lines: string[];
  stderr: string;
}

/** Unpacks the files and runs `verify.sh` on them. @param shell default `sh` */
export async function scriptVerdict(
  { anchorFolder }: Pick<PackSetting, 'anchorFolder'>,
  files: ReadonlyMap<string, Buffer>,
  shell: readonly string[] = ['sh'],
): Promise<ScriptEnd> {
  const folder = mkdtempSync(join(tmpdir(), 'accord-pack-'));
  try {
    writePack(folder, files);
    const [program = 'sh', ...first] = shell;
    const child = spawn(program, [...first, SCRIPT, folder, '--anchor', anchorFolder]);
    const [stdout, stderr, exit] = await Promise.all([text(child, 'stdout'), text(child, 'stderr'), ended(child)]);
    const lines = stdout.trimEnd().split('\n');
    return { verdict: lines.at(-1) ?? '', exit, lines, stderr };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function text(child: ChildProcess, which: 'stdout' | 'stderr'): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of child[which] ?? []) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.once('close', resolve));
}
