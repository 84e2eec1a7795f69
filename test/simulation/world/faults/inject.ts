import type { World } from '../world.ts';
import { historyCompacted, keyDeleted, memberFreezes, memberKilled, quotaReached } from './etcd.ts';
import { type Fault, pick } from './fault.ts';
import { haproxyKilled, reloadByOther, workerFreezes } from './haproxy.ts';
import { instanceDies, instanceHostDies, instanceSick } from './instances.ts';
import { nerveFreezes, nerveKilled, nerveStops } from './nerve.ts';
import { hostCutOffFromEtcd, proxyCannotReachHost } from './network.ts';
import { diskFull, synapseFreezes, synapseKilled, synapseStops } from './synapse.ts';

/** A seed chooses a fault by its position: whoever adds one changes what every seed does. */
const faults: readonly Fault[] = [
  memberKilled,
  memberFreezes,
  hostCutOffFromEtcd,
  nerveKilled,
  nerveStops,
  nerveFreezes,
  instanceSick,
  instanceDies,
  instanceHostDies,
  proxyCannotReachHost,
  synapseKilled,
  synapseStops,
  synapseFreezes,
  haproxyKilled,
  workerFreezes,
  diskFull,
  reloadByOther,
  keyDeleted,
  historyCompacted,
  quotaReached,
];

/** Makes faults at random times until `untilMs`; those that are under way then end at that time. */
export function injectFaults(world: World, untilMs: number): void {
  const { scheduler } = world;
  const underWay = new Set<() => void>();
  const next = (): void => {
    if (scheduler.now() >= untilMs) return;
    const fault = pick(world, faults);
    const undo = fault?.begin(world);
    if (undo !== undefined) {
      const end = (): void => {
        if (underWay.delete(end)) undo();
      };
      underWay.add(end);
      // Most faults are short, some last longer than every TTL.
      const lastsMs = 200 + scheduler.random() ** 3 * 40_000;
      scheduler.at(Math.min(lastsMs, untilMs - scheduler.now()), end);
    }
    scheduler.at(scheduler.random() ** 2 * 15_000, next);
  };
  scheduler.at(scheduler.random() * 5_000, next);
}
