import { BadRequest, type ControlRoute } from '../common/admin/admin.ts';
import { isObject } from '../common/config/formats.ts';
import type { Drains } from './announce/drain-store.ts';
import type { Nerve } from './nerve.ts';

/** What `nerve drain` and `nerve undrain` get as an answer. */
export interface DrainAnswer {
  readonly service: string;
  readonly instances: readonly string[];
  /** Milliseconds that a drained instance gets to finish what it has. */
  readonly drainTime: number;
  /** Why it will not be remembered after a restart, or null. */
  readonly warning: string | null;
}

/** The commands that change something, by their path. `drainTime` in milliseconds. */
export function controlRoutes(
  nerve: Nerve,
  drains: Drains,
  drainTime: () => number,
): Readonly<Record<string, ControlRoute>> {
  const route =
    (drained: boolean): ControlRoute =>
    async (body): Promise<DrainAnswer> => {
      const { service, instance } = isObject(body) ? body : {};
      if (typeof service !== 'string') throw new BadRequest('name a service: {"service": "api"}');
      if (instance !== undefined && typeof instance !== 'string') throw new BadRequest('instance must be a string');
      const instances = nerve.drain(service, drained, instance);
      // In etcd it has begun already: a full disk does not keep an operator from draining.
      return { service, instances, drainTime: drainTime(), warning: await drains.saved() };
    };
  return { '/api/v1/drain': route(true), '/api/v1/undrain': route(false) };
}
