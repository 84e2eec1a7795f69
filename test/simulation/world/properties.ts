import { loadConfig } from '../haproxy/config.ts';
import { proxyPaths } from './proxy-host.ts';
import type { World } from './world.ts';

/** A property that did not hold. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

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
  for (const { key, value, lease } of world.etcd.store.range({ key: '/nerve/', end: '/nerve0' })) {
    const { host, port, state } = JSON.parse(value.toString()) as { host: string; port: number; state?: string };
    if (state === 'down') continue;
    found.set(key, `${host}:${port}`);
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
export function checkLeftovers(world: World): void {
  for (const host of [...world.nerves, ...world.proxies]) {
    const { name, process, unended } = host;
    if (process !== undefined && process.timers > mostTimers) {
      throw new Violation(`the daemon on ${name} has ${process.timers} timers`);
    }
    const [left] = unended;
    if (left !== undefined) throw new Violation(`a daemon that was told to stop goes on: ${left}`);
  }
  for (const [name, minutes] of world.history.linesByMinute) {
    for (const [minute, lines] of minutes.entries()) {
      if (lines > mostLines) throw new Violation(`${name} wrote ${lines} log lines in minute ${minute}`);
    }
  }
}

/** When the faults have been over for a while: HAProxy and its file have what etcd has, and nothing else. */
export function checkHaproxy(world: World): void {
  for (const proxy of world.proxies) {
    if (!proxy.running) continue;
    const { worker } = proxy.haproxy;
    if (worker === undefined) throw new Violation(`HAProxy on ${proxy.name} does not run`);
    const file = loadConfig(proxy.disk.peek(proxyPaths.configPath) ?? '');
    if ('alerts' in file) throw new Violation(`HAProxy on ${proxy.name} would refuse its file`);
    for (const { name: service } of world.settings.services) {
      const expected = announcedAddresses(world, service);
      if (expected.length === 0) continue;
      const servers = [...(worker.backends.get(service)?.servers.values() ?? [])];
      const inUse = servers.filter((server) => !server.inMaintenance && !server.drained).map(({ address }) => address);
      same(`${service} in HAProxy on ${proxy.name}`, inUse, expected);
      const drained = servers.find((server) => server.drained);
      if (drained !== undefined) throw new Violation(`${drained.name} is drained, and nobody asked for it`);
      const lines = file.config.backends.find(({ name }) => name === service)?.servers ?? [];
      const enabled = lines.filter(({ words }) => !words.includes('disabled')).map(({ address }) => address);
      same(`${service} in the file on ${proxy.name}`, enabled, expected);
    }
  }
}

/** Reloads in a whole run: each had a reason, and a reason that holds in a HAProxy that carries out every command. */
export function checkReloads(world: World): void {
  for (const { name, reloads } of world.proxies) {
    for (const reasons of reloads) {
      if (reasons.length === 0) throw new Violation(`the synapse on ${name} reloads HAProxy without a reason`);
      const wrong = reasons.find((reason) => /^HAProxy does not \w+ \S+ at run time$/.test(reason));
      if (wrong !== undefined) throw new Violation(`the synapse on ${name} reloads HAProxy for nothing: ${wrong}`);
    }
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

/** When the faults have been over for a while: the state file has what etcd has. */
export function checkStateFiles(world: World): void {
  for (const { name, running, disk } of world.proxies) {
    if (!running) continue;
    const { services } = JSON.parse(disk.peek(proxyPaths.stateFile) ?? '{"services":{}}') as StateFileText;
    for (const { name: service } of world.settings.services) {
      const saved = (services[service]?.instances ?? []).map(({ host, port }) => `${host}:${port}`);
      same(`${service} in the state file on ${name}`, saved, announcedAddresses(world, service));
    }
  }
}

/** What is read of the state file. */
interface StateFileText {
  readonly services: Readonly<
    Record<string, { readonly instances?: readonly { readonly host: string; readonly port: number }[] }>
  >;
}

/** No request ever came to an instance of another service. */
export function checkRequests(world: World): void {
  for (const { clients } of world.proxies) {
    const wrong = clients.failed.find(({ reason }) => reason === 'wrong service');
    if (wrong !== undefined) throw new Violation(`a request for ${wrong.service} came to ${wrong.address}`);
  }
}

/** Addresses of a service that etcd has and that are up. */
function announcedAddresses(world: World, service: string): readonly string[] {
  const prefix = `/nerve/services/${service}/`;
  return world.etcd.store
    .range({ key: prefix, end: `${prefix.slice(0, -1)}0` })
    .map(({ value }) => JSON.parse(value.toString()) as { host: string; port: number; state?: string })
    .filter(({ state }) => state === undefined)
    .map(({ host, port }) => `${host}:${port}`);
}

function same(what: string, found: readonly string[], expected: readonly string[]): void {
  const [is, should] = [found.toSorted().join(' '), expected.toSorted().join(' ')];
  if (is !== should) throw new Violation(`${what}: ${is || 'nothing'} instead of ${should}`);
}
