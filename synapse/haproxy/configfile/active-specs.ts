import type { HaproxyProcess } from '../runtime/process.ts';
import type { DesiredService } from '../spec/desired-service.ts';
import type { BackendSpec } from '../spec/types.ts';
import { findingsIn } from './check.ts';
import type { ConfigText } from './config-text.ts';
import type { OriginFacts } from './line-origin.ts';
import { explainFindings } from './refusal.ts';

/** Why HAProxy did not load a configuration. */
export interface LoadFailure {
  readonly message: string;
  /** What HAProxy printed; empty when it is not known. */
  readonly output: string;
}

/** What {@link ActiveSpecs} needs. */
export interface ActiveSpecsDeps {
  readonly services: Map<string, DesiredService>;
  readonly processes: readonly Pick<HaproxyProcess, 'replan'>[];
}

/** Decides the active spec of each service: the one that its servers follow at run time. */
export class ActiveSpecs {
  readonly #services: Map<string, DesiredService>;
  readonly #processes: readonly Pick<HaproxyProcess, 'replan'>[];
  /** Service → its spec in the configuration that HAProxy has loaded last. */
  #loaded: ReadonlyMap<string, BackendSpec> = new Map();

  constructor({ services, processes }: ActiveSpecsDeps) {
    this.#services = services;
    this.#processes = processes;
  }

  /** Makes the selected specs active, and forgets services that are in no configuration any more. */
  promote(specOf: (desired: DesiredService) => BackendSpec | undefined): void {
    for (const desired of [...this.#services.values()]) {
      desired.active = specOf(desired);
      if (desired.active === undefined && desired.wanted === undefined) this.#services.delete(desired.service);
    }
  }

  /** Makes the wanted specs active. */
  useWanted(): void {
    for (const desired of this.#services.values()) desired.active = desired.wanted;
  }

  /** Makes the spec of a service active that HAProxy has loaded last. */
  useLoaded(desired: DesiredService): void {
    desired.active = this.#loaded.get(desired.service);
  }

  /** HAProxy has loaded the active specs. */
  rememberLoaded(): void {
    const specs = new Map<string, BackendSpec>();
    for (const { service, active } of this.#services.values()) if (active !== undefined) specs.set(service, active);
    this.#loaded = specs;
  }

  /** Compares what runs with the active specs, and sends the commands that are missing. */
  replan(): void {
    for (const haproxy of this.#processes) void haproxy.replan();
  }

  /**
   * The services for which HAProxy may not have loaded `text`, each with the reason: among the services that changed since
   * the last load, those that HAProxy names, or all when it names none. `file`: the name of the file.
   */
  culpritsIn(
    { message, output }: LoadFailure,
    { text, file, facts }: { readonly text: ConfigText; readonly file: string; readonly facts: OriginFacts },
  ): ReadonlyMap<DesiredService, string> {
    const named = new Map<string, string>();
    for (const { line, message: said } of explainFindings(findingsIn(output, file), text, facts)) {
      const service = line === undefined ? undefined : text.locate(line)?.service;
      if (service !== undefined && !named.has(service)) named.set(service, said);
    }
    const culprits = new Map<DesiredService, string>();
    for (const desired of this.#services.values()) {
      const { service, active } = desired;
      if (active === undefined || this.#loaded.get(service)?.fingerprint === active.fingerprint) continue;
      if (named.size === 0 || named.has(service)) culprits.set(desired, named.get(service) ?? message);
    }
    return culprits;
  }
}
