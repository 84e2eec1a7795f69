import { formats, isObject } from '../config/formats.ts';
import { mapOf, numeric } from '../config/json-values.ts';
import type { Problem } from '../config/problem.ts';
import { type Schema, validate } from '../config/schema.ts';

/** The `statsd` section of both daemons: the StatsD server that gets SmartStack's metrics under their names. */
export interface StatsdConfig {
  readonly host: string;
  readonly port: number;
  /** Share of the steps that is sent, by metric name: above 0, up to 1. */
  readonly sample_rate: Readonly<Record<string, number>>;
}

/** The schema of the `statsd` section. */
export const statsdSchema: Schema<StatsdConfig> = {
  host: { doc: 'host of the StatsD server', format: 'host', default: 'localhost' },
  port: { doc: 'UDP port of the StatsD server', format: 'port', default: 8125 },
  sample_rate: {
    doc: 'share of a metric that is sent, by name: {"synapse.watcher.ping.count": 0.1}',
    format: readRates,
    json: mapOf(numeric({ exclusiveMinimum: 0, maximum: 1 })),
    type: 'object',
    default: {},
  },
};

/** Undefined without the section: then nothing is sent. */
export function readStatsd(value: unknown, problems: Problem[]): StatsdConfig | undefined {
  if (value === undefined || value === null || value === false) return undefined;
  return validate(statsdSchema, value, { path: 'statsd', problems });
}

function readRates(value: unknown): Readonly<Record<string, number>> {
  const allowed = 'must be an object of numbers above 0, up to 1, by the name of the metric';
  if (!isObject(value)) throw new Error(allowed);
  const rates = Object.entries(value).map(([name, rate]): [string, number] => [name, formats.number(rate)]);
  if (rates.some(([, rate]) => rate <= 0 || rate > 1)) throw new Error(allowed);
  return Object.fromEntries(rates);
}
