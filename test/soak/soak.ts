import { setMaxListeners } from 'node:events';
import { linkAbort } from '../../common/async/abort.ts';
import { sleep } from '../../common/async/sleep.ts';
import { withTimeout } from '../../common/async/timeout.ts';
import { reasonOf } from '../../common/daemon/log.ts';
import type { EtcdVersion } from '../support/etcd/etcd.ts';
import { eventually } from '../support/eventually.ts';
import { seededRandom } from '../support/random.ts';
import { checkAgreement } from './agreement.ts';
import { keepAsking } from './clients.ts';
import { daemonFaults } from './faults/daemons.ts';
import { etcdFaults } from './faults/etcd.ts';
import { type Fault, pick } from './faults/fault.ts';
import { instanceFaults } from './faults/instances.ts';
import { networkFaults } from './faults/network.ts';
import type { History } from './history.ts';
import { ServerWatch } from './server-watch.ts';
import { services, startWorld, type World } from './world.ts';

/** What a run depends on. Times do not repeat; the faults and their order do. */
export interface SoakOptions {
  readonly seconds: number;
  readonly etcdVersion: EtcdVersion;
  readonly seed: number;
  /** An empty folder for the run; the logs of the daemons stay there. */
  readonly folder: string;
}

/** Faults of one kind come one after the other; two of the instances at the same time. */
const lanes: readonly (readonly Fault[])[] = [etcdFaults, networkFaults, daemonFaults, instanceFaults, instanceFaults];

/** How long everything may take to start and to come to rest, milliseconds: it bounds a hang and measures nothing. */
const restMs = 600_000;

/**
 * Runs everything with faults at random for some time, then lets it come to rest. What happened is in `history`.
 * @throws when the world cannot be started, or `signal` aborts
 */
export async function runSoak(options: SoakOptions, history: History, signal: AbortSignal): Promise<void> {
  const end = linkAbort(signal);
  setMaxListeners(0, end.signal);
  const { world, stop } = await startWorld({ ...options, history }, end.signal);
  try {
    const limit = { timeoutMs: options.seconds * 1_000 + restMs, what: 'the soak' };
    await withTimeout((inner) => observe(world, options, inner), limit, end.signal);
  } finally {
    end.abort();
    await stop();
  }
}

async function observe(world: World, { seconds, seed }: SoakOptions, signal: AbortSignal): Promise<void> {
  const { history, proxies, recorder } = world;
  setMaxListeners(0, signal);
  const witness = linkAbort(signal);
  setMaxListeners(0, witness.signal);
  await atRest(world);
  const watching = proxies.map((host) => new ServerWatch(host, world).run(witness.signal, signal));
  const asking = proxies.flatMap((host) => services.map((name) => keepAsking(host, name, history, witness.signal)));
  const over = linkAbort(signal);
  setMaxListeners(0, over.signal);
  const timer = setTimeout(() => over.abort(), seconds * 1_000);
  await Promise.all(lanes.map((faults, index) => runLane(faults, world, seededRandom(seed * 16 + index), over.signal)));
  clearTimeout(timer);
  history.note('the faults are over');
  await atRest(world);
  witness.abort();
  await Promise.all([...watching, ...asking]);
  await recorder.reached(await recorder.now(signal), signal);
  world.intents.check(history);
}

async function runLane(faults: readonly Fault[], world: World, random: () => number, over: AbortSignal): Promise<void> {
  const { history } = world;
  await sleep(random() * 2_000, over);
  while (!over.aborted) {
    const fault = pick(faults, random);
    history.note(`FAULT: ${fault.name}`);
    try {
      const what = await fault.run(world, random, over);
      if (what !== undefined) history.count(`fault: ${fault.name}`);
      history.note(`end of the fault: ${fault.name}: ${what ?? 'not possible now'}`);
    } catch (error) {
      history.violated(`the fault '${fault.name}' could not be made: ${reasonOf(error)}`);
    }
    await sleep(200 + random() * 2_500, over);
  }
}

/** Waits until everything agrees. */
async function atRest(world: World): Promise<void> {
  try {
    await eventually(() => checkAgreement(world));
    world.history.note('etcd, HAProxy, its file and the state file agree');
  } catch (error) {
    world.history.violated(`no agreement at rest: ${reasonOf(error)}`);
  }
}
