import type { World } from '../world.ts';
import { historyCompacted, memberFreezes, memberKilled, quotaReached } from './etcd.ts';
import { type Fault, pick } from './fault.ts';
import { haproxyKilled, reloadByOther, workerFreezes } from './haproxy.ts';
import {
  memberHangsUnderChanges,
  memberHangsUnderCreate,
  slowUnderChanges,
  synapseBackWithoutEtcd,
} from './incidents.ts';
import {
  addressReused,
  instanceDies,
  instanceFlaps,
  instanceHostDies,
  instanceHostsDie,
  instanceSick,
} from './instances.ts';
import { nerveFreezes, nerveKilled, nerveMoves, nerveStops } from './nerve.ts';
import { hostCutOffFromEtcd, membersCutOff, nervesCutOff, proxyCannotReachHost } from './network.ts';
import {
  allKeysDeleted,
  commandsUndone,
  keyDeleted,
  keyOverwritten,
  serverInMaintenance,
  serverOpened,
} from './operator.ts';
import { diskFull, synapseFreezes, synapseKilled, synapseStops } from './synapse.ts';

/** A seed chooses a fault by its position: whoever adds one changes what every seed does. */
const faults: readonly Fault[] = [
  memberKilled,
  memberFreezes,
  membersCutOff,
  memberHangsUnderChanges,
  memberHangsUnderCreate,
  slowUnderChanges,
  hostCutOffFromEtcd,
  nervesCutOff,
  historyCompacted,
  quotaReached,
  keyDeleted,
  allKeysDeleted,
  keyOverwritten,
  nerveKilled,
  nerveStops,
  nerveFreezes,
  nerveMoves,
  instanceSick,
  instanceDies,
  instanceFlaps,
  instanceHostDies,
  instanceHostsDie,
  addressReused,
  proxyCannotReachHost,
  synapseKilled,
  synapseStops,
  synapseFreezes,
  synapseBackWithoutEtcd,
  diskFull,
  haproxyKilled,
  workerFreezes,
  reloadByOther,
  serverInMaintenance,
  serverOpened,
  commandsUndone,
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
