import { BadRequest, type ControlRoute } from '../common/admin/admin.ts';
import { WakeableSleep } from '../common/async/sleep.ts';
import { isObject } from '../common/config/formats.ts';
import { reasonOf } from '../common/daemon/log.ts';
import { readWeight } from '../common/instance-fields.ts';
import type { OperatorChanges } from './announce/operator-store.ts';
import type { FleetWaitOptions, InstanceProgress } from './fleet-wait.ts';
import type { Nerve } from './nerve.ts';
import type { RunningService } from './running-service.ts';

/** The answer to `nerve drain`, `nerve undrain` and `nerve weight`. */
export interface DrainAnswer {
  readonly service: string;
  readonly instances: readonly string[];
  /** How long a drained instance may take to finish its connections, milliseconds. */
  readonly drainTime: number;
  /** Why nerve will forget the change at a restart; null when it remembers it. */
  readonly warning: string | null;
}

/** One line of the answer to `/api/v1/wait`: how far the proxies are with each instance. */
export interface WaitLine {
  readonly instances: readonly InstanceProgress[];
  /** The wait is over. */
  readonly ended: boolean;
}

/** Waits until all proxies have these services as expected. */
export type WaitForProxies = (
  services: readonly RunningService[],
  options: FleetWaitOptions,
  onProgress: (progress: readonly InstanceProgress[]) => void,
  signal: AbortSignal,
) => Promise<readonly InstanceProgress[]>;

/** What the routes work on. */
export interface ControlDeps {
  readonly nerve: Nerve;
  readonly operator: OperatorChanges;
  readonly drainTimeMs: () => number;
  readonly wait: WaitForProxies;
}

/** The longest wait: a day. */
const longestWaitMs = 86_400_000;

/** A line is sent at least this often, so that both ends see whether the other is there. */
const lineEveryMs = 5_000;

/** The routes of the control socket that change something, by their path. */
export function controlRoutes(deps: ControlDeps): Readonly<Record<string, ControlRoute>> {
  const { nerve, operator, drainTimeMs, wait } = deps;
  const drain =
    (drained: boolean): ControlRoute =>
    async (body): Promise<DrainAnswer> => {
      const { service, instance } = readNames(body);
      const instances = nerve.drain(service, drained, instance);
      // The drain itself has begun: a full disk must not stop an operator from draining.
      return { service, instances, drainTime: drainTimeMs(), warning: await operator.saved() };
    };
  const weight: ControlRoute = async (body): Promise<DrainAnswer> => {
    const { service, instance } = readNames(body);
    const instances = nerve.setWeight(service, readWeightOf(body), instance);
    return { service, instances, drainTime: drainTimeMs(), warning: await operator.saved() };
  };
  return {
    '/api/v1/drain': drain(true),
    '/api/v1/undrain': drain(false),
    '/api/v1/weight': weight,
    '/api/v1/wait': (body, signal) => {
      const { service, instance } = readNames(body);
      return waitLines(nerve.choose(service, instance), readWait(body), wait, signal);
    },
  };
}

function readNames(body: unknown): { readonly service: string; readonly instance: string | undefined } {
  const { service, instance } = isObject(body) ? body : {};
  if (typeof service !== 'string') throw new BadRequest('name a service: {"service": "api"}');
  if (instance !== undefined && typeof instance !== 'string') throw new BadRequest('instance must be a string');
  return { service, instance };
}

/** The weight of a request; null stands for that of the configuration. */
function readWeightOf(body: unknown): number | undefined {
  const { weight } = isObject(body) ? body : {};
  if (weight === null) return undefined;
  try {
    return readWeight(weight);
  } catch (error) {
    throw new BadRequest(reasonOf(error));
  }
}

function readWait(body: unknown): FleetWaitOptions {
  const { expect, timeout_ms: timeoutMs } = isObject(body) ? body : {};
  if (expect !== 'drained' && expect !== 'up' && expect !== 'applied') {
    throw new BadRequest('expect must be drained, up or applied');
  }
  if (typeof timeoutMs !== 'number' || !(timeoutMs >= 0 && timeoutMs <= longestWaitMs)) {
    throw new BadRequest(`timeout_ms must be a number from 0 to ${longestWaitMs}`);
  }
  return { expect, timeoutMs };
}

/** The lines of a wait. When the client goes, the wait ends and its requests are removed; the drain stays. */
async function* waitLines(
  services: readonly RunningService[],
  options: FleetWaitOptions,
  wait: WaitForProxies,
  signal: AbortSignal,
): AsyncGenerator<WaitLine | { readonly error: string }> {
  const awake = new WakeableSleep();
  let latest: readonly InstanceProgress[] = [];
  let ended = false;
  let error: unknown;
  const take = (instances: readonly InstanceProgress[]): void => {
    latest = instances;
    awake.wake();
  };
  void wait(services, options, take, signal)
    .then(take, (reason) => {
      error = reason;
    })
    .finally(() => {
      ended = true;
      awake.wake();
    });
  while (!signal.aborted) {
    await awake.sleep(lineEveryMs, signal);
    if (error !== undefined) yield { error: reasonOf(error) };
    else if (latest.length > 0) yield { instances: latest, ended };
    if (ended) return;
  }
}
