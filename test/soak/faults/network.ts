import { sleep } from '../../../common/async/sleep.ts';
import type { EtcdRoute } from '../etcd-route.ts';
import type { World } from '../world.ts';
import { between, type Fault, pick } from './fault.ts';

/** The routes that are hit: those of one host, but never of the first nerve alone, or those of all. */
function choose(
  { nerves, proxies }: World,
  random: () => number,
): readonly [name: string, routes: readonly EtcdRoute[]] {
  const all = [...nerves, ...proxies];
  const dice = random();
  if (dice < 0.2) return ['all hosts', all.map(({ route }) => route)];
  if (dice < 0.4) return ['all nerves', nerves.map(({ route }) => route)];
  const one = pick(all.slice(1), random);
  return [one.name, [one.route]];
}

const fault = (name: string, begin: (route: EtcdRoute) => Promise<void> | void, mostMs: number): Fault => ({
  name,
  async run(world, random, signal) {
    const [who, routes] = choose(world, random);
    const forMs = between(100, mostMs, random);
    for (const route of routes) await begin(route);
    await sleep(forMs, signal);
    for (const route of routes) await route.heal();
    return `${who} for ${Math.round(forMs)} ms`;
  },
});

/** Faults between hosts and etcd, some of them longer than the TTL of the leases. */
export const networkFaults: readonly Fault[] = [
  fault('connections to etcd are cut', ({ proxies }) => proxies.forEach((proxy) => void proxy.cut()), 500),
  fault(
    'etcd refuses connections',
    async ({ proxies }) => {
      for (const proxy of proxies) await proxy.refuse();
    },
    12_000,
  ),
  fault('the way to etcd is a black hole', ({ proxies }) => proxies.forEach((proxy) => void proxy.blackhole()), 12_000),
  fault('the way to etcd is slow', ({ proxies }) => proxies.forEach((proxy) => void proxy.delay(200)), 5_000),
];
