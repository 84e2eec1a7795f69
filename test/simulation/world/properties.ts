import { type ConfiguredServer, hasNoWeight, loadConfig } from '../haproxy/config.ts';
import { readRecord, type SimulatedRecord, servicesRange } from './monitors/announcements.ts';
import type { Figures } from './monitors/figures.ts';
import { proxyPaths } from './proxy-host.ts';
import { Violation } from './violation.ts';
import type { World } from './world.ts';

/** What is checked when the faults have been over for a while: etcd says what the checks say. */
export function checkRegistry(world: World): void {
  const expected = new Map<string, string>();
  for (const nerve of world.nerves) {
    if (!nerve.running) continue;
    for (const instance of nerve.configured) {
      if (instance.running && instance.healthy) expected.set(nerve.keyOf(instance), instance.address);
    }
  }
  const found = new Map<string, string>();
  for (const { key, value, lease } of world.etcd.store.range(servicesRange)) {
    const record = readRecord({ key, value });
    if (record?.isUp === false) continue;
    found.set(key, record?.address ?? `a record that no synapse takes: ${value}`);
    if (lease === '0') throw new Violation(`${key} is under no lease`);
  }
  for (const [key, address] of expected) {
    if (found.get(key) !== address)
      throw new Violation(`${key} is not announced at ${address} but ${found.get(key) ?? 'not at all'}`);
  }
  for (const key of found.keys()) if (!expected.has(key)) throw new Violation(`${key} is announced and should not be`);
}

/** Timers of one process, at rest: they must not grow with what has happened. */
const mostTimers = 60;
/** Log lines of one daemon in a minute, whatever happens; `debug` aside. */
const mostLines = 120;

/** What must not pile up, and what a daemon that was told to stop must not leave. */
export function checkLeftovers(world: World, figures: Figures): void {
  for (const { name, process, unended } of daemons(world)) {
    figures.worst('timers', process?.timers ?? 0);
    if (process !== undefined && process.timers > mostTimers) {
      throw new Violation(`the daemon on ${name} has ${process.timers} timers`);
    }
    const [left] = unended;
    if (left !== undefined) throw new Violation(`a daemon that was told to stop goes on: ${left}`);
  }
  for (const [name, minutes] of world.history.linesByMinute) {
    for (const [minute, lines] of minutes.entries()) {
      figures.worst('lines', lines);
      if (lines > mostLines) throw new Violation(`${name} wrote ${lines} log lines in minute ${minute}`);
    }
  }
}

/** When all daemons have been told to stop: none announces anything any more, and none goes on. */
export function checkStopped(world: World): void {
  for (const { name, running, unended } of daemons(world)) {
    if (running) throw new Violation(`the daemon on ${name} was told to stop and still runs`);
    const [left] = unended;
    if (left !== undefined) throw new Violation(`a daemon that was told to stop goes on: ${left}`);
  }
  for (const kv of world.etcd.store.range(servicesRange)) {
    const isTombstone = readRecord(kv)?.isUp === false;
    if (!isTombstone) throw new Violation(`${kv.key} is left, and its nerve has stopped: ${kv.value}`);
  }
  if (world.network.size > 0)
    throw new Violation(`${world.network.size} connections are left, and all daemons have stopped`);
}

/** When the leases of the last tombstones are over as well: nothing is left in etcd. */
export function checkNothingLeft(world: World): void {
  const [kv] = world.etcd.store.range({ key: '', end: '\0' });
  if (kv !== undefined) throw new Violation(`${kv.key} is left in etcd: ${kv.value}`);
  const [lease] = world.etcd.leases.keys();
  if (lease !== undefined) throw new Violation(`the lease ${BigInt(lease).toString(16)} is left in etcd`);
}

function daemons({ nerves, twins, proxies }: World) {
  return [...nerves, ...twins.values(), ...proxies];
}

/**
 * When the faults have been over for a while: HAProxy and its file have what etcd has, and nothing else. `lost`: `service address`
 * of instances whose leases are gone, which may be there still.
 */
export function checkHaproxy(world: World, lost: ReadonlySet<string> = new Set()): void {
  for (const proxy of world.proxies) {
    if (!proxy.running) continue;
    const { worker } = proxy.haproxy;
    if (worker === undefined) throw new Violation(`HAProxy on ${proxy.name} does not run`);
    const file = loadConfig(proxy.disk.peek(proxyPaths.configPath) ?? '');
    if ('alerts' in file) throw new Violation(`HAProxy on ${proxy.name} would refuse its file`);
    for (const { name: service } of world.settings.services) {
      const expected = addressesOf(world, service, 'up');
      if (expected.length === 0) continue;
      const isCounted = (address: string): boolean => !lost.has(`${service} ${address}`);
      const servers = worker.serversOf(service);
      const drains = addressesOf(world, service, 'drain');
      const inUse = servers.filter(({ isOpen }) => isOpen).map(({ address }) => address);
      same(`${service} in HAProxy on ${proxy.name}`, inUse.filter(isCounted), expected);
      const drained = servers.find((server) => server.drained && !drains.includes(server.address));
      if (drained !== undefined) throw new Violation(`${drained.name} is drained, and nobody asked for it`);
      const lines = file.config.backends.find(({ name }) => name === service)?.servers ?? [];
      const isEnabled = ({ address, words }: ConfiguredServer): boolean =>
        !words.includes('disabled') && !(hasNoWeight(words) && drains.includes(address));
      const enabled = lines.filter(isEnabled).map(({ address }) => address);
      same(`${service} in the file on ${proxy.name}`, enabled.filter(isCounted), expected);
    }
  }
}

/** Reloads in a whole run: each had a reason, and a reason that holds in a HAProxy that carries out every command. */
export function checkReloads(world: World, figures: Figures): void {
  for (const { name, reloads, needlessReloads } of world.proxies) {
    figures.worst('reloads', reloads.length);
    for (const reasons of reloads) {
      if (reasons.length === 0) throw new Violation(`the synapse on ${name} reloads HAProxy without a reason`);
    }
    const [wrong] = needlessReloads;
    if (wrong !== undefined) throw new Violation(`the synapse on ${name} reloads HAProxy for nothing: ${wrong}`);
  }
}

/** Remembers how many reloads there were. @returns what fails when there have been more since */
export function expectNoMoreReloads(world: World): () => void {
  const before = world.proxies.map(({ reloads }) => reloads.length);
  return () => {
    for (const [index, { name, reloads }] of world.proxies.entries()) {
      const more = reloads.slice(before[index]);
      if (more.length > 0) throw new Violation(`HAProxy on ${name} is reloaded in peace: ${more.flat().join('; ')}`);
    }
  };
}

/** When the faults have been over for a while: the state file has what etcd has. `lost`: as in {@link checkHaproxy}. */
export function checkStateFiles(world: World, lost: ReadonlySet<string> = new Set()): void {
  for (const { name, running, disk } of world.proxies) {
    if (!running) continue;
    const { services } = JSON.parse(disk.peek(proxyPaths.stateFile) ?? '{"services":{}}') as StateFileText;
    for (const { name: service } of world.settings.services) {
      const saved = (services[service]?.instances ?? [])
        .filter(({ state }) => state === undefined)
        .map(({ host, port }) => `${host}:${port}`)
        .filter((address) => !lost.has(`${service} ${address}`));
      const expected = addressesOf(world, service, 'up');
      // A service without any announcement keeps its last instances.
      if (expected.length > 0) same(`${service} in the state file on ${name}`, saved, expected);
    }
  }
}

/** What is read of the state file. */
interface StateFileText {
  readonly services: Readonly<
    Record<
      string,
      { readonly instances?: readonly { readonly host: string; readonly port: number; readonly state?: string }[] }
    >
  >;
}

/** Addresses of a service that etcd has in this state. */
function addressesOf(world: World, service: string, state: SimulatedRecord['state']): readonly string[] {
  return world.etcd.store
    .range(servicesRange)
    .map(readRecord)
    .filter((record) => record?.service === service && record.state === state)
    .map((record) => record?.address ?? '');
}

function same(what: string, found: readonly string[], expected: readonly string[]): void {
  const [is, should] = [found.toSorted().join(' '), expected.toSorted().join(' ')];
  if (is !== should) throw new Violation(`${what}: ${is || 'nothing'} instead of ${should}`);
}
