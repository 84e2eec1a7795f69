import { clock } from '../common/async/clock.ts';
import { sleep } from '../common/async/sleep.ts';
import type { Log } from '../common/daemon/log.ts';
import { askFleet } from '../common/fleet/ask.ts';
import type { FleetConfig } from '../common/fleet/options.ts';
import { type Progress, unaskedProgress } from '../common/fleet/progress.ts';
import type { NerveConfig } from './config/config.ts';
import { type AskProxies, type FleetWaitOptions, type InstanceProgress, waitForProxies } from './fleet-wait.ts';
import { fleetRequestDuration, fleetRequests } from './metrics.ts';
import type { Nerve } from './nerve.ts';
import type { RegistryClients } from './registry-clients.ts';
import type { RunningService } from './running-service.ts';

/** What the waits work on. */
export interface FleetWaitsDeps {
  readonly nerve: Nerve;
  readonly clients: RegistryClients;
  readonly log: Log;
  /** The configuration in force. */
  readonly config: () => Pick<NerveConfig, 'fleet' | 'instanceId'>;
}

/** The waits of this nerve for the proxies of its registries. */
export class FleetWaits {
  readonly #deps: FleetWaitsDeps;
  /** Requests that have ended, and are being removed from etcd. */
  readonly #removals = new Set<Promise<void>>();

  constructor(deps: FleetWaitsDeps) {
    this.#deps = deps;
  }

  /** Waits until all proxies have these services as expected: see {@link waitForProxies}. */
  wait(
    services: readonly RunningService[],
    options: FleetWaitOptions,
    onProgress: (progress: readonly InstanceProgress[]) => void,
    signal: AbortSignal,
  ): Promise<readonly InstanceProgress[]> {
    const { nerve, config } = this.#deps;
    const { fleet } = config();
    const deps = {
      ask: fleet === false ? undefined : this.#ask(fleet),
      isWanted: ({ config: { name } }: RunningService) =>
        options.expect === 'applied' || nerve.isDrained(name) === (options.expect === 'drained'),
      onProgress,
    };
    return waitForProxies(services, options, deps, signal);
  }

  /**
   * Waits until no proxy sends anything to the services that are up, because nerve stops; where that cannot be known, for all of
   * the time.
   */
  async untilQuiet(timeoutMs: number, signal: AbortSignal): Promise<void> {
    const { nerve, log } = this.#deps;
    const endsAt = clock.now() + timeoutMs;
    const services = [...nerve.services.values()].filter(({ isUp }) => isUp);
    const found = await this.wait(services, { expect: 'drained', timeoutMs }, () => {}, signal);
    const unknown = found.filter(({ progress }) => progress.outcome !== 'done');
    if (unknown.length === 0) {
      log.info('every proxy has the services drained, and the last connection has ended', { services: found.length });
      return;
    }
    for (const { service, instance, progress } of unknown) {
      const { outcome, reason } = progress;
      log.info('not known to be drained, waiting for all of shutdown.drain', { service, instance, outcome, reason });
    }
    await sleep(endsAt - clock.now(), signal);
  }

  /** Resolves when the requests of all waits that have ended are gone from etcd, or go with their leases. */
  async removed(): Promise<void> {
    await Promise.all(this.#removals);
  }

  /** Asks over the connection and with the rights that nerve announces with. */
  #ask(fleet: FleetConfig): AskProxies {
    const { clients, log, config } = this.#deps;
    return async ({ announcer }, { questions, timeoutMs, onProgress }, signal) => {
      const client = clients.clientOf(announcer);
      if (client === undefined) {
        const end = { outcome: 'denied', reason: 'this registry has no connection to etcd' } as const;
        return questions.map((question) => unaskedProgress(question, 0, end));
      }
      const options = { fleet, by: `nerve on ${config().instanceId}`, questions, timeoutMs };
      const { answers, removed } = await askFleet(client, options, { log, onProgress }, signal);
      this.#removals.add(removed);
      void removed.then(() => this.#removals.delete(removed));
      for (const { progress } of answers) count(progress);
      return answers.map(({ progress }) => progress);
    };
  }
}

function count({ expect, outcome, milliseconds }: Progress): void {
  // Given up by the process that asked.
  if (outcome === 'waiting') return;
  fleetRequests.inc({ expect, outcome });
  if (outcome === 'done') fleetRequestDuration.observe({ expect }, milliseconds / 1000);
}
