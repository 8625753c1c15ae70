// A disk whose power can be cut: an ext4 file system on a file, mounted through a loop device, and its shutdown ioctl, which
// drops from one moment to the next whatever was not made durable. The write-back cache of the file system and its journal
// are as in a real power cut; the volatile cache of a real drive below it is not played.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { syncFolder } from '#core/log/checkpoint-file.ts';

const BYTES = 64 * 1024 * 1024;
/** EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32): fs/ext4/ext4.h. */
const SHUTDOWN = '0x8004587d';
/** What the argument means: everything written first; the journal only; nothing. */
export const CUTS = ['everything flushed', 'journal flushed', 'nothing flushed'] as const;

// With its power a machine loses its processes too: the child stands still before the disk goes. What it said until then are
// its promises; a system call that it is in goes on, and is cut off. (A sync that is under way while the journal is given up
// may return as if it had succeeded; nobody lives to hear it.)
const PROGRAM = `open(my $disk, '<', $ARGV[0]) or die "open: $!"; $| = 1; print "armed\\n";
my $how = <STDIN>; my $value = pack('I', $how);
kill('STOP', $ARGV[1]);
while (1) {
  open(my $stat, '<', "/proc/$ARGV[1]/stat") or last; my $line = <$stat>; last unless $line =~ /\\) ([A-Z])/; last if $1 =~ /[TDZX]/;
}
ioctl($disk, ${SHUTDOWN}, $value) or die "ioctl: $!"; print "cut\\n";`;

function run(program: string, args: readonly string[]): string | null {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status === 0) return null;
  return `${program}: ${error?.message ?? stderr.trim()}`;
}

export class PowerDisk {
  readonly #image: string;
  readonly folder: string;

  private constructor(place: string) {
    this.#image = join(place, 'disk.img');
    this.folder = join(place, 'disk');
  }

  /** @returns why there can be none here, where there can be none */
  static make(place: string): PowerDisk | string {
    const disk = new PowerDisk(place);
    if (process.platform !== 'linux') return 'ext4 is of Linux';
    if (process.getuid?.() !== 0) return 'only root may mount a disk';
    for (const program of ['perl', 'mkfs.ext4', 'mount', 'umount']) {
      const { error } = spawnSync(program, ['--version']);
      if (error !== undefined) return `${program} is not there`;
    }
    mkdirSync(disk.folder, { recursive: true });
    writeFileSync(disk.#image, '');
    truncateSync(disk.#image, BYTES);
    return run('mkfs.ext4', ['-q', '-F', disk.#image]) ?? disk.mount() ?? disk;
  }

  /** After a cut the file system recovers from its journal here. @returns why not, or null */
  mount(): string | null {
    return run('mount', ['-o', 'loop', this.#image, this.folder]);
  }

  unmount(): string | null {
    return run('umount', [this.folder]);
  }

  /** On the disk, and durable before anything is in it. */
  makeFolder(folder: string): void {
    mkdirSync(folder);
    syncFolder(folder);
    syncFolder(this.folder);
  }

  /** Ready to cut without a delay, under this process. */
  async arm(pid: number): Promise<{ cut(how: number): Promise<void>; disarm(): void }> {
    const perl = spawn('perl', ['-e', PROGRAM, this.folder, String(pid)], { stdio: ['pipe', 'pipe', 'inherit'] });
    await said(perl, 'armed');
    return {
      async cut(how) {
        const ended = once(perl, 'close');
        perl.stdin.write(`${how}\n`);
        await said(perl, 'cut');
        await ended;
      },
      disarm: () => void perl.kill('SIGKILL'),
    };
  }

  remove(): void {
    this.unmount();
    rmSync(this.#image, { force: true });
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function said(perl: ChildProcess, word: string): Promise<void> {
  const ended = once(perl, 'close').then(() => Promise.reject(new Error(`perl ended before it said ${word}`)));
  ended.catch(() => undefined);
  const [bytes] = await Promise.race([once(perl.stdout as NodeJS.ReadableStream, 'data'), ended]);
  if (String(bytes).trim() !== word) throw new Error(`perl says ${String(bytes)}`);
}
