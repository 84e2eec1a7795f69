import { isError, joinPath, type Problem, type Schema, validate } from '../../common/config/config.ts';
import { formats, isObject } from '../../common/config/formats.ts';
import { numeric } from '../../common/config/json-values.ts';
import { show } from '../../common/config/secrets.ts';
import type { AnyCheckPlugin, Check, CheckDeps, CheckTarget, CheckTypes } from '../check.ts';

/** How many results in a row change a check's health. Both are at least 1. */
export interface Thresholds {
  readonly rise: number;
  readonly fall: number;
}

/** How often a check probes: the pauses from the end of one probe to the start of the next. */
export interface ProbePace {
  readonly intervalMs: number;
  /** The pause while results contradict the health, so that a change is known sooner. */
  readonly fastIntervalMs: number;
  /** Share of the pause, 0 to 1, by which it is made longer or shorter at random. */
  readonly jitter: number;
}

/** One check of a service, validated. */
export interface CheckConfig extends Thresholds, ProbePace {
  readonly type: string;
  /** Unique within the service. */
  readonly name: string;
  readonly target: CheckTarget;
  /** The deadline of a probe. */
  readonly timeoutMs: number;
  /** The options of the check's own schema. */
  readonly options: unknown;
  /** The probe that these options describe. */
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

/** The options that every check has. */
export const checkSchema: Schema<CommonOptions> = {
  type: { doc: 'kind of check: the name of a file in nerve/checks', format: 'non-empty-string', default: null },
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
    doc: 'pause while results contradict the health; by default the interval',
    format: 'positive-duration',
    default: undefined,
  },
  jitter: {
    doc: 'share of the pause, 0 to 1, by which nerve varies it at random',
    format: readShare,
    json: numeric({ minimum: 0, maximum: 1 }),
    type: 'number',
    default: 0.1,
  },
  rise: { doc: 'passes in a row that make it healthy again', format: 'positive-integer', default: 1 },
  fall: { doc: 'failures in a row that make it unhealthy', format: 'positive-integer', default: 1 },
};

/** SmartStack's option for the Ruby gem that has the check. */
export const acceptedOfChecks: readonly string[] = ['module'];

/** What a check takes from its service. */
export interface CheckDefaults {
  readonly target: CheckTarget;
  readonly intervalMs: number;
}

/** Where checks come from. */
export interface CheckSources extends CheckDeps {
  readonly checkTypes: CheckTypes;
}

interface Place {
  readonly path: string;
  readonly problems: Problem[];
}

/** Validates the `checks` of one service. */
export async function readChecks(
  value: unknown,
  defaults: CheckDefaults,
  at: Place & CheckSources,
): Promise<readonly CheckConfig[]> {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) {
    at.problems.push({ path: at.path, message: 'must be a list of checks, such as [{"type": "tcp"}]' });
    return [];
  }
  const checks: CheckConfig[] = [];
  for (const [i, item] of value.entries()) {
    const check = await readCheck(item, defaults, { ...at, path: joinPath(at.path, i) });
    if (check === undefined) continue;
    checks.push({ ...check, name: uniqueName(check.name, checks) });
  }
  return checks;
}

async function readCheck(
  value: unknown,
  { target: service, intervalMs: serviceIntervalMs }: CheckDefaults,
  at: Place & CheckSources,
): Promise<CheckConfig | undefined> {
  const plugin = isObject(value) ? await findPlugin(value.type, at) : undefined;
  if (plugin === undefined) {
    // Without a type nerve does not know which other keys are allowed; it still checks the common ones.
    const elsewhere = isObject(value) ? Object.keys(value) : [];
    const problems = isObject(value) && value.type !== undefined ? [] : at.problems;
    if (typeof value === 'string') {
      const message = `must be an object of options, such as {type: ${value}}, not ${show(value)}`;
      at.problems.push({ path: at.path, message });
    } else validate(checkSchema, value, { path: at.path, problems }, { elsewhere });
    return undefined;
  }
  const before = errorCount(at.problems);
  const all = validate<Record<string, unknown>>({ ...plugin.schema, ...checkSchema }, value, at, {
    accepted: acceptedOfChecks,
  });
  const common = all as unknown as CommonOptions;
  const options = Object.fromEntries(Object.entries(all).filter(([key]) => Object.hasOwn(plugin.schema, key)));
  const target = { service: service.service, host: common.host ?? service.host, port: common.port ?? service.port };
  const { type, name = type, rise, fall, jitter } = common;
  const { interval: intervalMs = serviceIntervalMs, fast_interval: fastIntervalMs = intervalMs } = common;
  if (errorCount(at.problems) > before) return undefined;
  try {
    const timeoutMs = plugin.deadline?.(options, common.timeout) ?? common.timeout;
    const pace = { intervalMs, fastIntervalMs, jitter };
    const probe = plugin.create(options, target, { host: at.host });
    return { type, name, target, timeoutMs, rise, fall, ...pace, options, probe };
  } catch (error) {
    at.problems.push({ path: at.path, message: (error as Error).message });
    return undefined;
  }
}

async function findPlugin(type: unknown, at: Place & CheckSources): Promise<AnyCheckPlugin | undefined> {
  if (typeof type !== 'string') return undefined;
  try {
    return await at.checkTypes.load(type);
  } catch (error) {
    at.problems.push({ path: joinPath(at.path, 'type'), message: (error as Error).message });
    return undefined;
  }
}

/** The name, with a number where another check of the service has it: two checks must not share their metrics. */
function uniqueName(name: string, others: readonly CheckConfig[]): string {
  const taken = new Set(others.map((check) => check.name));
  let unique = name;
  for (let i = 2; taken.has(unique); i++) unique = `${name}-${i}`;
  return unique;
}

function readShare(value: unknown): number {
  const share = formats.number(value) as number;
  if (share >= 0 && share <= 1) return share;
  throw new Error('must be a number from 0 to 1');
}

function errorCount(problems: readonly Problem[]): number {
  return problems.filter(isError).length;
}
