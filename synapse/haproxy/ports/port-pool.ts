import type { HaproxyConfig } from '../options/config.ts';
import { type ServiceHaproxyConfig, serviceHaproxyDefaults } from '../options/service-config.ts';
import { buildBackendSpec } from '../spec/build-backend.ts';
import type { ExtraSection } from '../spec/legacy-directives.ts';
import type { BackendSpec } from '../spec/types.ts';

/**
 * A port that HAProxy listens on before any service is there, with an empty backend behind it. A service that comes to the
 * port adds only servers, which takes no reload. The backend's name follows from the port (`use_backend port-%[dst_port]`),
 * so no map of ports has to be kept, neither by synapse nor in HAProxy.
 */
export interface PoolPort {
  readonly port: number;
  /** What the file has while no service is there. */
  readonly vacant: BackendSpec;
  /** The lines that a service's own frontend would have: only with these it can use the common frontend. */
  readonly frontend: readonly string[];
}

/** Port → what is known of it, in the order of the ports. */
export type PortPool = ReadonlyMap<number, PoolPort>;

/** A service that may get a port of the pool. */
export interface Candidate {
  readonly service: string;
  readonly spec: BackendSpec;
  readonly config: ServiceHaproxyConfig;
}

/** Which service has which port. */
export interface PortAssignment {
  /** Port → the service that is on it. */
  readonly occupants: ReadonlyMap<number, Candidate>;
  /** Service → its port. */
  readonly ports: ReadonlyMap<string, number>;
  /** Service on a port of the pool that needs a frontend of its own → why. */
  readonly ownFrontend: ReadonlyMap<string, string>;
  /** Service that cannot be in HAProxy → why: another service has its port. */
  readonly refused: ReadonlyMap<string, string>;
  /** Ports that services listen on with frontends of their own: they leave the pool. */
  readonly blocked: ReadonlySet<number>;
}

/** No service has a port. */
export const noAssignment: PortAssignment = {
  occupants: new Map(),
  ports: new Map(),
  ownFrontend: new Map(),
  refused: new Map(),
  blocked: new Set(),
};

/** The frontend that listens on all ports of the pool. */
const frontendName = 'reload-free-services';

/** The ports that `reload_free_services` asks for; empty without that option. Pure. */
export function createPortPool(config: HaproxyConfig): PortPool {
  const pool = new Map<number, PoolPort>();
  const [first, last] = config.reload_free_services?.ports ?? [1, 0];
  for (let port = first; port <= last; port++) {
    const poolPort = poolPortOf(port, config);
    if (poolPort !== undefined) pool.set(port, poolPort);
  }
  return pool;
}

function poolPortOf(port: number, config: HaproxyConfig): PoolPort | undefined {
  if (config.reload_free_services === null) return undefined;
  const { frontend, backend, listen } = config.reload_free_services;
  const service = { ...serviceHaproxyDefaults(), port, frontend, backend, listen };
  const spec = buildBackendSpec(`port-${port}`, service, config);
  return spec && { port, vacant: { ...spec, frontend: undefined, poolPort: port }, frontend: spec.frontend ?? [] };
}

/** Assigns the ports. The first service in the order of the configuration that asks for a port gets it. Pure. */
export function assignPorts(pool: PortPool, candidates: Iterable<Candidate>): PortAssignment {
  const occupants = new Map<number, Candidate>();
  const ports = new Map<string, number>();
  const ownFrontend = new Map<string, string>();
  const refused = new Map<string, string>();
  /** Port → the service that listens on it with a frontend of its own. */
  const blocked = new Map<number, string>();
  for (const candidate of candidates) {
    const { service } = candidate;
    const wanted = portsOf(candidate.config, pool);
    const [port] = wanted;
    if (port === undefined) continue;
    const taken = wanted.find((each) => occupants.has(each) || blocked.has(each));
    if (taken !== undefined) {
      const owner = occupants.get(taken)?.service ?? blocked.get(taken);
      refused.set(service, `its port ${taken} is that of services.${owner}.haproxy.port already`);
      continue;
    }
    const obstacle = wanted.length > 1 ? 'it has several ports' : obstacleTo(candidate, pool.get(port) as PoolPort);
    if (obstacle === undefined) {
      occupants.set(port, candidate);
      ports.set(service, port);
    } else {
      ownFrontend.set(service, obstacle);
      for (const each of wanted) blocked.set(each, service);
    }
  }
  return { occupants, ports, ownFrontend, refused, blocked: new Set(blocked.keys()) };
}

/** The spec of a port with a service on it: the file stays the same, and servers are made as the service says. Pure. */
export function occupiedSpec({ vacant }: PoolPort, { spec }: Candidate): BackendSpec {
  return { ...vacant, service: spec.service, servers: spec.servers };
}

/** The common frontend of the ports that are among these specs; empty when there are none. Pure. */
export function poolSections(config: HaproxyConfig, specs: readonly BackendSpec[]): readonly ExtraSection[] {
  const ports = specs.map(({ poolPort }) => poolPort).filter((port) => port !== undefined);
  const [first] = ports;
  if (first === undefined) return [];
  const own = (poolPortOf(first, config)?.frontend ?? []).filter((line) => !isPlacementLine(line));
  const binds = rangesOf(ports).map((range) => `bind ${config.bind_address}:${range}`);
  return [{ title: `frontend ${frontendName}`, lines: [...own, ...binds, 'use_backend port-%[dst_port]'] }];
}

/** Ports as ranges, in order: `1-3`, `7`. */
export function rangesOf(ports: readonly number[]): readonly string[] {
  const ranges: [number, number][] = [];
  for (const port of [...ports].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && port === last[1] + 1) last[1] = port;
    else ranges.push([port, port]);
  }
  return ranges.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`));
}

/** Why a service cannot use a port of the pool; undefined when it can. */
function obstacleTo({ spec, config }: Candidate, { vacant, frontend }: PoolPort): string | undefined {
  // The last line names the backend.
  const withoutLast = (lines: readonly string[] | undefined) => JSON.stringify((lines ?? []).slice(0, -1));
  if (config.backend_name !== null) return 'it has a backend_name';
  if (spec.shared.length > 0) return 'it has lines in the shared frontend';
  if (withoutLast(spec.frontend) !== withoutLast(frontend)) {
    return 'its frontend has other lines than reload_free_services';
  }
  if (JSON.stringify(spec.lines) !== JSON.stringify(vacant.lines)) {
    return 'its backend has other lines than reload_free_services';
  }
  return undefined;
}

/** The ports of the pool that a service wants to listen on. */
function portsOf({ port }: ServiceHaproxyConfig, pool: PortPool): readonly number[] {
  if (port === null || port === false) return [];
  const [first = Number.NaN, last = first] = String(port).split('-').map(Number);
  return [...pool.keys()].filter((each) => each >= first && each <= last);
}

/** The lines of a service's own frontend that say where it listens and where it leads. */
function isPlacementLine(line: string): boolean {
  return /^(bind|default_backend) /.test(line);
}
