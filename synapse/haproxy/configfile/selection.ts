import type { Log } from '../../../common/daemon/log.ts';
import { type DesiredService, desiredServers } from '../spec/desired-service.ts';
import { type ParsedConfig, recoverBackendSpec } from '../spec/parse-config.ts';
import type { ReloadReason } from '../spec/reload-reason.ts';
import { serverOf } from '../spec/server.ts';
import type { BackendSpec, Server } from '../spec/types.ts';
import { shapeOf, type TextSelection } from './config-text.ts';
import type { LeftOut, Suspect } from './find-refused.ts';
import { Quarantine, type QuarantineUnit, type WantedThen } from './quarantine.ts';

/** What {@link Selection} needs. */
export interface SelectionDeps {
  readonly log: Log;
  readonly services: ReadonlyMap<string, DesiredService>;
  /** The file that is there. */
  readonly present: () => ParsedConfig;
  /** True when a configuration of ours was accepted: then the active specs are the last good ones. */
  readonly isAccepted: () => boolean;
}

/** Selects what each service has in the file: what is wanted of it, or its last good spec while it is quarantined. */
export class Selection implements TextSelection {
  readonly quarantine: Quarantine;
  readonly #deps: SelectionDeps;
  /** Wanted spec → what the present file has for it. */
  readonly #recoveries = new WeakMap<BackendSpec, { readonly spec: BackendSpec | undefined }>();
  readonly #recovered = new WeakSet<BackendSpec>();

  constructor(deps: SelectionDeps) {
    this.#deps = deps;
    this.quarantine = new Quarantine(deps.log);
  }

  readonly specOf = (desired: DesiredService): BackendSpec | undefined =>
    this.quarantine.holds(desired.service) ? this.#lastGood(desired) : desired.wanted;

  readonly isRecovered = (spec: BackendSpec): boolean => this.#recovered.has(spec);

  get accept(): ((shape: string) => boolean) | undefined {
    return this.quarantine.isEmpty ? undefined : (shape) => !this.quarantine.refuses(shape);
  }

  /** Lets out of the quarantine what is to be tried again. @returns true when it let anything out */
  release(): boolean {
    if (this.quarantine.isEmpty) return false;
    return this.quarantine.release((unit) => {
      const wanted = this.#wantedNow(unit);
      const desired = this.#deps.services.get(unit.service);
      if (unit.shape === undefined || desired === undefined || wanted === undefined) return wanted;
      // Instances that are gone take their quarantine with them.
      return this.#hasShape(desired, unit.shape) ? wanted : undefined;
    });
  }

  /** What is wanted of this unit now. */
  wantedOf(unit: QuarantineUnit): WantedThen {
    return this.#wantedNow(unit) ?? { fingerprint: '', instances: undefined };
  }

  /** The same selection with more left out. */
  without({ services, shapes }: LeftOut): TextSelection {
    return {
      specOf: (desired) => (services.has(desired.service) ? this.#lastGood(desired) : this.specOf(desired)),
      accept: (shape) => !shapes.has(shape) && !this.quarantine.refuses(shape),
      isRecovered: this.isRecovered,
    };
  }

  /** The same selection with the active spec of each service: what the file has now. */
  get active(): TextSelection {
    const { accept, isRecovered } = this;
    return { specOf: ({ active }) => active, accept, isRecovered };
  }

  /** The services with anything that was not accepted before. */
  suspects(acceptedShapes: Pick<ReadonlySet<string>, 'has'>): readonly Suspect[] {
    const found: Suspect[] = [];
    for (const desired of this.#deps.services.values()) {
      const spec = this.specOf(desired);
      if (spec === undefined) continue;
      const hasChanged = !this.#deps.isAccepted() || spec.fingerprint !== desired.active?.fingerprint;
      const hasNewOptions = spec === desired.wanted && hasChanged;
      const shapes = new Set<string>();
      for (const server of this.#serversOf(desired, spec)) {
        const shape = shapeOf(server, spec);
        if (!acceptedShapes.has(shape) && !this.quarantine.refuses(shape)) shapes.add(shape);
      }
      if (hasNewOptions || shapes.size > 0)
        found.push({ service: desired.service, hasNewOptions, shapes: [...shapes] });
    }
    return found;
  }

  /** The reasons for a reload that loading the file helps: its check refuses the options of the other servers. */
  helped(reasons: readonly ReloadReason[]): readonly ReloadReason[] {
    if (this.quarantine.isEmpty || reasons.length === 0) return reasons;
    const byBackend = new Map([...this.#deps.services.values()].map((desired) => [desired.active?.backend, desired]));
    return reasons.filter(({ server: place }) => {
      const desired = place && byBackend.get(place.backend);
      const instance = desired?.instances?.find(({ id }) => id === place?.name);
      if (desired?.active === undefined || instance === undefined) return true;
      return !this.quarantine.refuses(shapeOf(serverOf(instance, desired.active.servers), desired.active));
    });
  }

  #lastGood({ active, wanted }: DesiredService): BackendSpec | undefined {
    if (this.#deps.isAccepted() || wanted === undefined) return active;
    let known = this.#recoveries.get(wanted);
    if (known === undefined) {
      known = { spec: recoverBackendSpec(this.#deps.present(), wanted) };
      this.#recoveries.set(wanted, known);
      if (known.spec !== undefined) this.#recovered.add(known.spec);
    }
    return known.spec;
  }

  #wantedNow({ service }: QuarantineUnit): WantedThen | undefined {
    const desired = this.#deps.services.get(service);
    return desired?.wanted && { fingerprint: desired.wanted.fingerprint, instances: desired.instances };
  }

  #serversOf(desired: DesiredService, spec: BackendSpec): readonly Server[] {
    return this.#recovered.has(spec) ? [] : [...(desiredServers(desired, spec)?.values() ?? [])];
  }

  #hasShape(desired: DesiredService, shape: string): boolean {
    const spec = this.specOf(desired);
    return spec !== undefined && this.#serversOf(desired, spec).some((server) => shapeOf(server, spec) === shape);
  }
}
