import type { Log } from '../../../common/daemon/log.ts';
import type { HaproxyConfig } from '../options/config.ts';
import type { ServiceHaproxyConfig } from '../options/service-config.ts';
import { buildBackendSpec } from './build-backend.ts';
import { modernize } from './legacy-directives.ts';
import type { BackendSpec } from './types.ts';

/** What services are in HAProxy's file without their servers; each built once for each of its configurations. */
export interface BackendSpecs {
  /** Undefined when it cannot be in HAProxy; `problems` says why. */
  of(service: string, config: ServiceHaproxyConfig): BackendSpec | undefined;
  /** The same, unless another service has its backend: two would remove each other's servers for ever. */
  unlessTaken(service: string, structure: BackendSpec | undefined): BackendSpec | undefined;
  /** From now on the backends belong to this service. */
  own(service: string, before: BackendSpec | undefined, structure: BackendSpec | undefined): void;
  /** Service → why it cannot be in HAProxy. */
  readonly problems: ReadonlyMap<string, string>;
}

/** `named` is the configuration with the names decided, once they are. */
export function createBackendSpecs(log: Log, named: () => HaproxyConfig): BackendSpecs {
  const problems = new Map<string, string>();
  /** Backend → the service that has it. */
  const owners = new Map<string, string>();
  const structures = new WeakMap<ServiceHaproxyConfig, { structure: BackendSpec | undefined }>();

  const build = (service: string, config: ServiceHaproxyConfig): BackendSpec | undefined => {
    problems.delete(service);
    try {
      const { frontend, backend, listen } = config;
      const { notes } = modernize([...frontend, ...backend, ...listen]);
      for (const note of notes) log.warn('an old form was rewritten', { service, note });
      if (named().knowsInitState === false && /(^|\s)init-state\s/.test(String(config.server_options))) {
        log.warn('this HAProxy has no init-state: servers added are set down by command, at a reload they start up', {
          service,
        });
      }
      return buildBackendSpec(service, config, named());
    } catch (error) {
      const reason = (error as Error).message;
      log.error('a service cannot be in HAProxy', { service, reason });
      problems.set(service, reason);
      return undefined;
    }
  };

  return {
    problems,
    of(service, config) {
      let built = structures.get(config);
      if (built === undefined) {
        built = { structure: build(service, config) };
        structures.set(config, built);
      }
      return built.structure;
    },
    // The first one has it.
    unlessTaken(service, structure) {
      if (structure === undefined) return undefined;
      const owner = owners.get(structure.backend);
      if (owner === undefined || owner === service) return structure;
      const reason = `its backend ${structure.backend} is service ${owner}'s already`;
      if (problems.get(service) !== reason) log.error('a service cannot be in HAProxy', { service, reason });
      problems.set(service, reason);
      return undefined;
    },
    own(service, before, structure) {
      if (before !== undefined) owners.delete(before.backend);
      if (structure !== undefined) owners.set(structure.backend, service);
    },
  };
}
