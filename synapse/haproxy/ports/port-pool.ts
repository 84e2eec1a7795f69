import type { HaproxyConfig } from '../options/config.ts';
import { type ServiceHaproxyConfig, serviceHaproxyDefaults } from '../options/service-config.ts';
import { buildBackendSpec } from '../spec/build-backend.ts';
import type { ExtraSection } from '../spec/legacy-directives.ts';
import type { BackendSpec } from '../spec/types.ts';

/**
 * A port that HAProxy listens on before any service is there, and the empty backend behind it. What a service adds to
 * it is servers, which need no reload. The backend's name follows from the port (`use_backend port-%[dst_port]`), so
 * nothing has to be remembered about who is where: not by us, not in a map, not over a restart of HAProxy.
 */
export interface Slot {
  readonly port: number;
  /** What the file has while no service is there. */
  readonly vacant: BackendSpec;
  /** The lines of the frontend that a service must have to be reached through the common one. */
  readonly frontend: readonly string[];
}

export type Slots = ReadonlyMap<number, Slot>;

/** One service of a snapshot, as far as it matters here. */
export interface Candidate {
  readonly service: string;
  readonly structure: BackendSpec;
  readonly config: ServiceHaproxyConfig;
}

/** Who is in which slot. */
export interface Assignment {
  /** Port → who is there. */
  readonly occupants: ReadonlyMap<number, Candidate>;
  /** Service → its port. */
  readonly ports: ReadonlyMap<string, number>;
  /** Service on one of the ports that has to have a frontend of its own → why. */
  readonly own: ReadonlyMap<string, string>;
  /** Service whose port another one has → why it cannot be in HAProxy. */
  readonly refused: ReadonlyMap<string, string>;
  /** Ports that such services listen on by themselves: no slots. */
  readonly blocked: ReadonlySet<number>;
}

/** The frontend through which all slots are reached. */
const frontendName = 'reload-free-services';

/** The slots that the options ask for; none without them. Pure. */
export function createSlots(config: HaproxyConfig): Slots {
  const slots = new Map<number, Slot>();
  const [first, last] = config.reload_free_services?.ports ?? [1, 0];
  for (let port = first; port <= last; port++) {
    const slot = slotOf(port, config);
    if (slot !== undefined) slots.set(port, slot);
  }
  return slots;
}

function slotOf(port: number, config: HaproxyConfig): Slot | undefined {
  if (config.reload_free_services === null) return undefined;
  const { frontend, backend, listen } = config.reload_free_services;
  const service = { ...serviceHaproxyDefaults(), port, frontend, backend, listen };
  const built = buildBackendSpec(`port-${port}`, service, config);
  return built && { port, vacant: { ...built, frontend: undefined, slot: port }, frontend: built.frontend ?? [] };
}

/** Decides who is where. The first service of the configuration that asks for a port has it. Pure. */
export function assignSlots(slots: Slots, candidates: Iterable<Candidate>): Assignment {
  const occupants = new Map<number, Candidate>();
  const ports = new Map<string, number>();
  const own = new Map<string, string>();
  const refused = new Map<string, string>();
  /** Port → who listens on it by itself. */
  const blocked = new Map<number, string>();
  for (const candidate of candidates) {
    const wanted = portsOf(candidate.config, slots);
    const [port] = wanted;
    if (port === undefined) continue;
    const { service } = candidate;
    const taken = wanted.find((each) => occupants.has(each) || blocked.has(each));
    if (taken !== undefined) {
      refused.set(
        service,
        `its port ${taken} is service ${occupants.get(taken)?.service ?? blocked.get(taken)}'s already`,
      );
      continue;
    }
    const obstacle = wanted.length > 1 ? 'it has several ports' : obstacleTo(candidate, slots.get(port) as Slot);
    if (obstacle === undefined) {
      occupants.set(port, candidate);
      ports.set(service, port);
    } else {
      own.set(service, obstacle);
      for (const each of wanted) blocked.set(each, service);
    }
  }
  return { occupants, ports, own, refused, blocked: new Set(blocked.keys()) };
}

/** The slot with a service in it: the same for HAProxy, but for how servers are made. Pure. */
export function occupied({ vacant }: Slot, { structure }: Candidate): BackendSpec {
  return { ...vacant, service: structure.service, servers: structure.servers };
}

/** The common frontend of those slots that are among these structures; nothing when there are none. Pure. */
export function slotSections(config: HaproxyConfig, structures: readonly BackendSpec[]): readonly ExtraSection[] {
  const ports = structures.map(({ slot }) => slot).filter((port) => port !== undefined);
  const [first] = ports;
  if (first === undefined) return [];
  const own = (slotOf(first, config)?.frontend ?? []).filter((line) => !isMade(line));
  const binds = rangesOf(ports).map((range) => `bind ${config.bind_address}:${range}`);
  return [{ title: `frontend ${frontendName}`, lines: [...own, ...binds, 'use_backend port-%[dst_port]'] }];
}

/** `1-3`, `7`: the ports in as few words as possible. */
export function rangesOf(ports: readonly number[]): readonly string[] {
  const ranges: [number, number][] = [];
  for (const port of [...ports].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && port === last[1] + 1) last[1] = port;
    else ranges.push([port, port]);
  }
  return ranges.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`));
}

/** Why a service cannot be in a slot; undefined when it can. */
function obstacleTo({ structure, config }: Candidate, { vacant, frontend }: Slot): string | undefined {
  const lines = (each: readonly string[] | undefined) => JSON.stringify((each ?? []).slice(0, -1));
  if (config.backend_name !== null) return 'it has a backend_name';
  if (structure.shared.length > 0) return 'it has lines in the shared frontend';
  if (lines(structure.frontend) !== lines(frontend)) return 'its frontend has other lines than reload_free_services';
  if (JSON.stringify(structure.lines) !== JSON.stringify(vacant.lines)) {
    return 'its backend has other lines than reload_free_services';
  }
  return undefined;
}

/** Which slots' ports a service wants to listen on. */
function portsOf({ port }: ServiceHaproxyConfig, slots: Slots): readonly number[] {
  if (port === null || port === false) return [];
  const [first = Number.NaN, last = first] = String(port).split('-').map(Number);
  return [...slots.keys()].filter((slot) => slot >= first && slot <= last);
}

/** What a frontend of its own says of where it listens and where it leads. */
function isMade(line: string): boolean {
  return /^(bind|default_backend) /.test(line);
}
