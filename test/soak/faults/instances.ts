import { sleep } from '../../../common/async/sleep.ts';
import type { SoakInstance } from '../instance.ts';
import type { NerveHost } from '../nerve-host.ts';
import type { World } from '../world.ts';
import { between, type Fault, pick } from './fault.ts';

const always = new AbortController().signal;

/** An instance that no other fault has changed; the first one of each service on the first host stays well. */
function choose({ nerves, busy }: World, random: () => number): readonly [NerveHost, SoakInstance] | undefined {
  const anchors = nerves[0]?.instances.filter(
    ({ service }, index, all) => all.findIndex((other) => other.service === service) === index,
  );
  const free = nerves.flatMap((nerve) =>
    nerve.instances
      .filter((instance) => !busy.has(instance) && !anchors?.includes(instance))
      .map((instance) => [nerve, instance] as const),
  );
  return free.length === 0 ? undefined : pick(free, random);
}

const fault = (
  name: string,
  mostMs: number,
  change: (world: World, nerve: NerveHost, instance: SoakInstance) => Promise<(() => Promise<void>) | undefined>,
): Fault => ({
  name,
  async run(world, random, signal) {
    const chosen = choose(world, random);
    if (chosen === undefined) return undefined;
    const [nerve, instance] = chosen;
    const forMs = between(300, mostMs, random);
    world.busy.add(instance);
    try {
      const undo = await change(world, nerve, instance);
      if (undo === undefined) return undefined;
      await sleep(forMs, signal);
      await undo();
    } finally {
      world.busy.delete(instance);
    }
    return `${instance.service}/${instance.name} for ${Math.round(forMs)} ms`;
  },
});

const sick = fault('an instance is withdrawn because its check fails', 10_000, async ({ intents }, _, instance) => {
  await intents.out([instance], 'sick', always);
  instance.healthy = false;
  return async () => {
    await intents.in([instance], 'sick', always);
    instance.healthy = true;
  };
});

const dead = fault('an instance ends', 8_000, async ({ intents }, _, instance) => {
  await intents.out([instance], 'dead', always);
  await instance.close();
  return async () => {
    await intents.in([instance], 'dead', always);
    await instance.listen();
  };
});

const drained = fault('an instance is drained', 8_000, async (_, nerve, instance) => {
  try {
    await nerve.drain(instance, 'drain');
  } catch {
    // The nerve is down, or frozen.
    return undefined;
  }
  return async () => {
    for (;;) {
      try {
        return await nerve.drain(instance, 'undrain');
      } catch {
        await sleep(200);
      }
    }
  };
});

/** Changes of instances, in order and not. */
export const instanceFaults: readonly Fault[] = [sick, sick, drained, dead];
