import type { Progress } from '../../common/fleet/progress.ts';
import { Deploys } from './world/deploys.ts';
import { injectFaults } from './world/faults/inject.ts';
import { Figures } from './world/monitors/figures.ts';
import { Monitors } from './world/monitors/monitors.ts';
import {
  checkHaproxy,
  checkLeftovers,
  checkNothingLeft,
  checkRegistry,
  checkReloads,
  checkStateFiles,
  checkStopped,
  expectNoMoreReloads,
} from './world/properties.ts';
import { Violation } from './world/violation.ts';
import { World, type WorldSettings } from './world/world.ts';

/** How a run went. */
export interface SeedResult {
  readonly seed: number;
  /** Why it failed; null when all properties held. */
  readonly violation: string | null;
  readonly virtualMs: number;
  readonly steps: number;
  readonly history: readonly string[];
  /** The worst of each kind. */
  readonly figures: Figures['all'];
}

const startMs = 10_000;
const faultsMs = 120_000;
/** After the faults: leases of killed nerves expire, and everybody comes back. */
const restMs = 45_000;
/** After this part of the rest nothing is left that a reload could be needed for. */
const untilReloadsEndMs = 30_000;
/** When the faults are over and etcd has not changed since: for how long HAProxy and the files may differ from it. */
const mostBehindMs = 10_000;
/**
 * For how long synapse may keep an instance whose lease is gone, and that answers: its nerve may come back for 6 s where etcd ends
 * leases by mistake (`synapse/discovery/etcd-connection.ts`), and then it is held for 5 s (`expiry_hold`).
 */
const keptMs = 11_000;
/** When the faults are over and instances have not changed since: for how long etcd may differ, beside the leases' time. */
const mostUnannouncedMs = 15_000;
/** For how long a wait for all proxies may take in peace. */
const mostWaitMs = 3_000;
/** How long nerves and synapses get to stop. */
const stopMs = 12_000;
/** After this time the leases of tombstones are over (`tombstoneLeaseTimes`), and those of nerves that were killed. */
const leasesMs = 65_000;

/** Runs one seed to its end, or to its first violation. */
export async function runSeed(seed: number, settings?: Partial<WorldSettings>): Promise<SeedResult> {
  const world = await World.create(seed, settings);
  const { scheduler } = world;
  const figures = new Figures();
  let violation: string | null = null;
  const onUnexpected = (error: unknown): void => {
    violation ??= `an error that nobody caught: ${error instanceof Error ? error.stack : String(error)}`;
  };
  process.on('uncaughtException', onUnexpected);
  process.on('unhandledRejection', onUnexpected);
  try {
    await runWorld(world, figures);
  } catch (error) {
    violation ??= error instanceof Error && error.name === 'Violation' ? error.message : String((error as Error).stack);
  } finally {
    process.off('uncaughtException', onUnexpected);
    process.off('unhandledRejection', onUnexpected);
  }
  const { lines: history } = world.history;
  return { seed, violation, virtualMs: scheduler.now(), steps: scheduler.steps, history, figures: figures.all };
}

async function runWorld(world: World, figures: Figures): Promise<void> {
  const { scheduler } = world;
  const monitors = new Monitors(world, figures);
  for (const nerve of world.nerves) nerve.start();
  for (const proxy of world.proxies) proxy.start();
  await scheduler.run(startMs);
  checkAgreement(world);
  injectFaults(world, startMs + faultsMs);
  const deploys = new Deploys(world, monitors.fleet);
  if (world.settings.drains) deploys.start();
  await scheduler.run(startMs + faultsMs);
  deploys.end();
  world.network.healAll();
  world.history.note('all faults are over');
  await settle(world, monitors, figures);
  await checkFleet(world, figures);
  checkReloads(world, figures);
  checkLeftovers(world, figures);
  monitors.stop();
  await stopAll(world);
}

/** Everything agrees with etcd, and etcd with the checks. @throws {Violation} */
function checkAgreement(world: World): void {
  checkRegistry(world);
  checkHaproxy(world);
}

/** Lets the rest pass. @throws {Violation} when something differs for too long, or HAProxy is reloaded in peace */
async function settle(world: World, monitors: Monitors, figures: Figures): Promise<void> {
  const { scheduler, instances, settings } = world;
  const begin = scheduler.now();
  const leaseMs = settings.nerve.ttlSeconds * 1_000;
  let etcdSince = begin;
  world.onCommit(() => {
    etcdSince = scheduler.now();
  });
  let checkPeace: (() => void) | undefined;
  for (let afterMs = 0; afterMs < restMs; afterMs += 500) {
    await scheduler.run(begin + afterMs);
    if (afterMs === untilReloadsEndMs) checkPeace = expectNoMoreReloads(world);
    const instancesSince = Math.max(begin, ...instances.all.map(({ changedAt }) => changedAt));
    const unannouncedMs = mayDiffer(() => checkRegistry(world), instancesSince, leaseMs + mostUnannouncedMs);
    const { lost } = monitors;
    const behindMs = mayDiffer(() => checkProxies(world, new Set(lost.keys())), etcdSince, mostBehindMs);
    const lostSince = Math.max(begin, etcdSince, ...lost.values());
    mayDiffer(() => checkProxies(world), lostSince + keptMs, mostBehindMs);
    figures.worst('unsettled', unannouncedMs);
    figures.worst('behind', behindMs);
  }
  checkPeace?.();

  function mayDiffer(check: () => void, since: number, mostMs: number): number {
    try {
      check();
      return 0;
    } catch (error) {
      const lastedMs = scheduler.now() - since;
      if (!(error instanceof Violation) || lastedMs >= mostMs) throw error;
      return lastedMs;
    }
  }
}

/** In peace, every synapse acknowledges to every nerve that it has applied everything. @throws {Violation} */
async function checkFleet(world: World, figures: Figures): Promise<void> {
  const { scheduler, proxies } = world;
  const waits = world.nerves
    .filter(({ running }) => running)
    .flatMap((nerve) =>
      [...new Set([...nerve.configured].map(({ service }) => service))].map((service) => ({ nerve, service })),
    );
  const found: Progress[] = [];
  for (const { nerve, service } of waits) {
    const options = { expect: 'applied', timeoutMs: mostWaitMs } as const;
    nerve.waitForProxies(service, options, (progress) => found.push(...progress.map(({ progress: one }) => one)));
  }
  await scheduler.run(scheduler.now() + mostWaitMs + 1_000);
  if (waits.length > 0 && found.length === 0) throw new Violation('no wait for all proxies has ended');
  for (const { outcome, reason, milliseconds, members } of found) {
    figures.worst('wait', milliseconds);
    if (outcome !== 'done') throw new Violation(`a wait for all proxies in peace: ${outcome}, ${reason}`);
    const missing = proxies.filter(({ name, running }) => running && !members.includes(name));
    if (missing.length > 0) throw new Violation(`${missing[0]?.name} takes no part in the fleet, in peace`);
  }
}

/** HAProxy and the files agree with etcd. `lost`: `service address` of instances that may be kept. @throws {Violation} */
function checkProxies(world: World, lost?: ReadonlySet<string>): void {
  checkHaproxy(world, lost);
  checkStateFiles(world, lost);
}

/** Tells all daemons to stop. @throws {Violation} when one leaves something behind */
async function stopAll(world: World): Promise<void> {
  const { scheduler } = world;
  world.history.note('all daemons are told to stop');
  for (const host of [...world.nerves, ...world.proxies]) host.stop();
  for (const { clients } of world.proxies) clients.stop();
  await scheduler.run(scheduler.now() + stopMs);
  checkStopped(world);
  await scheduler.run(scheduler.now() + leasesMs);
  checkNothingLeft(world);
}
