import assert from 'node:assert/strict';
import { sleep } from '../../../common/async/sleep.ts';
import { compact, dump, type EtcdVersion, exhaustQuota, grantLease, remove } from '../etcd/etcd.ts';
import { eventually } from '../eventually.ts';
import type { InstanceHost } from './instance-host.ts';
import { announce, keysOf, type Site, type SiteShape, usualTtlSeconds } from './site.ts';

/** Announcements of the service `api` vanish in one way, and what the rule about lost leases promises then. */
export interface Scenario {
  readonly title: string;
  readonly shape: SiteShape;
  /** Instances that are in use in the end. */
  readonly stays: number;
  /** Requests are counted from here on. */
  readonly countedFrom: string;
  readonly allowed: Allowance;
  readonly run: (site: Site) => Promise<void>;
}

/** Of the counted requests, those of `seconds` to this share of the instances may fail, and no more. */
export interface Allowance {
  readonly seconds: number;
  readonly share: number;
  readonly why: string;
  /** Nerves of lost leases may come back first, where etcd may have revoked the leases by mistake. */
  readonly mayReturn?: boolean;
}

/** How many of all hosts vanish; each has one instance. */
export interface Share {
  readonly gone: number;
  readonly of: number;
}

/** How long nerves are cut off at least; they always are until their leases have ended. */
export interface CutOff {
  readonly cutOffMs?: number;
}

/** On etcd 3.4.23, synapse waits this long until it looks (README.md, 'a host dies'). */
const mistakeSeconds = 6;

/** How many requests may fail, at this rate. */
export function allowedRequests(
  { seconds, share, mayReturn = false }: Allowance,
  { perSecond, etcdVersion }: { readonly perSecond: number; readonly etcdVersion: EtcdVersion },
): number {
  const wait = mayReturn && etcdVersion === '3.4' ? mistakeSeconds : 0;
  return Math.ceil((seconds + wait) * share * perSecond);
}

const none = { seconds: 0, share: 0, why: '' } as const;
/** One look takes at most a second; etcd, synapse and HAProxy need a part of one. */
const lookSeconds = 1.5;
/** etcd looks for leases that are over twice a second. */
const leaseSeconds = usualTtlSeconds + 0.5;
/** Up to 5 s between two tries to reach etcd again. */
const returnSeconds = 5.5;

/** Keys are deleted one by one with etcdctl, and their instances stopped after that. */
export function deletedOneByOne({ gone, of }: Share, announced: 'without a lease' | 'under one lease'): Scenario {
  const how = announced === 'without a lease' ? announced : 'under a lease that lives';
  return {
    title: `${gone} of ${of} keys ${how} are deleted one by one`,
    shape: { hosts: ones(of), announced },
    stays: of - gone,
    countedFrom: 'the first delete',
    allowed: none,
    async run(site) {
      await site.count();
      for (const host of site.hosts.slice(0, gone)) {
        for (const key of keysOf(host)) await remove(site.etcd.direct, key);
        site.gone(host);
        await site.pace.withdrawn(site, 1_500);
        await host.refuse();
      }
    },
  };
}

/**
 * Hosts are terminated, and their addresses are handed out to another service before their leases end: `ttlSeconds` has to
 * be long enough for that.
 */
export function addressesReused({ gone, of, ttlSeconds }: Share & { readonly ttlSeconds: number }): Scenario {
  return {
    title: `${gone} of ${of} hosts are terminated, and another service gets their addresses`,
    shape: { hosts: ones(of), announced: 'by nerves', ttlSeconds },
    stays: of - gone,
    countedFrom: 'the end of their leases',
    allowed: { seconds: lookSeconds, share: gone / of, why: 'one look', mayReturn: true },
    async run(site) {
      const terminated = site.hosts.slice(0, gone);
      const lease = await grantLease(site.etcd.direct, 3_600);
      const reuse = async (host: InstanceHost): Promise<void> => {
        await site.stopNerve(host, 'SIGKILL');
        await host.refuse();
        await host.serve('web');
        await announce(site, host, { service: 'web', name: `new-${host.name}`, lease });
      };
      await Promise.all(terminated.map(reuse));
      await untilNotAnnounced(site, terminated);
      site.gone(...terminated);
      await site.count();
    },
  };
}

/** Nerves are stopped in order while etcd refuses all writes. */
export function quotaReached({ gone, of }: Share): Scenario {
  return {
    title: `${gone} of ${of} nerves are stopped in order while etcd is at its quota`,
    shape: { hosts: ones(of), announced: 'by nerves', etcdFlags: [`--quota-backend-bytes=${16 * 1024 * 1024}`] },
    stays: of - gone,
    countedFrom: 'the first stop',
    allowed: none,
    async run(site) {
      await exhaustQuota(site.etcd.direct);
      await site.count();
      for (const host of site.hosts.slice(0, gone)) {
        await site.stopNerve(host);
        site.gone(host);
        await site.pace.withdrawn(site, 1_500);
        await host.refuse();
      }
    },
  };
}

/** Nerves are stopped in order while synapse is cut off, and what it has missed is compacted. */
export function withdrawnUnseen({ gone, of }: Share): Scenario {
  return {
    title: `${gone} of ${of} instances are withdrawn in order while synapse is cut off and history is compacted`,
    shape: { hosts: ones(of), announced: 'by nerves' },
    stays: of - gone,
    countedFrom: "synapse's return",
    allowed: { seconds: returnSeconds, share: gone / of, why: 'the way back to etcd' },
    async run(site) {
      await site.cutOffSynapses();
      const withdrawn = site.hosts.slice(0, gone);
      for (const host of withdrawn) {
        await site.stopNerve(host);
        await host.refuse();
      }
      await compact(site.etcd.direct);
      await site.healSynapses();
      site.gone(...withdrawn);
      await site.count();
    },
  };
}

/** Of the hosts of a service of three, two die, one after the other. */
export function twoHostsDie({ apartMs = 0, networks = false } = {}): Scenario {
  return {
    title: `of 3 hosts one dies, and ${apartMs === 0 ? 'then' : `${apartMs / 1_000} s later`} another one`,
    shape: { hosts: ones(3), announced: 'by nerves', networks },
    stays: 1,
    countedFrom: 'the second death',
    allowed: { seconds: leaseSeconds + lookSeconds, share: 1 / 2, why: 'the lease and one look', mayReturn: true },
    async run(site) {
      const [first, second] = site.hosts as readonly [InstanceHost, InstanceHost];
      await site.die(first);
      site.gone(first);
      await site.pace.withdrawn(site, apartMs);
      await site.die(second);
      site.gone(second);
      await site.count();
    },
  };
}

/** A host with most of the instances dies: one nerve, one lease. */
export function largeHostDies({ gone, of }: Share, { networks = false } = {}): Scenario {
  return {
    title: `one host with ${gone} of ${of} instances dies`,
    shape: { hosts: [gone, of - gone], announced: 'by nerves', networks },
    stays: of - gone,
    countedFrom: 'the end of its lease',
    allowed: { seconds: lookSeconds, share: gone / of, why: 'one look', mayReturn: true },
    async run(site) {
      const [large] = site.hosts as readonly [InstanceHost];
      await site.die(large);
      await untilNotAnnounced(site, [large]);
      site.gone(large);
      await site.count();
    },
  };
}

/** All nerves are cut off for longer than their leases; one instance gets sick meanwhile. */
export function sickWhileCutOff({ hosts, cutOffMs = 0 }: CutOff & { readonly hosts: number }): Scenario {
  return {
    title: `all nerves are cut off ${howLong(cutOffMs)} while one of ${hosts} instances gets sick`,
    shape: { hosts: ones(hosts), announced: 'by nerves' },
    stays: hosts - 1,
    countedFrom: 'the return of the nerves',
    allowed: { seconds: returnSeconds, share: 1 / hosts, why: 'the way back to etcd' },
    async run(site) {
      const [sick] = site.hosts as readonly [InstanceHost];
      site.cutOffNerves();
      await sleep(cutOffMs / 2);
      await sick.sicken();
      await sleep(cutOffMs / 2);
      await untilNotAnnounced(site, site.hosts);
      await site.healNerves();
      site.gone(sick);
      await site.count();
    },
  };
}

/** All nerves of a service of two are cut off for longer than their leases. */
export function pairCutOff({ cutOffMs = 0 }: CutOff = {}): Scenario {
  return {
    title: `all nerves of a service of two are cut off ${howLong(cutOffMs)}`,
    shape: { hosts: ones(2), announced: 'by nerves' },
    stays: 2,
    countedFrom: 'the cut',
    allowed: none,
    async run(site) {
      await site.count();
      site.cutOffNerves();
      await sleep(cutOffMs);
      await untilNotAnnounced(site, site.hosts);
      await site.healNerves();
    },
  };
}

function howLong(cutOffMs: number): string {
  return cutOffMs === 0 ? 'until their leases end' : `for ${cutOffMs / 1_000} s`;
}

function ones(count: number): readonly number[] {
  return new Array<number>(count).fill(1);
}

/** Waits until etcd has none of the keys of these hosts. */
function untilNotAnnounced({ etcd }: Site, hosts: readonly InstanceHost[]): Promise<void> {
  return eventually(async () => {
    const announced = await dump(etcd.direct, '/nerve/services/api/');
    const left = hosts.flatMap((host) => keysOf(host)).filter((key) => Object.hasOwn(announced, key));
    assert.deepEqual(left, []);
  });
}
