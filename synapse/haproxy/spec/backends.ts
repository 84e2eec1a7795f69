import { type Log, reasonOf } from '../../../common/daemon/log.ts';
import type { HaproxyConfig } from '../options/config.ts';
import type { ServiceHaproxyConfig } from '../options/service-config.ts';
import { buildBackendSpec } from './build-backend.ts';
import { modernize } from './legacy-directives.ts';
import type { BackendSpec } from './types.ts';

/** The specs of all services. A spec is built once for each configuration of a service. */
export class BackendSpecs {
  readonly #log: Log;
  readonly #config: () => HaproxyConfig;
  readonly #problems = new Map<string, string>();
  /** Backend → its service. */
  readonly #owners = new Map<string, string>();
  readonly #specs = new WeakMap<ServiceHaproxyConfig, { readonly spec: BackendSpec | undefined }>();

  /** `config` returns the options with everything decided that depends on HAProxy's version, once that is known. */
  constructor(log: Log, config: () => HaproxyConfig) {
    this.#log = log;
    this.#config = config;
  }

  /** Service → why it cannot be in HAProxy. */
  get problems(): ReadonlyMap<string, string> {
    return this.#problems;
  }

  /** The spec of a service; undefined when it cannot be in HAProxy, and then `problems` says why. */
  of(service: string, config: ServiceHaproxyConfig): BackendSpec | undefined {
    let built = this.#specs.get(config);
    if (built === undefined) {
      built = { spec: this.#build(service, config) };
      this.#specs.set(config, built);
    }
    return built.spec;
  }

  /** The same spec, unless another service has its backend: each of the two would remove the other's servers. */
  unlessTaken(service: string, spec: BackendSpec | undefined): BackendSpec | undefined {
    if (spec === undefined) return undefined;
    const owner = this.#owners.get(spec.backend);
    if (owner === undefined || owner === service) return spec;
    this.#refuse(service, `its backend ${spec.backend} is service ${owner}'s already`);
    return undefined;
  }

  /** From now on a service has the backend of `spec`, and not that of `before`. */
  own(service: string, before: BackendSpec | undefined, spec: BackendSpec | undefined): void {
    if (before !== undefined) this.#owners.delete(before.backend);
    if (spec !== undefined) this.#owners.set(spec.backend, service);
  }

  #build(service: string, config: ServiceHaproxyConfig): BackendSpec | undefined {
    this.#problems.delete(service);
    try {
      this.#warnOf(service, config);
      return buildBackendSpec(service, config, this.#config());
    } catch (error) {
      this.#refuse(service, reasonOf(error));
      return undefined;
    }
  }

  #warnOf(service: string, { frontend, backend, listen, bind_options, server_options }: ServiceHaproxyConfig): void {
    const bind = bind_options === null ? [] : [`bind … ${bind_options}`];
    const { notes } = modernize([...frontend, ...backend, ...listen, ...bind]);
    for (const note of notes) this.#log.warn('an old form was rewritten', { service, note });
    if (this.#config().knowsInitState === false && /(^|\s)init-state\s/.test(String(server_options))) {
      this.#log.warn(
        'this HAProxy has no init-state: servers added are set down by command, at a reload they start up',
        {
          service,
        },
      );
    }
  }

  #refuse(service: string, reason: string): void {
    if (this.#problems.get(service) !== reason) {
      this.#log.error('a service cannot be in HAProxy', { service, reason });
    }
    this.#problems.set(service, reason);
  }
}
