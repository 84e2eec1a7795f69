import { type EventLoopUtilization, performance } from 'node:perf_hooks';
import { Gauge, type Registry } from 'prom-client';
import gc from 'prom-client/lib/metrics/gc.js';
import heapSizeAndUsed from 'prom-client/lib/metrics/heapSizeAndUsed.js';
import heapSpacesSizeAndUsed from 'prom-client/lib/metrics/heapSpacesSizeAndUsed.js';
import osMemoryHeap from 'prom-client/lib/metrics/osMemoryHeap.js';
import processCpuTotal from 'prom-client/lib/metrics/processCpuTotal.js';
import processMaxFileDescriptors from 'prom-client/lib/metrics/processMaxFileDescriptors.js';
import processOpenFileDescriptors from 'prom-client/lib/metrics/processOpenFileDescriptors.js';
import processStartTime from 'prom-client/lib/metrics/processStartTime.js';
import version from 'prom-client/lib/metrics/version.js';
import { clock } from '../async/clock.ts';

/**
 * The metrics of a Node.js process that cost nothing between two readings. prom-client's `collectDefaultMetrics` has two more
 * kinds: delays of the event loop, for which it wakes the process a hundred times a second, and numbers of open handles by
 * the classes of Node's own code, which operators cannot act on.
 */
export function collectProcessMetrics(registry: Registry): void {
  for (const collect of [processCpuTotal, processStartTime, osMemoryHeap]) collect(registry);
  for (const collect of [processOpenFileDescriptors, processMaxFileDescriptors]) collect(registry);
  for (const collect of [heapSizeAndUsed, heapSpacesSizeAndUsed, version, gc]) collect(registry);
  let last: EventLoopUtilization = performance.eventLoopUtilization();
  new Gauge({
    name: 'nodejs_eventloop_utilization',
    help: 'Share of the time since the previous reading for which the event loop was busy, 0 to 1.',
    registers: [registry],
    collect() {
      const now = performance.eventLoopUtilization();
      this.set(performance.eventLoopUtilization(now, last).utilization);
      last = now;
    },
  });
  new Gauge({
    name: 'nodejs_eventloop_lag_seconds',
    help: 'How long the event loop took for one round during this reading.',
    registers: [registry],
    async collect() {
      const before = clock.now();
      await new Promise((resolve) => setImmediate(resolve));
      this.set((clock.now() - before) / 1000);
    },
  });
}
