import { reasonOf } from '../../common/daemon/log.ts';
import type { Snapshot } from '../output.ts';
import { type ConfigText, ConfigTextBuilder, selectWanted } from './configfile/config-text.ts';
import { generationOf } from './configfile/render.ts';
import type { HaproxyConfig } from './options/config.ts';
import { AssignedPorts } from './ports/port-assignment.ts';
import type { Candidate } from './ports/port-pool.ts';
import { buildBackendSpec } from './spec/build-backend.ts';
import { adoptClosed, createDesiredService, type DesiredService } from './spec/desired-service.ts';
import { type ParsedConfig, parseConfig } from './spec/parse-config.ts';
import type { BackendSpec } from './spec/types.ts';

/** What is desired for a snapshot, and the file that follows from it. */
export interface WantedText {
  /** By the name of the service, or of the port of `reload_free_services`. */
  readonly services: ReadonlyMap<string, DesiredService>;
  readonly specs: readonly BackendSpec[];
  readonly generation: string;
  readonly text: ConfigText;
  /** Service that cannot have a backend → the reason. */
  readonly problems: ReadonlyMap<string, string>;
  /** Those of them whose port of `reload_free_services` another service has. */
  readonly portRefused: ReadonlyMap<string, string>;
}

/** Works out the file for a snapshot; servers keep the numbers of the `present` file. Pure. */
export function wantedText(
  config: HaproxyConfig,
  snapshot: Snapshot,
  present: ParsedConfig = parseConfig(''),
): WantedText {
  const services = new Map<string, DesiredService>();
  const problems = new Map<string, string>();
  const candidates: Candidate[] = [];
  for (const [name, state] of snapshot) {
    const desired = createDesiredService(name, config.max_server_id);
    try {
      desired.wanted = buildBackendSpec(name, state.config, config);
    } catch (error) {
      problems.set(name, reasonOf(error));
    }
    desired.local = state.local ?? state.config;
    adoptClosed(desired, present);
    desired.instances = state.instances;
    services.set(name, desired);
    if (desired.wanted !== undefined) candidates.push({ service: name, spec: desired.wanted, config: state.config });
  }
  const ports = new AssignedPorts(config);
  for (const { desired, spec, occupant } of ports.assign(candidates)) {
    desired.wanted = spec;
    const state = occupant === undefined ? undefined : snapshot.get(occupant);
    desired.local = state?.local ?? state?.config;
    desired.instances = occupant === undefined ? [] : state?.instances;
    if (occupant !== undefined) services.delete(occupant);
    if (spec !== undefined) services.set(desired.service, desired);
  }
  for (const [name, reason] of ports.refused) {
    problems.set(name, reason);
    services.delete(name);
  }
  for (const desired of services.values()) desired.ids.reset(numbersIn(present, desired.wanted?.backend));
  const specs = [...services.values()].map(({ wanted }) => wanted).filter((spec) => spec !== undefined);
  const generation = generationOf(config, specs);
  const builder = new ConfigTextBuilder(config, services);
  const text = builder.build(selectWanted, generation, { file: () => present, running: new Map() });
  return { services, specs, generation, text, problems, portRefused: ports.refused };
}

function* numbersIn(present: ParsedConfig, backend: string | undefined): Iterable<readonly [string, number]> {
  if (backend === undefined) return;
  for (const { name, id } of present.backends.get(backend)?.values() ?? []) if (id !== undefined) yield [name, id];
}
