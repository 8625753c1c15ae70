// Loaded before a security server when the benchmark profiles it: SIGUSR2 begins a profile of the processor time and writes
// `PID.started` into the folder that ACCORD_BENCH_PROFILES names, since to begin takes a second or more; the next one ends
// it and writes `PID.cpuprofile`.
import { renameSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { join } from 'node:path';

const SAMPLE_MICROS = 250;

const folder = process.env['ACCORD_BENCH_PROFILES'];
if (folder !== undefined) {
  const session = new Session();
  session.connect();
  let isRunning = false;
  process.on('SIGUSR2', () => {
    isRunning = !isRunning;
    if (isRunning) {
      session.post('Profiler.enable');
      session.post('Profiler.setSamplingInterval', { interval: SAMPLE_MICROS });
      session.post('Profiler.start', () => writeFileSync(join(folder, `${process.pid}.started`), ''));
      return;
    }
    session.post('Profiler.stop', (error, { profile }) => {
      const file = join(folder, `${process.pid}.cpuprofile`);
      writeFileSync(`${file}.part`, error === null ? JSON.stringify(profile) : '{}');
      renameSync(`${file}.part`, file); // whole as soon as it is there
    });
  });
}
