import type { Progress } from '../../../../common/fleet/progress.ts';
import { hasNoWeight, loadConfig } from '../../haproxy/config.ts';
import type { SimulatedServer } from '../../haproxy/server.ts';
import type { SimulatedWorker } from '../../haproxy/worker.ts';
import { fleetPath, type NerveHost } from '../nerve-host.ts';
import { type ProxyHost, proxyPaths } from '../proxy-host.ts';
import { Violation } from '../violation.ts';
import type { World } from '../world.ts';
import type { Announcements } from './announcements.ts';
import type { Figures } from './figures.ts';

/** The keys of the synapses that take part. */
const proxiesRange = { key: `${fleetPath}/proxies/`, end: `${fleetPath}/proxies0` } as const;

/** What was so when a question was asked. */
export interface Asked {
  readonly at: number;
  /** Host of each synapse that takes part → the create revision of its key. */
  readonly proxies: ReadonlyMap<string, number>;
}

/** What a wait said about one instance. */
export interface Answered {
  readonly nerve: NerveHost;
  readonly service: string;
  /** Its id. */
  readonly instance: string;
  readonly progress: Progress;
}

/** Holds what waits for all proxies say against what every HAProxy does, at that moment and later. */
export class FleetMonitor {
  readonly #world: World;
  readonly #announcements: Announcements;
  readonly #figures: Figures;
  /** `proxy service address` of servers of which a wait has said that they are drained, and that nobody has undrained since. */
  readonly #proven = new Map<string, { readonly nerve: NerveHost; readonly service: string }>();

  constructor(world: World, deps: { readonly announcements: Announcements; readonly figures: Figures }) {
    this.#world = world;
    this.#announcements = deps.announcements;
    this.#figures = deps.figures;
  }

  /** To be called when a question is asked. */
  asked(): Asked {
    return { at: this.#world.scheduler.now(), proxies: this.#proxies() };
  }

  /** A wait has ended. @throws {Violation} when it says more than is so */
  answered(asked: Asked, answered: Answered): void {
    const { progress } = answered;
    if (progress.outcome !== 'done') return;
    this.#figures.worst('proofs', this.#proven.size);
    const now = this.#proxies();
    for (const [name, created] of asked.proxies) {
      const proxy = this.#world.proxies.find((one) => one.name === name);
      // One that has left, or came back meanwhile, takes no part in the whole of the question.
      if (proxy === undefined || now.get(name) !== created) continue;
      if (!progress.members.includes(name)) throw new Violation(`${name} takes part, and a wait did not wait for it`);
      if (progress.expect === 'drained') this.#checkDrained(proxy, answered);
      else if (progress.expect === 'up') this.#checkUp(proxy, asked, answered);
      else this.#checkApplied(proxy, asked, answered);
    }
  }

  /** An operator ends the drain of a service on a host. */
  undrained(nerve: NerveHost, service: string): void {
    for (const [key, proven] of this.#proven) {
      if (proven.nerve === nerve && proven.service === service) this.#proven.delete(key);
    }
  }

  /** HAProxy has chosen a server for a request. @throws {Violation} when a wait has said that none comes there */
  chosen(proxy: ProxyHost, service: string, address: string): void {
    const key = `${proxy.name} ${service} ${address}`;
    if (!this.#proven.has(key)) return;
    // Announced again, by another nerve with the same identity; or opened by hand.
    if (this.#announcements.of(service, address).isUp || proxy.isTouched(address)) this.#proven.delete(key);
    else
      throw new Violation(
        `a request came to ${service} at ${address} through ${proxy.name}, after a proof that none can`,
      );
  }

  #proxies(): ReadonlyMap<string, number> {
    const kvs = this.#world.etcd.store.range(proxiesRange);
    return new Map(kvs.map(({ key, createRevision }) => [key.slice(proxiesRange.key.length), createRevision]));
  }

  #checkDrained(proxy: ProxyHost, { nerve, service, instance }: Answered): void {
    const address = addressOf(instance);
    const what = `${service} at ${address} on ${proxy.name}`;
    // Its nerve runs on another host too, or an operator opened the server.
    if (this.#announcements.of(service, address).isUp || proxy.isTouched(address)) return;
    const { worker, oldWorkers } = proxy.haproxy;
    for (const one of [...(worker === undefined ? [] : [worker]), ...oldWorkers]) {
      const servers = serversAt(one, service, address);
      const open = servers.reduce((total, { sessions }) => total + sessions, 0);
      if (open > 0) throw new Violation(`a wait says that ${what} is drained, and it has ${open} open requests`);
      const takesNew = one === worker || one.clients.size > 0;
      if (takesNew && servers.some(({ usable }) => usable))
        throw new Violation(`a wait says that ${what} is drained, and worker ${one.pid} uses it`);
    }
    if (isOpenInFile(proxy, service, address)) {
      throw new Violation(`a wait says that ${what} is drained, and haproxy.cfg would bring it back`);
    }
    this.#proven.set(`${proxy.name} ${service} ${address}`, { nerve, service });
  }

  #checkUp(proxy: ProxyHost, { at }: Asked, { service, instance }: Answered): void {
    const address = addressOf(instance);
    const { worker } = proxy.haproxy;
    // Something happened after the acknowledgement that is no lie of it.
    const hasChanged =
      worker === undefined ||
      worker.startedAt > at ||
      proxy.isTouched(address) ||
      !this.#announcements.of(service, address).isUp ||
      this.#announcements.of(service, address).since > at;
    if (hasChanged) return;
    if (isInRotation(worker, service, address)) return;
    throw new Violation(`a wait says that ${service} at ${address} is in rotation, and on ${proxy.name} it is not`);
  }

  /** Everything up to the question is applied: what was announced is in rotation, and what was withdrawn is not used. */
  #checkApplied(proxy: ProxyHost, { at }: Asked, { service }: Answered): void {
    const { worker } = proxy.haproxy;
    if (worker === undefined || worker.startedAt > at) return;
    const isEmpty = this.#announcements.serviceSince(service) >= at;
    for (const instance of this.#world.instances.all) {
      const { address } = instance;
      if (instance.service !== service || proxy.isTouched(address)) continue;
      const { isUp, since, end } = this.#announcements.of(service, address);
      if (since >= at) continue;
      const isIn = isInRotation(worker, service, address);
      if (isUp === isIn || (!isUp && (end !== 'withdrawn' || isEmpty))) continue;
      const how = isUp ? 'announced, and it is not in rotation' : 'withdrawn, and it is in rotation';
      throw new Violation(`${proxy.name} has acknowledged everything; ${service} at ${address} was ${how}`);
    }
  }
}

/** The servers of a service at an address: some by another name, perhaps. */
function serversAt(worker: SimulatedWorker, service: string, address: string): readonly SimulatedServer[] {
  return worker.serversOf(service).filter((server) => server.address === address);
}

/** New requests go there, as far as HAProxy's own check allows it. */
function isInRotation(worker: SimulatedWorker, service: string, address: string): boolean {
  return serversAt(worker, service, address).some(({ isOpen, weight }) => isOpen && weight > 0);
}

/** HAProxy would send requests to it after a start with the file that is there. */
function isOpenInFile({ disk }: ProxyHost, service: string, address: string): boolean {
  const file = loadConfig(disk.peek(proxyPaths.configPath) ?? '');
  if ('alerts' in file) return false;
  const lines = file.config.backends.find(({ name }) => name === service)?.servers ?? [];
  return lines.some(({ address: at, words }) => at === address && !words.includes('disabled') && !hasNoWeight(words));
}

/** The address in an instance's id: `name_host:port`. */
function addressOf(instance: string): string {
  return instance.slice(instance.lastIndexOf('_') + 1);
}
