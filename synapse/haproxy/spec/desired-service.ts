import { clock } from '../../../common/async/clock.ts';
import type { OutputInstance } from '../../output.ts';
import type { ServiceHaproxyConfig } from '../options/service-config.ts';
import type { ParsedConfig } from './parse-config.ts';
import { closedServer, isServed, serverOf } from './server.ts';
import type { BackendSpec, Server } from './types.ts';

/** What one server should be; without `server`, it should not be there. */
export interface DesiredServer {
  readonly name: string;
  readonly server: Server | undefined;
}

/** What is wanted of one service. Mutable: changed by the output and the writer of the file. */
export interface DesiredService {
  readonly service: string;
  /** Its section in synapse's own configuration; undefined when there is none. Names the keys of refused lines. */
  local: ServiceHaproxyConfig | undefined;
  /** What HAProxy is to have, as soon as a file with it is accepted; undefined: nothing. */
  wanted: BackendSpec | undefined;
  /** What the accepted file has; servers follow it at run time. Undefined: nothing. */
  active: BackendSpec | undefined;
  /** Undefined while they are not known: HAProxy keeps the servers that it has. */
  instances: readonly OutputInstance[] | undefined;
  readonly ids: ServerIds;
  /** Server that was drained and then withdrawn → when it goes into maintenance, by `clock.now()`. */
  readonly leaving: Map<string, number>;
  /** Servers of drained instances that are in maintenance, because persistence would send clients to them otherwise. */
  readonly closed: Set<string>;
  /** When the change that led to the present instances was seen, by `clock.now()`. */
  seenAt: number;
  /** Grows when the servers get other numbers, which makes older text stale. */
  numbering: number;
}

/** A service of which nothing is desired yet. */
export function createDesiredService(service: string, maxServerId: number): DesiredService {
  return {
    service,
    local: undefined,
    wanted: undefined,
    active: undefined,
    instances: undefined,
    ids: new ServerIds(maxServerId),
    leaving: new Map(),
    closed: new Set(),
    seenAt: 0,
    numbering: 0,
  };
}

/** The name that users know: for a port of `reload_free_services`, that of the service on it. */
export function nameInUse({ service, wanted, active }: DesiredService): string {
  return (wanted ?? active)?.service ?? service;
}

/** The server that an instance becomes in a service. */
function serverIn({ closed }: Pick<DesiredService, 'closed'>, instance: OutputInstance, spec: BackendSpec): Server {
  const server = serverOf(instance, spec.servers);
  return server.state === 'drain' && closed.has(server.name) ? closedServer(server) : server;
}

/**
 * Puts the server of a drained instance into maintenance, where it stays until the instance is drained no more.
 * @returns the server; undefined when there is no such server, or it is not drained, or closed already
 */
export function closeDrained(desired: DesiredService, name: string): DesiredServer | undefined {
  const instance = desired.instances?.find(({ id }) => id === name);
  if (desired.active === undefined || instance?.state !== 'drain' || desired.closed.has(name)) return undefined;
  desired.closed.add(name);
  desired.numbering += 1;
  return { name, server: serverIn(desired, instance, desired.active) };
}

/**
 * Takes over which servers an earlier synapse had closed, from the file, before the first instances are known. Later it leaves
 * `file.backends` alone, because they are parsed when they are first asked for: no change waits for that.
 */
export function adoptClosed(desired: DesiredService, file: Pick<ParsedConfig, 'backends'>): void {
  const backend = backendOf(desired);
  if (backend === undefined || desired.instances !== undefined) return;
  for (const { name, disabled } of file.backends.get(backend)?.values() ?? []) if (disabled) desired.closed.add(name);
}

/** All servers of a service by name, in discovery order; undefined while its instances are not known. */
export function desiredServers(
  desired: Pick<DesiredService, 'instances' | 'closed'>,
  spec: BackendSpec,
): ReadonlyMap<string, Server> | undefined {
  const { instances } = desired;
  if (instances === undefined) return undefined;
  const servers = new Map<string, Server>();
  for (const instance of instances) {
    if (isServed(instance) && !spec.fixed.has(instance.id) && !servers.has(instance.id)) {
      servers.set(instance.id, serverIn(desired, instance, spec));
    }
  }
  return servers;
}

/** The part in which two lists of instances differ. */
export interface InstanceChanges {
  readonly removed: readonly OutputInstance[];
  readonly added: readonly OutputInstance[];
}

/**
 * Finds the part in which two lists differ by walking in from both ends. Equal instances are the same objects, so
 * one change among thousands costs a few microseconds.
 */
export function diffInstances(before: readonly OutputInstance[], after: readonly OutputInstance[]): InstanceChanges {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < shorter - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end += 1;
  return { removed: before.slice(start, before.length - end), added: after.slice(start, after.length - end) };
}

/**
 * Takes a new list and returns the servers that may have to change. A server that was drained and is gone now may
 * finish its connections for `drainTimeout` milliseconds.
 */
export function takeInstances(
  desired: DesiredService,
  spec: BackendSpec,
  instances: readonly OutputInstance[],
  drainTimeout: number,
): readonly DesiredServer[] {
  const { removed, added } = diffInstances(desired.instances ?? [], instances);
  desired.instances = instances;
  const wanted = new Map<string, Server | undefined>();
  for (const { id } of removed) wanted.set(id, undefined);
  keepClosed(desired);
  for (const instance of added) {
    if (wanted.get(instance.id) === undefined) {
      wanted.set(instance.id, isServed(instance) ? serverIn(desired, instance, spec) : undefined);
    }
  }
  keepRepeated(desired, wanted, spec);
  for (const { id, state } of removed) {
    if (state === 'drain' && wanted.get(id) === undefined) desired.leaving.set(id, clock.now() + drainTimeout);
  }
  const changes: DesiredServer[] = [];
  for (const [name, server] of wanted) {
    if (server !== undefined) desired.leaving.delete(name);
    changes.push({ name, server });
  }
  return changes;
}

/** A server whose instance is gone, or is no longer drained, is closed no more. */
function keepClosed({ closed, instances = [] }: DesiredService): void {
  for (const name of closed) {
    if (!instances.some(({ id, state }) => id === name && state === 'drain')) closed.delete(name);
  }
}

/** A list that names an instance twice still has it when one of the two goes. */
function keepRepeated(desired: DesiredService, wanted: Map<string, Server | undefined>, spec: BackendSpec): void {
  let gone = false;
  for (const server of wanted.values()) if (server === undefined) gone = true;
  if (!gone) return;
  for (const instance of desired.instances ?? []) {
    if (wanted.has(instance.id) && wanted.get(instance.id) === undefined && isServed(instance)) {
      wanted.set(instance.id, serverIn(desired, instance, spec));
    }
  }
}

/** The backend that the servers of a service are in, or will be; undefined when there is none. */
export function backendOf({ wanted, active }: DesiredService): string | undefined {
  return (wanted ?? active)?.backend;
}

/**
 * The numbers by which HAProxy knows the servers of one backend. A server keeps its number, and a new server gets the
 * lowest free one. A server that left keeps its number as long as HAProxy has it in maintenance.
 */
export class ServerIds {
  readonly #max: number;
  readonly #ids = new Map<string, number>();
  readonly #taken = new Set<number>();
  /** No smaller number is free. */
  #lowest = 1;

  /** `max`: the largest number. */
  constructor(max: number) {
    this.#max = max;
  }

  /** The number of a server; a server without one gets `wanted` if that is free. Undefined when all numbers are taken. */
  claim(name: string, wanted?: number): number | undefined {
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    if (wanted !== undefined && !this.#taken.has(wanted)) return this.#take(name, wanted);
    while (this.#taken.has(this.#lowest)) this.#lowest += 1;
    return this.#lowest > this.#max ? undefined : this.#take(name, this.#lowest);
  }

  /** The number of a server; undefined when it has none. */
  get(name: string): number | undefined {
    return this.#ids.get(name);
  }

  /** The number of a server may be given out again. */
  release(name: string): void {
    const id = this.#ids.get(name);
    if (id === undefined) return;
    this.#ids.delete(name);
    this.#taken.delete(id);
    this.#lowest = Math.min(this.#lowest, id);
  }

  /** Forgets all numbers but these. Of a name or a number that comes twice, the first counts. */
  reset(known: Iterable<readonly [name: string, id: number]>): void {
    this.#ids.clear();
    this.#taken.clear();
    this.#lowest = 1;
    for (const [name, id] of known) if (!this.#ids.has(name) && !this.#taken.has(id)) this.#take(name, id);
  }

  #take(name: string, id: number): number {
    this.#ids.set(name, id);
    this.#taken.add(id);
    return id;
  }
}
