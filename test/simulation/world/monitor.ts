import type { SimulatedInstance } from './instances.ts';
import { Violation } from './properties.ts';
import type { ProxyHost } from './proxy-host.ts';
import type { World } from './world.ts';

const everyMs = 100;
/** For how long an instance must have been well, announced and reachable until it counts. */
const steadyMs = 25_000;
/** For how long a steady instance may be missing: a reload, or a batch of commands. */
const mostMissingMs = 1_500;

/** What the monitor knows of one instance behind one proxy. */
interface Watched {
  readonly proxy: ProxyHost;
  readonly instance: SimulatedInstance;
  readonly key: string;
  /** Since when nothing has been wrong with it; undefined while something is. */
  steadySince: number | undefined;
  wasUsed: boolean;
  /** Of its key at the last look. */
  createRevision: number | undefined;
  missingSince: number | undefined;
}

/**
 * Looks at every HAProxy all the time: a server that is in use, and whose instance has been healthy, reachable and
 * announced without interruption, stays in use, whatever happens to etcd, synapse and the rest.
 */
export function watchServers(world: World): void {
  const all: Watched[] = [];
  for (const proxy of world.proxies) {
    for (const nerve of world.nerves) {
      for (const instance of nerve.instances) {
        const state = { steadySince: undefined, wasUsed: false, missingSince: undefined, createRevision: undefined };
        all.push({ proxy, instance, key: nerve.keyOf(instance), ...state });
      }
    }
  }
  const look = (): void => {
    for (const one of all) check(world, one);
    world.scheduler.at(everyMs, look);
  };
  world.scheduler.at(everyMs, look);
}

function check(world: World, watched: Watched): void {
  const now = world.scheduler.now();
  const { proxy, instance, key } = watched;
  const { worker } = proxy.haproxy;
  const record = world.etcd.store.get(key);
  // A key that was deleted and put again between two looks has another create revision.
  const isSame = watched.createRevision === record?.createRevision;
  watched.createRevision = record?.createRevision;
  const isSteady =
    isSame &&
    worker !== undefined &&
    !worker.process.frozen &&
    instance.running &&
    instance.healthy &&
    world.instances.reach(proxy.name, instance.address) === 'answers' &&
    record?.value.includes('"state"') === false;
  if (!isSteady) {
    watched.steadySince = undefined;
    watched.wasUsed = false;
    watched.missingSince = undefined;
    return;
  }
  watched.steadySince ??= now;
  const isUsed = [...(worker.backends.get(instance.service)?.servers.values() ?? [])].some(
    (server) => server.address === instance.address && server.usable,
  );
  if (isUsed) {
    watched.wasUsed = true;
    watched.missingSince = undefined;
    return;
  }
  if (!watched.wasUsed || now - watched.steadySince < steadyMs) return;
  watched.missingSince ??= now;
  if (now - watched.missingSince < mostMissingMs) return;
  throw new Violation(
    `${instance.service} at ${instance.address} left HAProxy on ${proxy.name}, though nothing was wrong`,
  );
}
