import { joinPath, type Problem, type Schema, validate } from '../../common/config/config.ts';
import { formats, isObject } from '../../common/config/formats.ts';
import { nearest } from '../../common/config/schema.ts';
import { loadPlugin, pluginNames } from '../../common/plugin.ts';
import { type Check, type CheckPlugin, type CheckTarget, checkFolder } from '../check.ts';
import type { Pace, Thresholds } from '../health/rise-fall.ts';

/** One check of a service, validated. */
export interface CheckConfig extends Thresholds, Pace {
  readonly type: string;
  /** Unique within the service. */
  readonly name: string;
  readonly target: CheckTarget;
  /** Milliseconds a probe may take. */
  readonly timeout: number;
  /** Of the check's own schema. */
  readonly options: unknown;
  /** Made of all the above. */
  readonly probe: Check;
}

interface CommonOptions extends Thresholds {
  readonly type: string;
  readonly name?: string;
  readonly host?: string;
  readonly port?: number;
  readonly timeout: number;
  readonly interval?: number;
  readonly fast_interval?: number;
  readonly jitter: number;
}

/** What every check has, whatever its type. */
export const checkSchema: Schema<CommonOptions> = {
  type: { doc: 'what kind of check: the name of a file in nerve/checks', format: 'non-empty-string', default: null },
  name: { doc: 'name in metrics and logs; by default the type', format: 'non-empty-string', default: undefined },
  host: { doc: "host to probe; by default the service's", format: 'host', default: undefined },
  port: { doc: "port to probe; by default the service's", format: 'port', default: undefined },
  timeout: { doc: 'longest time a probe may take', format: 'positive-duration', default: 100 },
  interval: {
    doc: "pause between two probes; by default the service's check_interval",
    format: 'positive-duration',
    default: undefined,
  },
  fast_interval: {
    doc: 'pause while results disagree with the health so far; by default the same as always',
    format: 'positive-duration',
    default: undefined,
  },
  jitter: {
    doc: 'share of the pause, 0 to 1, by which each one is longer or shorter at random',
    format: readShare,
    type: 'number',
    default: 0.1,
  },
  rise: { doc: 'passes in a row until it is healthy again', format: 'positive-integer', default: 1 },
  fall: { doc: 'failures in a row until it is sick', format: 'positive-integer', default: 1 },
};

/** A gem to load the check from, in the original. */
const accepted = ['module'];

/** What a check takes from its service. */
export interface CheckDefaults {
  readonly target: CheckTarget;
  /** Milliseconds. */
  readonly interval: number;
}

/** Validates the `checks` of one service. */
export async function readChecks(
  value: unknown,
  defaults: CheckDefaults,
  at: { readonly path: string; readonly problems: Problem[] },
): Promise<readonly CheckConfig[]> {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) {
    at.problems.push({ path: at.path, message: 'must be a list of checks, such as [{"type": "tcp"}]' });
    return [];
  }
  const checks: CheckConfig[] = [];
  for (const [i, item] of value.entries()) {
    const place = { path: joinPath(at.path, i), problems: at.problems };
    const check = await readCheck(item, defaults, place);
    if (check === undefined) continue;
    checks.push({ ...check, name: freeName(check.name, checks) });
  }
  return checks;
}

async function readCheck(
  value: unknown,
  { target: service, interval: serviceInterval }: CheckDefaults,
  at: { readonly path: string; readonly problems: Problem[] },
): Promise<CheckConfig | undefined> {
  const plugin = isObject(value) ? await findPlugin(value.type, at) : undefined;
  if (plugin === undefined) {
    // Without a type nobody can say which keys there are; the rest is still worth a look.
    const elsewhere = isObject(value) ? Object.keys(value) : [];
    const problems = isObject(value) && value.type !== undefined ? [] : at.problems;
    validate(checkSchema, value, { ...at, problems }, { elsewhere });
    return undefined;
  }
  const before = errorCount(at.problems);
  const all = validate<Record<string, unknown>>({ ...plugin.schema, ...checkSchema }, value, at, { accepted });
  const common = all as unknown as CommonOptions;
  const options = Object.fromEntries(Object.entries(all).filter(([key]) => Object.hasOwn(plugin.schema, key)));
  const target = { service: service.service, host: common.host ?? service.host, port: common.port ?? service.port };
  const { type, name = type, interval = serviceInterval, fast_interval: fastInterval = interval, jitter } = common;
  const { rise, fall } = common;
  if (errorCount(at.problems) > before) return undefined;
  try {
    const timeout = plugin.deadline?.(options, common.timeout) ?? common.timeout;
    const pace = { interval, fastInterval, jitter };
    return { type, name, target, timeout, rise, fall, ...pace, options, probe: plugin.create(options, target) };
  } catch (error) {
    at.problems.push({ path: at.path, message: (error as Error).message });
    return undefined;
  }
}

async function findPlugin(
  type: unknown,
  at: { readonly path: string; readonly problems: Problem[] },
): Promise<CheckPlugin<Record<string, unknown>> | undefined> {
  if (typeof type !== 'string') return undefined;
  try {
    return await loadPlugin(checkFolder, type);
  } catch (error) {
    const near = nearest(type, await pluginNames(checkFolder));
    const hint = near === undefined || near === type ? '' : `; did you mean ${near}?`;
    at.problems.push({ path: joinPath(at.path, 'type'), message: `${(error as Error).message}${hint}` });
    return undefined;
  }
}

/** Two checks of one type need two names, or their metrics would run into each other. */
function freeName(name: string, others: readonly CheckConfig[]): string {
  const taken = new Set(others.map((check) => check.name));
  let free = name;
  for (let i = 2; taken.has(free); i++) free = `${name}-${i}`;
  return free;
}

function readShare(value: unknown): number {
  const share = formats.number(value) as number;
  if (share >= 0 && share <= 1) return share;
  throw new Error('must be a number from 0 to 1');
}

function errorCount(problems: readonly Problem[]): number {
  return problems.filter((problem) => problem.severity !== 'warning').length;
}
