import { BadRequest, type ControlRoute } from '../common/admin/admin.ts';
import { isObject } from '../common/config/formats.ts';
import type { Drains } from './announce/drain-store.ts';
import type { Nerve } from './nerve.ts';

/** The answer to `nerve drain` and `nerve undrain`. */
export interface DrainAnswer {
  readonly service: string;
  readonly instances: readonly string[];
  /** How long a drained instance may take to finish its connections, milliseconds. */
  readonly drainTime: number;
  /** Why nerve will forget the change at a restart; null when it remembers it. */
  readonly warning: string | null;
}

/** The routes of the control socket that change something, by their path. */
export function controlRoutes(
  nerve: Nerve,
  drains: Drains,
  drainTimeMs: () => number,
): Readonly<Record<string, ControlRoute>> {
  const route =
    (drained: boolean): ControlRoute =>
    async (body): Promise<DrainAnswer> => {
      const { service, instance } = isObject(body) ? body : {};
      if (typeof service !== 'string') throw new BadRequest('name a service: {"service": "api"}');
      if (instance !== undefined && typeof instance !== 'string') throw new BadRequest('instance must be a string');
      const instances = nerve.drain(service, drained, instance);
      // The drain itself has begun: a full disk must not stop an operator from draining.
      return { service, instances, drainTime: drainTimeMs(), warning: await drains.saved() };
    };
  return { '/api/v1/drain': route(true), '/api/v1/undrain': route(false) };
}
