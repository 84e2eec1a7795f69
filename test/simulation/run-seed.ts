import { injectFaults } from './world/faults/inject.ts';
import { watchServers } from './world/monitor.ts';
import {
  checkHaproxy,
  checkLeftovers,
  checkRegistry,
  checkReloads,
  checkRequests,
  checkStateFiles,
  expectNoMoreReloads,
} from './world/properties.ts';
import { World, type WorldSettings } from './world/world.ts';

/** How a run went. */
export interface SeedResult {
  readonly seed: number;
  /** Why it failed; null when all properties held. */
  readonly violation: string | null;
  readonly virtualMs: number;
  readonly steps: number;
  readonly history: readonly string[];
}

const faultsMs = 120_000;
/** After the faults: leases of killed nerves expire, and everybody comes back. */
const restMs = 45_000;
/** After this part of the rest nothing is left that a reload could be needed for. */
const untilReloadsEndMs = 30_000;

/** Runs one seed to its end, or to its first violation. */
export async function runSeed(seed: number, settings?: Partial<WorldSettings>): Promise<SeedResult> {
  const world = await World.create(seed, settings);
  const { scheduler } = world;
  let violation: string | null = null;
  const onUnexpected = (error: unknown): void => {
    violation ??= `an error that nobody caught: ${error instanceof Error ? error.stack : String(error)}`;
  };
  process.on('uncaughtException', onUnexpected);
  process.on('unhandledRejection', onUnexpected);
  try {
    for (const nerve of world.nerves) nerve.start();
    for (const proxy of world.proxies) proxy.start();
    await scheduler.run(10_000);
    checkRegistry(world);
    checkHaproxy(world);
    watchServers(world);
    injectFaults(world, 10_000 + faultsMs);
    await scheduler.run(10_000 + faultsMs);
    world.network.healAll();
    world.history.note('all faults are over');
    await scheduler.run(10_000 + faultsMs + untilReloadsEndMs);
    const checkPeace = expectNoMoreReloads(world);
    await scheduler.run(10_000 + faultsMs + restMs);
    checkRegistry(world);
    checkHaproxy(world);
    checkStateFiles(world);
    checkReloads(world);
    checkPeace();
    checkRequests(world);
    checkLeftovers(world);
  } catch (error) {
    violation ??= error instanceof Error && error.name === 'Violation' ? error.message : String((error as Error).stack);
  } finally {
    process.off('uncaughtException', onUnexpected);
    process.off('unhandledRejection', onUnexpected);
  }
  return { seed, violation, virtualMs: scheduler.now(), steps: scheduler.steps, history: world.history.lines };
}
