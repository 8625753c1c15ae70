// What prom-client calls default metrics, under its names: processor, memory, event loop, collector and open files of
// this process. Nothing from outside is read here.
import type { Registry } from 'prom-client';
import Counter from 'prom-client/lib/counter.js';
import eventLoopLag from 'prom-client/lib/metrics/eventLoopLag.js';
import gc from 'prom-client/lib/metrics/gc.js';
import heapSizeAndUsed from 'prom-client/lib/metrics/heapSizeAndUsed.js';
import heapSpacesSizeAndUsed from 'prom-client/lib/metrics/heapSpacesSizeAndUsed.js';
import osMemoryHeap from 'prom-client/lib/metrics/osMemoryHeap.js';
import processHandles from 'prom-client/lib/metrics/processHandles.js';
import processMaxFileDescriptors from 'prom-client/lib/metrics/processMaxFileDescriptors.js';
import processOpenFileDescriptors from 'prom-client/lib/metrics/processOpenFileDescriptors.js';
import processRequests from 'prom-client/lib/metrics/processRequests.js';
import processResources from 'prom-client/lib/metrics/processResources.js';
import processStartTime from 'prom-client/lib/metrics/processStartTime.js';
import version from 'prom-client/lib/metrics/version.js';

const COLLECTED = [
  ...[processStartTime, osMemoryHeap, processOpenFileDescriptors, processMaxFileDescriptors, eventLoopLag],
  ...[processResources, processHandles, processRequests, heapSizeAndUsed, heapSpacesSizeAndUsed, version, gc],
];

export function collectProcessMetrics(registry: Registry): void {
  collectProcessorTime(registry);
  for (const collect of COLLECTED) collect(registry, { eventLoopMonitoringPrecision: 10 });
}

/** The library's own counters can name the trace of an example, and load OpenTelemetry for it. */
function collectProcessorTime(registry: Registry): void {
  const registers = [registry];
  let last = process.cpuUsage();
  // First, since it is asked first: the other two say what it found.
  new Counter({
    name: 'process_cpu_user_seconds_total',
    help: 'Total user CPU time spent in seconds.',
    registers,
    collect() {
      const now = process.cpuUsage();
      const [userSeconds, systemSeconds] = [(now.user - last.user) / 1e6, (now.system - last.system) / 1e6];
      last = now;
      this.inc(userSeconds);
      system.inc(systemSeconds);
      both.inc(userSeconds + systemSeconds);
    },
  });
  const [systemName, bothName] = ['process_cpu_system_seconds_total', 'process_cpu_seconds_total'];
  const system = new Counter({ name: systemName, help: 'Total system CPU time spent in seconds.', registers });
  const both = new Counter({ name: bothName, help: 'Total user and system CPU time spent in seconds.', registers });
}
