import { sleep } from '../../../common/async/sleep.ts';
import type { LocalCluster } from '../../../etcd-cluster/members/local-cluster.ts';
import type { FaultProxy } from '../servers/fault-proxy.ts';

/** The members and connections that faults may hit. */
export interface FaultTargets {
  readonly cluster: LocalCluster;
  /** One in front of each member. */
  readonly proxies: readonly FaultProxy[];
  /** Compacts the history up to now. */
  readonly compact: () => Promise<void>;
}

type Fault = (targets: FaultTargets, random: () => number) => Promise<void>;

const pick = <T>(list: readonly T[], random: () => number): T => list[Math.floor(random() * list.length)] as T;

/** One of the proxies, or all of them. */
const some = (proxies: readonly FaultProxy[], random: () => number): readonly FaultProxy[] =>
  random() < 0.5 ? proxies : [pick(proxies, random)];

const healAll = async (proxies: readonly FaultProxy[]): Promise<void> => {
  for (const proxy of proxies) await proxy.heal();
};

const faults: Readonly<Record<string, Fault>> = {
  async cut({ proxies }, random) {
    for (const proxy of some(proxies, random)) proxy.cut();
  },
  async 'cut twice'({ proxies }, random) {
    for (const proxy of proxies) proxy.cut();
    await sleep(random() * 250);
    for (const proxy of proxies) proxy.cut();
  },
  async flap({ proxies }, random) {
    for (let times = 0; times < 10; times += 1) {
      for (const proxy of proxies) proxy.cut();
      await sleep(30 + random() * 120);
    }
  },
  async refuse({ proxies }, random) {
    const chosen = some(proxies, random);
    for (const proxy of chosen) await proxy.refuse();
    await sleep(200 + random() * 1_500);
    await healAll(chosen);
  },
  async blackhole({ proxies }, random) {
    const chosen = some(proxies, random);
    for (const proxy of chosen) proxy.blackhole();
    await sleep(500 + random() * 2_500);
    await healAll(chosen);
  },
  async delay({ proxies }, random) {
    const chosen = some(proxies, random);
    for (const proxy of chosen) proxy.delay(50 + random() * 300);
    await sleep(500 + random() * 1_000);
    await healAll(chosen);
  },
  async freeze({ cluster }, random) {
    const member = pick(cluster.members, random);
    member.freeze();
    await sleep(500 + random() * 3_500);
    member.thaw();
  },
  async kill({ cluster }, random) {
    const member = pick(cluster.members, random);
    await member.kill();
    await sleep(random() * 1_500);
    await member.start();
    await cluster.ready();
  },
  async compact({ compact }) {
    await compact();
  },
  async 'compact while cut off'({ proxies, compact }, random) {
    for (const proxy of proxies) await proxy.refuse();
    await sleep(100 + random() * 500);
    await compact();
    await healAll(proxies);
  },
};

/** Injects random faults into a cluster and the ways to it until `signal` aborts. Each fault ends before the next begins. */
export async function injectFaults(
  targets: FaultTargets,
  random: () => number,
  signal: AbortSignal,
): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  const names = Object.keys(faults);
  while (!signal.aborted) {
    const name = pick(names, random);
    counts[name] = (counts[name] ?? 0) + 1;
    await faults[name]?.(targets, random);
    await sleep(random() * 700, signal);
  }
  return counts;
}
