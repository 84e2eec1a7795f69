import type { InstanceProgress } from '../../../nerve/fleet-wait.ts';
import { pick } from './faults/fault.ts';
import type { FleetMonitor } from './monitors/fleet.ts';
import type { NerveHost } from './nerve-host.ts';
import type { World } from './world.ts';

/** How long an operator waits between two deploys on one host, at most, milliseconds. */
const mostPauseMs = 40_000;
/** How long an instance stays drained after the wait, at most: a deploy stops and starts it meanwhile. */
const mostDrainedMs = 8_000;
/** How long an operator waits for the proxies. */
const timeoutsMs = [5_000, 20_000, 60_000] as const;
/** An operator whose nerve is away, or did not hear, tries again after this time. */
const tryAgainMs = 500;

/**
 * Operators on the hosts of nerves: they drain the instances of a service, wait until every proxy has acknowledged that, undrain
 * them, and wait again. {@link FleetMonitor} holds what the waits said against what HAProxy does.
 */
export class Deploys {
  readonly #world: World;
  readonly #monitor: FleetMonitor;
  /** Host → the service that is drained there. */
  readonly #drained = new Map<NerveHost, string>();
  #isOver = false;

  constructor(world: World, monitor: FleetMonitor) {
    this.#world = world;
    this.#monitor = monitor;
  }

  /** Begins deploys on every host, at random times. */
  start(): void {
    for (const nerve of this.#world.nerves) this.#next(nerve);
  }

  /** Ends them: what is drained is undrained, as soon as its nerve runs. */
  end(): void {
    this.#isOver = true;
    for (const [nerve, service] of this.#drained) this.#undrain(nerve, service);
  }

  #next(nerve: NerveHost): void {
    const { scheduler } = this.#world;
    scheduler.at(2_000 + scheduler.random() * mostPauseMs, () => {
      if (!this.#isOver) this.#begin(nerve);
    });
  }

  #begin(nerve: NerveHost): void {
    const { scheduler, history } = this.#world;
    const service = pick(this.#world, [...nerve.configured])?.service;
    if (service === undefined || nerve.stopping) {
      this.#next(nerve);
      return;
    }
    if (scheduler.random() < 0.2) {
      this.#wait(nerve, service, 'applied', () => this.#next(nerve));
      return;
    }
    if (!nerve.drain(service, true)) {
      this.#next(nerve);
      return;
    }
    history.note(`an operator drains ${service} on ${nerve.name}, and waits for all proxies`);
    this.#drained.set(nerve, service);
    this.#wait(nerve, service, 'drained', () =>
      scheduler.at(scheduler.random() * mostDrainedMs, () => this.#undrain(nerve, service)),
    );
  }

  /** Undrains until nerve knows it, and waits for the proxies then. */
  #undrain(nerve: NerveHost, service: string): void {
    if (this.#drained.get(nerve) !== service) return;
    this.#monitor.undrained(nerve, service);
    const isTold = nerve.running && !nerve.stopping && nerve.drain(service, false);
    this.#world.scheduler.at(tryAgainMs, () => {
      if (this.#drained.get(nerve) !== service) return;
      const isKnown = isTold && nerve.running && nerve.instances.every((one) => nerve.isDrained(one) === false);
      if (!isKnown) {
        this.#undrain(nerve, service);
        return;
      }
      this.#world.history.note(`the operator has undrained ${service} on ${nerve.name}`);
      this.#drained.delete(nerve);
      if (this.#isOver) return;
      this.#wait(nerve, service, 'up', () => this.#next(nerve));
    });
  }

  /** Waits for the proxies. `then` is called once: also when the nerve ends meanwhile. */
  #wait(nerve: NerveHost, service: string, expect: 'drained' | 'up' | 'applied', then: () => void): void {
    const { scheduler, history } = this.#world;
    const timeoutMs = pick(this.#world, timeoutsMs) ?? timeoutsMs[0];
    const asked = this.#monitor.asked();
    let isOver = false;
    const end = (): void => {
      if (isOver) return;
      isOver = true;
      then();
    };
    const done = (found: readonly InstanceProgress[]): void => {
      if (isOver) return;
      for (const { instance, progress } of found) {
        const { outcome, reason, milliseconds } = progress;
        const how = reason === null ? outcome : `${outcome}, ${reason}`;
        history.note(`${service} ${instance} ${expect}: ${how} (${Math.round(milliseconds)} ms)`);
        this.#monitor.answered(asked, { nerve, service, instance, progress });
      }
      end();
    };
    nerve.waitForProxies(service, { expect, timeoutMs }, done);
    // A nerve that was killed says nothing.
    scheduler.at(timeoutMs + tryAgainMs, end);
  }
}
