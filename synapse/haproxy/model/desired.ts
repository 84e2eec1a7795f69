import type { Instance } from '../../../common/instance.ts';
import type { Wanted } from '../runtime/plan.ts';
import { createServerIds, type ServerIds } from './ids.ts';
import type { Server, Structure } from './model.ts';
import { isServed, serverOf } from './server.ts';

/** What we want of one service, and what goes with it while synapse runs. Mutable; changed by output.ts alone. */
export interface DesiredService {
  readonly service: string;
  /** What HAProxy is to have, once its file has been accepted with it. */
  wanted: Structure | undefined;
  /** What the accepted file has: membership is kept right by this one. */
  active: Structure | undefined;
  /** Undefined while nothing is known: what HAProxy has stays. */
  instances: readonly Instance[] | undefined;
  readonly ids: ServerIds;
  /** Servers that were drained and then withdrawn → when they go into maintenance, `performance.now()`. */
  readonly leaving: Map<string, number>;
  /** When the change that led to the present instances was seen, `performance.now()`. */
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

/** The name by which users know it: of who is there, for a slot. */
export function nameInUse({ service, wanted, active }: DesiredService): string {
  return (wanted ?? active)?.service ?? service;
}

/** All servers of a service by name, in discovery order; undefined while nothing is known. */
export function desiredServers(
  { instances }: Pick<DesiredService, 'instances'>,
  structure: Structure,
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
  structure: Structure,
  instances: readonly Instance[],
  drainTimeout: number,
): readonly Wanted[] {
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
    if (state === 'drain' && wanted.get(id) === undefined) desired.leaving.set(id, performance.now() + drainTimeout);
  }
  const changes: Wanted[] = [];
  for (const [name, server] of wanted) {
    if (server !== undefined) desired.leaving.delete(name);
    changes.push({ name, server });
  }
  return changes;
}

/** A list that names an instance twice still has it when one of the two goes. */
function keepRepeated(
  wanted: Map<string, Server | undefined>,
  structure: Structure,
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
