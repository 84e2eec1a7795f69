import { Counter, collectDefaultMetrics, Gauge, type Histogram, Registry } from 'prom-client';
import { clock } from '../async/clock.ts';

/** The metrics of this process. Modules make theirs when they are loaded: `new Counter({ registers: [registry], … })`. */
export const registry = new Registry();

/** Those that both daemons have, named without the daemon: its name goes in front when they are shown. */
export const shared = new Registry();

let program = '';
let ready = (): boolean => false;

/** Names the daemon in front of what is shared, and adds the process's own metrics. For daemons, at their start. */
export function startMetrics(
  name: 'nerve' | 'synapse',
  daemon: { readonly version: string; readonly ready: () => boolean },
): void {
  if (program === '') {
    collectDefaultMetrics({ register: registry });
    // What Node.js has open at this moment, by the classes of its own code: nobody can do anything about that.
    for (const { name: one } of registry.getMetricsAsArray()) {
      if (one.startsWith('nodejs_active_')) registry.removeSingleMetric(one);
    }
  }
  program = name;
  ready = daemon.ready;
  buildInfo.set({ version: daemon.version, node: process.versions.node }, 1);
}

/** Everything, as Prometheus reads it. */
export async function metricsText(): Promise<string> {
  const own = await registry.metrics();
  const common = await shared.metrics();
  // Each of its lines begins with a name, or with `# HELP` or `# TYPE` and a name.
  const named = program === '' ? common : common.replace(/^(?:# (?:HELP|TYPE) )?(?=\S)/gm, `$&${program}_`);
  return `${own}\n${named}`;
}

/** Forgets what is said of services that `isKnown` does not know: a service that is gone must not cost memory for ever. */
export async function pruneSeries(isKnown: (service: string) => boolean): Promise<void> {
  for (const metric of registry.getMetricsAsArray() as unknown as (Counter | Gauge | Histogram)[]) {
    const { values } = await metric.get();
    for (const { labels } of values) {
      const { le: _, ...own } = labels as Partial<Record<string, string>>;
      if (own.service !== undefined && !isKnown(own.service)) metric.remove(own);
    }
  }
}

/** Counts stay for this long, so that their last steps are seen by whoever reads them once in a minute. Milliseconds. */
const farewell = 300_000;

/** {@link pruneSeries} later. */
export function pruneLater(isKnown: (service: string) => boolean): void {
  clock.setTimeout(() => void pruneSeries(isKnown), farewell).unref();
}

const buildInfo = new Gauge({
  name: 'build_info',
  help: 'Always 1; says which version runs, and on which Node.js.',
  labelNames: ['version', 'node'] as const,
  registers: [shared],
});

new Gauge({
  name: 'ready',
  help: '1 while /readyz says ready, else 0.',
  registers: [shared],
  collect() {
    this.set(ready() ? 1 : 0);
  },
});

/** Also under SmartStack's name. */
export const configReloads = new Counter({
  name: 'config_reloads_total',
  help: 'Configurations read again at SIGHUP, by result: ok, or invalid and the old one stays in force.',
  labelNames: ['result'] as const,
  registers: [shared],
});
for (const result of ['ok', 'invalid'] as const) configReloads.inc({ result }, 0);

const configValid = new Gauge({
  name: 'config_valid',
  help: '1 when the configuration read last is in force, 0 when it was invalid and the one before still is.',
  registers: [shared],
});
configValid.set(1);

/** Counts a configuration that was read again. */
export function countReload(result: 'ok' | 'invalid'): void {
  configReloads.inc({ result });
  configValid.set(result === 'ok' ? 1 : 0);
}
