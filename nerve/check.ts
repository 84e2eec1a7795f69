import type { Schema } from '../common/config/config.ts';
import type { PluginFolder } from '../common/plugin.ts';

/** One probe of a local service: resolves when it is healthy, rejects with the reason when it is not. */
export type Check = (signal: AbortSignal) => Promise<void>;

/** What a check probes unless its own options say otherwise: the service's own address. */
export interface CheckTarget {
  readonly service: string;
  readonly host: string;
  readonly port: number;
}

/**
 * A kind of check: one file in `nerve/checks/`, named after its `type`, that exports it as `check`.
 * The options that every check has (`type`, `name`, `timeout`, `rise`, `fall`, …) are not its business.
 */
export interface CheckPlugin<Options> {
  /** One sentence for `nerve describe`. */
  readonly description: string;
  readonly schema: Schema<Options>;
  /** How long a probe may take, when options of its own say more than `timeout`. Milliseconds. */
  readonly deadline?: (options: Options, timeout: number) => number;
  /**
   * Prepares the probe; does no I/O. The returned function opens what it needs on each call, closes it before it
   * settles, and gives up as soon as its signal aborts (that is how its timeout reaches it).
   * @throws when the options make no sense together; the message becomes a configuration problem
   */
  create(options: Options, target: CheckTarget): Check;
}

export const checkFolder: PluginFolder = {
  kind: 'check type',
  url: new URL('./checks/', import.meta.url),
  symbol: 'check',
};
