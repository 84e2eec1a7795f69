import { sleep } from '../../common/async/sleep.ts';
import type { EtcdVersion } from '../support/etcd/etcd.ts';
import type { Balancer } from '../support/lost-leases/balancer.ts';
import * as scenarios from '../support/lost-leases/scenarios.ts';
import { type Pace, type Site, startSite } from '../support/lost-leases/site.ts';

/** How the scenarios are run. */
export interface LostLeasesBench {
  /** Requests a second through each HAProxy. */
  readonly perSecond: number;
  /** Seconds for which requests go on after the last step of a scenario. */
  readonly restSeconds: number;
  readonly etcdVersion: EtcdVersion;
  /** The `dist` of the checkout whose daemons run; default: this one's. */
  readonly dist?: string;
  /** Only scenarios whose title contains this. */
  readonly only: string;
}

/** What one scenario cost behind one HAProxy. */
export interface LostLeasesCost {
  readonly check: boolean;
  readonly sent: number;
  readonly failed: number;
  /** Answers of another service. */
  readonly wrong: number;
  /** How many of both the rule allows. */
  readonly allowed: number;
  /** The longest time of one request, in seconds. */
  readonly slowestSeconds: number;
  /** Until the last one of the instances that are gone left HAProxy, in seconds; undefined when one is there at the end. */
  readonly leftSeconds: number | undefined;
  /** How often instances that are gone came into use again. */
  readonly returns: number;
  /** The smallest number of servers in use, and the number that may be. */
  readonly fewest: number;
  readonly stays: number;
}

/** One scenario, with HAProxy's own checks and without. */
export interface LostLeasesResult {
  readonly title: string;
  readonly countedFrom: string;
  /** For what the rule allows failures; empty when it allows none. */
  readonly allowedFor: string;
  readonly costs: readonly LostLeasesCost[];
}

/** All scenarios in the sizes in which they were first seen. */
const all: readonly scenarios.Scenario[] = [
  scenarios.deletedOneByOne({ gone: 11, of: 12 }, 'without a lease'),
  scenarios.deletedOneByOne({ gone: 11, of: 12 }, 'under one lease'),
  scenarios.addressesReused({ gone: 9, of: 12, ttlSeconds: 5 }),
  scenarios.quotaReached({ gone: 3, of: 4 }),
  scenarios.withdrawnUnseen({ gone: 8, of: 12 }),
  scenarios.twoHostsDie({ apartMs: 22_000, networks: true }),
  scenarios.largeHostDies({ gone: 6, of: 8 }, { networks: true }),
  scenarios.sickWhileCutOff({ hosts: 4, cutOffMs: 16_000 }),
  scenarios.pairCutOff({ cutOffMs: 16_000 }),
];

/** Runs the scenarios one after the other, and reports each when it is over. */
export async function measureLostLeases(
  options: LostLeasesBench,
  onResult: (result: LostLeasesResult) => void,
): Promise<void> {
  for (const scenario of all.filter(({ title }) => title.includes(options.only))) {
    onResult(await measureScenario(scenario, options));
  }
}

async function measureScenario(
  scenario: scenarios.Scenario,
  { perSecond, restSeconds, etcdVersion, dist }: LostLeasesBench,
): Promise<LostLeasesResult> {
  const { title, countedFrom, shape, allowed } = scenario;
  const most = scenarios.allowedRequests(allowed, { perSecond, etcdVersion });
  const pace: Pace = {
    withdrawn: (_, usualMs) => sleep(usualMs),
    counted: async () => {},
    rest: () => sleep(restSeconds * 1_000),
  };
  const options = { members: 3, etcdVersion, perSecond, pace, ...(dist !== undefined && { dist }) };
  const site = await startSite(shape, options);
  try {
    await scenario.run(site);
    await site.pace.rest(site, scenario.stays);
    for (const { load } of site.balancers) await load.stop();
    const costs = site.balancers.map((balancer) => ({
      ...costOf(site, balancer),
      allowed: most,
      stays: scenario.stays,
    }));
    return { title, countedFrom, allowedFor: allowed.why, costs };
  } finally {
    await site.stop();
  }
}

function costOf(site: Site, balancer: Balancer): Omit<LostLeasesCost, 'allowed' | 'stays'> {
  const { check, load, rotation } = balancer;
  const { counted } = load;
  const left = [...site.goneAt].map(([address, at]) => {
    const leftAt = rotation.leftAt(address);
    return leftAt === undefined ? undefined : Math.max(0, leftAt - at) / 1_000;
  });
  return {
    check,
    sent: counted.length,
    failed: counted.filter(({ outcome }) => outcome === 'failed').length,
    wrong: counted.filter(({ outcome }) => outcome === 'wrong').length,
    slowestSeconds: Math.max(0, ...counted.map(({ tookMs }) => tookMs / 1_000)),
    leftSeconds: left.includes(undefined) ? undefined : Math.max(0, ...(left as readonly number[])),
    returns: site.returnsBehind(balancer),
    fewest: rotation.fewest,
  };
}
