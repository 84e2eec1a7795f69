import { Violation } from '../violation.ts';
import type { World } from '../world.ts';
import { Announcements } from './announcements.ts';
import { Calm } from './calm.ts';
import type { Figures } from './figures.ts';
import { FleetMonitor } from './fleet.ts';
import { Owners } from './owners.ts';
import { RegistryMonitor } from './registry.ts';
import { ServerMonitor } from './servers.ts';
import { WaveMonitor } from './waves.ts';

const everyMs = 100;
/** For how long an address may get requests for a service that has lost it to another one, with an undisturbed synapse. */
const mostWrongMs = 5_000;
/** The same while a member of etcd hangs: a watch on it has to be given up first. */
const mostWrongOfHungMs = 20_000;
const calmMs = 15_000;

/** Everything that is watched all the time in a run. */
export class Monitors {
  /** Is told of waits for all proxies. */
  readonly fleet: FleetMonitor;
  readonly #world: World;
  readonly #announcements: Announcements;
  readonly #servers: ServerMonitor;
  readonly #registry: RegistryMonitor;
  readonly #waves: WaveMonitor;
  readonly #figures: Figures;
  readonly #calm: Calm;
  #over = false;

  /** Watches from now on; the world must have all its hosts. */
  constructor(world: World, figures: Figures) {
    this.#world = world;
    const { scheduler, etcd } = world;
    const announcements = new Announcements(etcd, () => scheduler.now());
    const owners = new Owners(world);
    const calm = new Calm(world);
    const deps = { calm, announcements, figures };
    this.#announcements = announcements;
    this.#calm = calm;
    this.#servers = new ServerMonitor(world, deps);
    this.#registry = new RegistryMonitor(world, deps);
    this.fleet = new FleetMonitor(world, deps);
    this.#waves = new WaveMonitor(world, { ...deps, calmSince: (proxy) => this.#servers.calmSince(proxy) });
    this.#figures = figures;
    world.onCommit((committed, by) => {
      owners.take(committed, by);
      announcements.take(committed);
      figures.worst('takeovers', owners.takeovers);
    });
    world.onLeaseEnd = (lease) => announcements.leaseEnded(lease);
    world.onAnswer = (...answer) => owners.answered(...answer);
    for (const proxy of world.proxies) {
      proxy.clients.onWrongService = (service, address) => this.#checkRequest(proxy.name, service, address);
      proxy.clients.onChosen = (service, address) => this.fleet.chosen(proxy, service, address);
    }
    this.#again();
  }

  /** Announcements that were lost and have not come back: `service address` → when, in virtual milliseconds. */
  get lost(): ReadonlyMap<string, number> {
    return this.#announcements.lost;
  }

  /** Ends the looks: everything is about to be stopped. */
  stop(): void {
    this.#over = true;
  }

  #again(): void {
    this.#world.scheduler.at(everyMs, () => {
      if (this.#over) return;
      this.#calm.look();
      this.#servers.look();
      this.#registry.look();
      this.#waves.look();
      this.#figures.worst('kept', this.#waves.kept * everyMs);
      this.#again();
    });
  }

  /** No request comes to an address that another service has announced since. */
  #checkRequest(proxyName: string, service: string, address: string): void {
    const proxy = this.#world.proxies.find(({ name }) => name === proxyName);
    const otherSince = this.#announcements.otherSince(service, address);
    const facts = this.#announcements.of(service, address);
    if (proxy === undefined || otherSince === undefined || facts.isUp || proxy.isTouched(address)) return;
    const now = this.#world.scheduler.now();
    const since = Math.max(otherSince, facts.since, this.#servers.calmSince(proxy) + calmMs);
    const mayHang = now - this.#calm.allMembersSince(proxyName) < calmMs + mostWrongMs;
    if (now - since < (mayHang ? mostWrongOfHungMs : mostWrongMs)) return;
    throw new Violation(
      `a request for ${service} came to ${address} on ${proxyName}, where another service is announced`,
    );
  }
}
