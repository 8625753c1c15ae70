// What the library and `verify.sh` say of the same files.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
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

/** Of each check number, state and code, as the library says them. */
export function libraryChecks({ anchor }: PackSetting, files: ReadonlyMap<string, Buffer>): string[] {
  const { checks } = verifyPack(files, { anchor, nowMs: systemClock.nowMs() });
  return checks.map(({ number, state, code }) => `${number} ${state} ${code ?? ''}`.trim());
}

/** The same out of the lines of the script, which names last what it did not reach. */
export function scriptChecks({ lines }: ScriptEnd): string[] {
  const found = lines.flatMap((line) => {
    const [, number, state = '', rest = ''] = /^ ?(\d+) {2}(.{11}) {2}(.*)$/.exec(line) ?? [];
    return number === undefined ? [] : { number: Number(number), state: state.trim(), rest };
  });
  const code = (rest: string) => /[A-Z]+(?:_[A-Z]+)+/.exec(rest)?.[0] ?? '';
  return found.sort((a, b) => a.number - b.number).map((one) => `${one.number} ${one.state} ${code(one.rest)}`.trim());
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

/**
 * An openssl that knows ML-DSA-44: the program that ACCORD_OPENSSL35 names, or the one that is found first; null when
 * that one is older than 3.5.
 */
export function newOpenssl(): string | null {
  const named = process.env['ACCORD_OPENSSL35'] ?? 'openssl';
  const { stdout } = spawnSync(named, ['version'], { encoding: 'utf8' });
  const [, major = '0', minor = '0'] = /^OpenSSL (\d+)\.(\d+)/.exec(stdout ?? '') ?? [];
  return Number(major) > 3 || (major === '3' && Number(minor) >= 5) ? named : null;
}

/** Unpacks the files and runs `verify.sh` on them. @param openssl another one than is found first */
export async function scriptVerdict(
  { anchorFolder }: Pick<PackSetting, 'anchorFolder'>,
  files: ReadonlyMap<string, Buffer>,
  openssl: string | null = null,
): Promise<ScriptEnd> {
  const folder = mkdtempSync(join(tmpdir(), 'accord-pack-'));
  const beside = mkdtempSync(join(tmpdir(), 'accord-openssl-'));
  try {
    writePack(folder, files);
    if (openssl?.includes('/')) symlinkSync(openssl, join(beside, 'openssl'));
    const [program = 'sh', ...first] = (process.env['ACCORD_SHELL'] ?? 'sh').split(' ');
    const env = { ...process.env, PATH: `${beside}:${process.env['PATH'] ?? ''}` };
    const child = spawn(program, [...first, SCRIPT, folder, '--anchor', anchorFolder], { env });
    const [stdout, stderr, exit] = await Promise.all([text(child, 'stdout'), text(child, 'stderr'), ended(child)]);
    const lines = stdout.trimEnd().split('\n');
    return { verdict: lines.at(-1) ?? '', exit, lines, stderr };
  } finally {
    for (const each of [folder, beside]) rmSync(each, { recursive: true, force: true });
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
