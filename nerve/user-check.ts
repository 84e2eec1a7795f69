import type { Schema } from '../common/config/schema.ts';

/** One probe of a service on this host: resolves when the service is healthy, rejects with the reason when it is not. */
export type Check = (signal: AbortSignal) => Promise<void>;

/** The address of the service. A check probes it unless its own options name another. */
export interface CheckTarget {
  readonly service: string;
  readonly host: string;
  readonly port: number;
}

/**
 * What a user's file exports as `check`: the interface of nerve's own checks, of which only `create` is required. It
 * does not change within a major version.
 *
 * ```js
 * export const check = {
 *   schema: { limit: { doc: 'longest queue', format: 'positive-integer', default: 100 } },   // optional
 *   create(options, target) {                    // target: { service, host, port }; no I/O here
 *     return async (signal) => {                 // one probe: throw an Error with the reason, or return
 *       const answer = await fetch(`http://${target.host}:${target.port}/queue`, { signal });
 *       if (Number(await answer.text()) > options.limit) throw new Error('the queue is too long');
 *     };
 *   },
 * };
 * ```
 *
 * The probe opens what it needs each time, closes it before it returns, and gives up when `signal` aborts. Without a
 * schema, `create` gets the options as the configuration has them.
 */
export interface UserCheck<Options = Readonly<Record<string, unknown>>> {
  readonly schema?: Schema<Options>;
  create(options: Options, target: CheckTarget): Check;
}
