import { isDeepStrictEqual } from 'node:util';
import { ConfigError, problemsInLine } from '../common/config/problem.ts';
import { type Log, reasonOf } from '../common/daemon/log.ts';
import { countReload } from '../common/daemon/metrics.ts';
import { counted } from '../common/wording.ts';
import type { SynapseConfig } from './config/config.ts';
import type { Events } from './report/events.ts';

/** What a reload uses of its surroundings. */
export interface ConfigReloadDeps {
  readonly log: Log;
  readonly events: Events;
  /** Reads the configuration. @throws {ConfigError} */
  load(): Promise<SynapseConfig>;
}

/** Reads the configuration again; an invalid one is reported, and the old one stays in force. */
export class ConfigReload {
  readonly #deps: ConfigReloadDeps;
  #current: SynapseConfig;
  #refused: string | null = null;

  /** `initial` is the configuration that is in force. */
  constructor(initial: SynapseConfig, deps: ConfigReloadDeps) {
    this.#current = initial;
    this.#deps = deps;
  }

  /** Why the configuration that was read last cannot be used, so that a restart would fail; null when it can. */
  get refused(): string | null {
    return this.#refused;
  }

  /** The new configuration; undefined when it cannot be used. Never rejects. */
  async read(): Promise<SynapseConfig | undefined> {
    const { log, events, load } = this.#deps;
    try {
      const next = await load();
      const services = next.services.size;
      countReload('ok');
      log.info('configuration read again', { services });
      events.record({ kind: 'configuration_read', level: 'info', reason: counted(services, 'service') });
      this.#warnOfRestart(next);
      this.#current = next;
      this.#refused = null;
      return next;
    } catch (error) {
      countReload('invalid');
      const problems = error instanceof ConfigError ? error.problems : [{ path: '', message: reasonOf(error) }];
      log.error('the new configuration is invalid, the old one stays in force', { problems });
      const reason = problemsInLine(problems);
      this.#refused = reason;
      events.record({ kind: 'configuration_refused', level: 'error', reason });
      return undefined;
    }
  }

  #warnOfRestart(next: SynapseConfig): void {
    for (const section of ['admin', 'stateFile'] as const) {
      if (isDeepStrictEqual(next[section], this.#current[section])) continue;
      this.#deps.log.warn('a changed section takes effect only after a restart', { section });
    }
  }
}
