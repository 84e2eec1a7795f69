import { linkAbort } from '../common/async/abort.ts';
import { clock } from '../common/async/clock.ts';
import { sleep } from '../common/async/sleep.ts';
import { type Outcome, type Progress, unaskedProgress } from '../common/fleet/progress.ts';
import type { Question } from '../common/fleet/question.ts';
import type { OpenRegistry } from './announce/registries.ts';
import type { RunningService } from './running-service.ts';

/** How far the proxies are with one instance. */
export interface InstanceProgress {
  readonly service: string;
  readonly instance: string;
  readonly progress: Progress;
}

/** What is waited for. */
export interface FleetWaitOptions {
  /** `applied`: whatever the record says, every HAProxy has it. */
  readonly expect: 'drained' | 'up' | 'applied';
  readonly timeoutMs: number;
}

/** Questions to the synapses that follow one registry. */
export interface RegistryQuestions {
  readonly questions: readonly Question[];
  readonly timeoutMs: number;
  readonly onProgress: (progress: readonly Progress[]) => void;
}

/** Asks the synapses of a registry's cluster. Never rejects. */
export type AskProxies = (
  registry: OpenRegistry,
  questions: RegistryQuestions,
  signal: AbortSignal,
) => Promise<readonly Progress[]>;

/** What waiting needs from outside. */
export interface FleetWaitDeps {
  /** Undefined: the configuration says `fleet: false`. */
  readonly ask: AskProxies | undefined;
  /** True while the service is what is waited for: an operator may drain or undrain it meanwhile. */
  readonly isWanted: (service: RunningService) => boolean;
  readonly onProgress: (progress: readonly InstanceProgress[]) => void;
}

/** How often it is looked whether etcd shows a service, and whether it is still wanted. */
const pollMs = 25;

/** How long the question about one instance waits for the records of the others, so that all are asked at once. */
const patienceMs = 1_000;

/**
 * Waits until every proxy has the instances as expected and, when they are drained, until the last connection to them has ended.
 * All are asked at once. Never rejects: when `signal` aborts, the waits end as they are.
 */
export async function waitForProxies(
  services: readonly RunningService[],
  options: FleetWaitOptions,
  deps: FleetWaitDeps,
  signal: AbortSignal,
): Promise<readonly InstanceProgress[]> {
  const link = linkAbort(signal);
  try {
    return await new FleetWait(services, options, deps).run(link.signal);
  } finally {
    link.release();
    link.abort();
  }
}

class FleetWait {
  readonly #services: readonly RunningService[];
  readonly #options: FleetWaitOptions;
  readonly #deps: FleetWaitDeps;
  readonly #beganAt = clock.now();
  readonly #known = new Map<RunningService, Progress>();
  readonly #changed = new Set<RunningService>();

  constructor(services: readonly RunningService[], options: FleetWaitOptions, deps: FleetWaitDeps) {
    this.#services = services;
    this.#options = options;
    this.#deps = deps;
    for (const service of services) this.#set(service, 'waiting', 'etcd does not show it yet');
  }

  async run(signal: AbortSignal): Promise<readonly InstanceProgress[]> {
    if (this.#deps.ask === undefined) {
      for (const service of this.#services) this.#set(service, 'off', 'the configuration says fleet: false');
      return this.#result;
    }
    const ended = linkAbort(signal);
    void this.#stopWhenUnwanted(ended);
    const registries = new Set(this.#services.map(({ registry }) => registry));
    await Promise.all(
      [...registries].map((registry) => {
        const own = this.#services.filter((service) => service.registry === registry);
        return this.#ask(registry, own, ended.signal);
      }),
    );
    for (const service of this.#changed) this.#set(service, 'changed', 'the opposite was asked for meanwhile');
    ended.release();
    ended.abort();
    return this.#result;
  }

  get #result(): readonly InstanceProgress[] {
    return this.#services.map((service) => ({
      service: service.config.service,
      instance: service.config.instance.id,
      progress: this.#known.get(service) as Progress,
    }));
  }

  get #leftMs(): number {
    return Math.max(0, this.#beganAt + this.#options.timeoutMs - clock.now());
  }

  /** Asks the synapses of one registry about its instances. One that etcd does not show for long delays no other. */
  async #ask(registry: OpenRegistry, services: readonly RunningService[], signal: AbortSignal): Promise<void> {
    const ask = this.#deps.ask;
    await this.#untilShown(registry, services, signal);
    const shown = services.filter(({ isSettled }) => isSettled);
    const hidden = services.filter((service) => !shown.includes(service));
    for (const service of hidden) this.#set(service, 'waiting', `etcd does not show it: ${reasonOf(service)}`);
    if (signal.aborted || ask === undefined) return;
    if (this.#leftMs === 0) {
      for (const service of services) this.#set(service, 'timeout', `etcd does not show it: ${reasonOf(service)}`);
      return;
    }
    const others = hidden.length === 0 ? undefined : this.#ask(registry, hidden, signal);
    const take = (progress: readonly Progress[]): void => {
      for (const [index, service] of shown.entries()) this.#known.set(service, progress[index] as Progress);
      this.#deps.onProgress(this.#result);
    };
    if (shown.length > 0) {
      const questions = shown.map((service) => this.#questionOf(service));
      take(await ask(registry, { questions, timeoutMs: this.#leftMs, onProgress: take }, signal));
    }
    await others;
  }

  /** Waits until the registry has the records of these services; after {@link patienceMs}, until it has one of them. */
  async #untilShown(
    { announcer }: OpenRegistry,
    services: readonly RunningService[],
    signal: AbortSignal,
  ): Promise<void> {
    const beganAt = clock.now();
    while (!signal.aborted && this.#leftMs > 0 && !services.every(({ isSettled }) => isSettled)) {
      const isLate = clock.now() - beganAt >= patienceMs;
      if (isLate && services.some(({ isSettled }) => isSettled)) return;
      await settledSoon(announcer, signal);
      if (!services.every(({ isSettled }) => isSettled)) await sleep(Math.min(pollMs, this.#leftMs), signal);
    }
  }

  async #stopWhenUnwanted(ended: { readonly signal: AbortSignal; abort(): void }): Promise<void> {
    while (!ended.signal.aborted) {
      const unwanted = this.#services.filter((service) => !this.#deps.isWanted(service));
      for (const service of unwanted) this.#changed.add(service);
      if (unwanted.length > 0) ended.abort();
      await sleep(pollMs, ended.signal);
    }
  }

  #questionOf({ config: { key } }: RunningService): Question {
    const { expect } = this.#options;
    const path = key.slice(0, key.lastIndexOf('/'));
    return expect === 'applied' ? { kind: 'revision', path } : { kind: 'instance', path, key, expect };
  }

  #set(service: RunningService, outcome: Outcome, reason: string): void {
    const milliseconds = clock.now() - this.#beganAt;
    this.#known.set(service, unaskedProgress(this.#questionOf(service), milliseconds, { outcome, reason }));
  }
}

/** Waits until a registry has everything, mostly for some milliseconds, but not longer than until the next look. */
async function settledSoon(announcer: OpenRegistry['announcer'], signal: AbortSignal): Promise<void> {
  const soon = linkAbort(signal);
  const timer = clock.setTimeout(() => soon.abort(), pollMs);
  await announcer.settled(soon.signal).catch(() => {});
  clock.clearTimeout(timer);
  soon.release();
}

function reasonOf({ announcement, heldBack }: RunningService): string {
  return announcement.reason ?? (heldBack ? 'held back by rate_limiting' : 'waiting for etcd');
}
