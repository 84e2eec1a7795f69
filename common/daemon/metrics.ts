import { Counter, Gauge, type Histogram, Registry } from 'prom-client';
import { clock } from '../async/clock.ts';
import { collectProcessMetrics } from './process-metrics.ts';

/** The metrics of this process. A module makes its own when it is loaded: `new Counter({ registers: [registry], … })`. */
export const registry = new Registry();

/** The metrics that both daemons have. Their names lack the daemon's: it is put in front when they are shown. */
export const shared = new Registry();

let program = '';
let ready = (): boolean => false;

/** Sets the daemon's name for the shared metrics, and adds the metrics of the process. A daemon calls it at its start. */
export function startMetrics(
  name: 'nerve' | 'synapse',
  daemon: { readonly version: string; readonly ready: () => boolean },
): void {
  if (program === '') collectProcessMetrics(registry);
  program = name;
  ready = daemon.ready;
  buildInfo.set({ version: daemon.version, node: process.versions.node }, 1);
}

/** All metrics in Prometheus' text format. */
export async function metricsText(): Promise<string> {
  const own = await registry.metrics();
  const common = await shared.metrics();
  // Every line begins with a name, or with `# HELP` or `# TYPE` and a name.
  const named = program === '' ? common : common.replace(/^(?:# (?:HELP|TYPE) )?(?=\S)/gm, `$&${program}_`);
  return `${own}\n${named}`;
}

/** Removes the series of services that `isKnown` does not know, so that removed services do not cost memory for ever. */
export async function pruneSeries(isKnown: (service: string) => boolean): Promise<void> {
  for (const metric of registry.getMetricsAsArray() as unknown as (Counter | Gauge | Histogram)[]) {
    const { values } = await metric.get();
    for (const { labels } of values) {
      const { le: _, ...own } = labels as Partial<Record<string, string>>;
      if (own.service !== undefined && !isKnown(own.service)) metric.remove(own);
    }
  }
}

/** Series of removed services stay this long, so that a Prometheus that scrapes once a minute sees their last steps. */
const retentionMs = 300_000;

/** Calls {@link pruneSeries} after five minutes. */
export function pruneLater(isKnown: (service: string) => boolean): void {
  clock.setTimeout(() => void pruneSeries(isKnown), retentionMs).unref();
}

const buildInfo = new Gauge({
  name: 'build_info',
  help: 'Always 1; its labels are the version that runs and its Node.js.',
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

/** Also sent to StatsD, under SmartStack's name. */
export const configReloads = new Counter({
  name: 'config_reloads_total',
  help: 'Configurations read again at SIGHUP, by result: ok, or invalid, and then the old one stays in force.',
  labelNames: ['result'] as const,
  registers: [shared],
});
for (const result of ['ok', 'invalid'] as const) configReloads.inc({ result }, 0);

const configValid = new Gauge({
  name: 'config_valid',
  help: '1 while the configuration that was read last is in force, 0 while it is invalid and an older one is in force.',
  registers: [shared],
});
configValid.set(1);

/** Counts one configuration read at SIGHUP. */
export function countReload(result: 'ok' | 'invalid'): void {
  configReloads.inc({ result });
  configValid.set(result === 'ok' ? 1 : 0);
}
