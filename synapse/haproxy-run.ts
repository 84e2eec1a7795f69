import { type Log, reasonOf } from '../common/daemon/log.ts';
import type { RunningHaproxy } from './haproxy/haproxy.ts';
import type { HaproxyConfig } from './haproxy/options/config.ts';

/** Makes HAProxy's output for a configuration; it ends when `signal` aborts. */
export type CreateHaproxy = (config: HaproxyConfig, deps: { readonly log: Log }, signal: AbortSignal) => RunningHaproxy;

/** HAProxy's output, running with one configuration. A changed `haproxy` section needs another run. */
export class HaproxyRun {
  readonly config: HaproxyConfig;
  readonly haproxy: RunningHaproxy;
  readonly #end = new AbortController();
  readonly #done: Promise<void>;

  /** Starts the output. */
  constructor(config: HaproxyConfig, deps: { readonly log: Log; readonly createHaproxy: CreateHaproxy }) {
    this.config = config;
    this.haproxy = deps.createHaproxy(config, { log: deps.log }, this.#end.signal);
    this.#done = this.haproxy.run(this.#end.signal).catch((error) => {
      deps.log.error("HAProxy's output ended with an error", { reason: reasonOf(error) });
    });
  }

  /** Ends the output; resolves when everything pending is on disk. HAProxy itself is left running. */
  close(): Promise<void> {
    this.#end.abort();
    return this.#done;
  }
}
