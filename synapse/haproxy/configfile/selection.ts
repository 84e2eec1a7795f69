import type { Log } from '../../../common/daemon/log.ts';
import { type DesiredService, desiredServers } from '../spec/desired-service.ts';
import { type ParsedConfig, recoverBackendSpec } from '../spec/parse-config.ts';
import type { BackendSpec } from '../spec/types.ts';
import { shapeOf, type TextChoice } from './file-text.ts';
import type { LeftOut, Suspect } from './find-refused.ts';
import { type Asked, createQuarantine, type Quarantine, type Unit } from './quarantine.ts';

/** What each service has in the file: what is wanted of it, or its last good form while that is quarantined. */
export interface Choice extends TextChoice {
  readonly quarantine: Quarantine;
  /** Lets out of the quarantine what is to be tried again; true when that changes anything. */
  release(): boolean;
  /** What was asked for in this unit. */
  askedOf(unit: Unit): Asked;
  /** The same with more left out. */
  without(out: LeftOut): TextChoice;
  /** Services with anything new in them. */
  suspects(acceptedShapes: ReadonlySet<string>): readonly Suspect[];
}

export interface ChoiceDeps {
  readonly log: Log;
  readonly services: ReadonlyMap<string, DesiredService>;
  readonly existing: () => ParsedConfig;
  /** Whether any configuration of ours was accepted: then the active structures are the last good ones. */
  readonly isAccepted: () => boolean;
}

export function createChoice({ log, services, existing, isAccepted }: ChoiceDeps): Choice {
  const quarantine = createQuarantine(log);
  const recovered = new WeakSet<BackendSpec>();
  const recoveries = new WeakMap<BackendSpec, { readonly structure: BackendSpec | undefined }>();

  const lastGood = (desired: DesiredService): BackendSpec | undefined => {
    const { active, wanted } = desired;
    if (isAccepted() || wanted === undefined) return active;
    let known = recoveries.get(wanted);
    if (known === undefined) {
      known = { structure: recoverBackendSpec(existing(), wanted) };
      recoveries.set(wanted, known);
      if (known.structure !== undefined) recovered.add(known.structure);
    }
    return known.structure;
  };
  const structureOf = (desired: DesiredService): BackendSpec | undefined =>
    quarantine.holds(desired.service) ? lastGood(desired) : desired.wanted;
  const serversOf = (desired: DesiredService, structure: BackendSpec) =>
    recovered.has(structure) ? [] : [...(desiredServers(desired, structure)?.values() ?? [])];
  const asks = (desired: DesiredService, shape: string): boolean => {
    const structure = structureOf(desired);
    return (
      structure !== undefined && serversOf(desired, structure).some((server) => shapeOf(server, structure) === shape)
    );
  };
  const askedNow = ({ service }: Unit): Asked | undefined => {
    const desired = services.get(service);
    return desired?.wanted && { fingerprint: desired.wanted.fingerprint, instances: desired.instances };
  };
  const isRecovered = (structure: BackendSpec): boolean => recovered.has(structure);

  return {
    quarantine,
    structureOf,
    isRecovered,
    get accept() {
      return quarantine.isEmpty ? undefined : (shape: string) => !quarantine.refuses(shape);
    },
    release() {
      if (quarantine.isEmpty) return false;
      return quarantine.release((unit) => {
        const asked = askedNow(unit);
        const desired = services.get(unit.service);
        if (unit.shape === undefined || desired === undefined || asked === undefined) return asked;
        // Instances that are gone take their quarantine with them.
        return asks(desired, unit.shape) ? asked : undefined;
      });
    },
    askedOf: (unit) => askedNow(unit) ?? { fingerprint: '', instances: undefined },
    without: ({ services: held, shapes }) => ({
      structureOf: (desired) => (held.has(desired.service) ? lastGood(desired) : structureOf(desired)),
      accept: (shape) => !shapes.has(shape) && !quarantine.refuses(shape),
      isRecovered,
    }),
    suspects(acceptedShapes) {
      const found: Suspect[] = [];
      for (const desired of services.values()) {
        const structure = structureOf(desired);
        if (structure === undefined) continue;
        const changed = !isAccepted() || structure.fingerprint !== desired.active?.fingerprint;
        const restructured = structure === desired.wanted && changed;
        const shapes = new Set<string>();
        for (const server of serversOf(desired, structure)) {
          const shape = shapeOf(server, structure);
          if (!acceptedShapes.has(shape) && !quarantine.refuses(shape)) shapes.add(shape);
        }
        if (restructured || shapes.size > 0)
          found.push({ service: desired.service, restructured, shapes: [...shapes] });
      }
      return found;
    },
  };
}
