import { collectDefaultMetrics, Registry } from 'prom-client';

/** All metrics of this process. Modules make theirs when they are loaded: `new Counter({ registers: [registry], … })`. */
export const registry = new Registry();

let collecting = false;

/** Adds the process's own metrics: CPU, memory, event loop lag, garbage collection. For daemons, at their start. */
export function collectProcessMetrics(): void {
  if (collecting) return;
  collecting = true;
  collectDefaultMetrics({ register: registry });
}
