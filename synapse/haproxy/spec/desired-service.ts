import { clock } from '../../../common/async/clock.ts';
import type { Instance } from '../../../common/instance.ts';
import { isServed, serverOf } from './server.ts';
import type { BackendSpec, Server } from './types.ts';

/** What one server should be: a server, or nothing (`undefined`). */
export interface DesiredServer {
  readonly name: string;
  readonly server: Server | undefined;
}

/** What we want of one service, and what goes with it while synapse runs. Mutable; changed by output.ts alone. */
export interface DesiredService {
  readonly service: string;
  /** What HAProxy is to have, once its file has been accepted with it. */
  wanted: BackendSpec | undefined;
  /** What the accepted file has: membership is kept right by this one. */
  active: BackendSpec | undefined;
  /** Undefined while nothing is known: what HAProxy has stays. */
  instances: readonly Instance[] | undefined;
  readonly ids: ServerIds;
  /** Servers that were drained and then withdrawn → when they go into maintenance, `clock.now()`. */
  readonly leaving: Map<string, number>;
  /** When the change that led to the present instances was seen, `clock.now()`. */
  seenAt: number;
  /** Grows when numbers were given out anew: text made before is stale then. */
  numbering: number;
}

export function createDesiredService(service: string, maxServerId: number): DesiredService {
  return {
    service,
    wanted: undefined,
    active: undefined,
    instances: undefined,
    ids: createServerIds(maxServerId),
    leaving: new Map(),
    seenAt: 0,
    numbering: 0,
  };
}

/** The name that users know: for a port of `reload_free_services`, that of the service on it. */
export function nameInUse({ service, wanted, active }: DesiredService): string {
  return (wanted ?? active)?.service ?? service;
}

/** All servers of a service by name, in discovery order; undefined while nothing is known. */
export function desiredServers(
  { instances }: Pick<DesiredService, 'instances'>,
  structure: BackendSpec,
): ReadonlyMap<string, Server> | undefined {
  if (instances === undefined) return undefined;
  const servers = new Map<string, Server>();
  for (const instance of instances) {
    if (isServed(instance) && !structure.fixed.has(instance.id) && !servers.has(instance.id)) {
      servers.set(instance.id, serverOf(instance, structure.servers));
    }
  }
  return servers;
}

/** What is in one list of instances and not at the same place of the other. */
export interface InstanceChanges {
  readonly removed: readonly Instance[];
  readonly added: readonly Instance[];
}

/**
 * Finds the part in which two lists differ by walking in from both ends. Equal instances are the same objects, so
 * one change among thousands costs a few microseconds.
 */
export function diffInstances(before: readonly Instance[], after: readonly Instance[]): InstanceChanges {
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
  structure: BackendSpec,
  instances: readonly Instance[],
  drainTimeout: number,
): readonly DesiredServer[] {
  const { removed, added } = diffInstances(desired.instances ?? [], instances);
  desired.instances = instances;
  const wanted = new Map<string, Server | undefined>();
  for (const { id } of removed) wanted.set(id, undefined);
  for (const instance of added) {
    if (wanted.get(instance.id) === undefined) {
      wanted.set(instance.id, isServed(instance) ? serverOf(instance, structure.servers) : undefined);
    }
  }
  keepRepeated(wanted, structure, instances);
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

/** A list that names an instance twice still has it when one of the two goes. */
function keepRepeated(
  wanted: Map<string, Server | undefined>,
  structure: BackendSpec,
  instances: readonly Instance[],
): void {
  let gone = false;
  for (const server of wanted.values()) if (server === undefined) gone = true;
  if (!gone) return;
  for (const instance of instances) {
    if (wanted.has(instance.id) && wanted.get(instance.id) === undefined && isServed(instance)) {
      wanted.set(instance.id, serverOf(instance, structure.servers));
    }
  }
}

/** The backend that its servers are in, or will be. */
export function backendOf({ wanted, active }: DesiredService): string | undefined {
  return (wanted ?? active)?.backend;
}

/**
 * The numbers HAProxy knows the servers of one backend by. A server keeps its number; a new one gets the lowest that
 * is free; one that left keeps its number for as long as HAProxy still holds it in maintenance.
 */
export interface ServerIds {
  /** The number of a server, given out now when it has none. Undefined when all are taken. */
  claim(name: string, wanted?: number): number | undefined;
  get(name: string): number | undefined;
  /** Its number may be given out again. */
  release(name: string): void;
  /** Forgets everything but these: what runs, then what the file says. */
  reset(known: Iterable<readonly [name: string, id: number]>): void;
}

export function createServerIds(max: number): ServerIds {
  const ids = new Map<string, number>();
  const taken = new Set<number>();
  let lowest = 1;

  const take = (name: string, id: number): number => {
    ids.set(name, id);
    taken.add(id);
    return id;
  };

  return {
    claim(name, wanted) {
      const known = ids.get(name);
      if (known !== undefined) return known;
      if (wanted !== undefined && !taken.has(wanted)) return take(name, wanted);
      while (taken.has(lowest)) lowest += 1;
      return lowest > max ? undefined : take(name, lowest);
    },
    get: (name) => ids.get(name),
    release(name) {
      const id = ids.get(name);
      if (id === undefined) return;
      ids.delete(name);
      taken.delete(id);
      lowest = Math.min(lowest, id);
    },
    reset(known) {
      ids.clear();
      taken.clear();
      lowest = 1;
      for (const [name, id] of known) if (!ids.has(name) && !taken.has(id)) take(name, id);
    },
  };
}
