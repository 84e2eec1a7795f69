import type { SimulatedInstance } from '../instances.ts';
import type { NerveHost } from '../nerve-host.ts';
import type { World } from '../world.ts';
import { type Fault, pick } from './fault.ts';

/** Starts an instance, unless its host is down or has another task by now; waits for what listens at its address still. */
export function run(world: World, instance: SimulatedInstance): void {
  const nerve = world.nerveOf(instance);
  if (!nerve.configured.has(instance) || world.instances.dead.has(instance.host)) return;
  const listening = world.instances.at(instance.address);
  if (listening !== undefined && listening !== instance) {
    world.scheduler.at(500, () => run(world, instance));
    return;
  }
  world.history.note(`${instance.service} at ${instance.address} runs and is well`);
  world.instances.change(instance, { running: true, healthy: true });
}

/** An instance becomes sick. */
export const instanceSick: Fault = {
  name: 'an instance becomes sick',
  begin(world) {
    const instance = pick(
      world,
      world.instances.all.filter(({ running, healthy }) => running && healthy),
    );
    if (instance === undefined) return undefined;
    world.history.note(`FAULT: ${instance.service} at ${instance.address} becomes sick`);
    world.instances.change(instance, { healthy: false });
    return () => run(world, instance);
  },
};

/** An instance dies. */
export const instanceDies: Fault = {
  name: 'an instance dies',
  begin(world) {
    const instance = pick(
      world,
      world.instances.all.filter(({ running }) => running),
    );
    if (instance === undefined) return undefined;
    world.history.note(`FAULT: ${instance.service} at ${instance.address} dies`);
    world.instances.change(instance, { running: false });
    return () => run(world, instance);
  },
};

/** Makes an instance sick and well again and again. @returns what ends that, and leaves it well or as it is */
export function flap(world: World, instance: SimulatedInstance): () => void {
  let over = false;
  const turn = (): void => {
    if (over) return;
    if (instance.running) {
      world.history.note(`${instance.service} at ${instance.address} is ${instance.healthy ? 'sick' : 'well'}`);
      world.instances.change(instance, { healthy: !instance.healthy });
    }
    world.scheduler.at(300 + world.scheduler.random() ** 2 * 8_000, turn);
  };
  turn();
  return () => {
    over = true;
    // One that stays sick shows what comes late.
    if (world.scheduler.random() < 0.5) run(world, instance);
  };
}

/** An instance becomes sick and well again and again. */
export const instanceFlaps: Fault = {
  name: 'an instance flaps',
  begin(world) {
    const instance = pick(
      world,
      world.instances.all.filter(({ running }) => running),
    );
    if (instance === undefined) return undefined;
    world.history.note(`FAULT: ${instance.service} at ${instance.address} flaps`);
    return flap(world, instance);
  },
};

/** A host of instances dies. */
export const instanceHostDies: Fault = {
  name: 'a host of instances dies',
  begin(world) {
    const nerve = pick(world, aliveHosts(world));
    if (nerve === undefined || world.nerves.length < 3) return undefined;
    return die(world, nerve);
  },
};

/** Most hosts of instances die at once, as when a rack loses its power. */
export const instanceHostsDie: Fault = {
  name: 'most hosts of instances die',
  begin(world) {
    const alive = aliveHosts(world);
    const spared = pick(world, alive);
    if (alive.length < 3) return undefined;
    const ends = alive.filter((nerve) => nerve !== spared).map((nerve) => die(world, nerve));
    return () => {
      for (const end of ends) end();
    };
  },
};

function aliveHosts({ nerves, instances }: World): readonly NerveHost[] {
  return nerves.filter(({ name }) => !instances.dead.has(name));
}

/** @returns what boots the host again */
function die(world: World, nerve: NerveHost): () => void {
  world.history.note(`FAULT: the host ${nerve.name} dies`);
  world.instances.dead.add(nerve.name);
  nerve.kill();
  for (const instance of nerve.instances) world.instances.change(instance, { running: false });
  return () => {
    world.history.note(`the host ${nerve.name} boots`);
    world.instances.dead.delete(nerve.name);
    for (const instance of nerve.configured) run(world, instance);
    nerve.start();
  };
}

/** An instance goes, and one of another service comes to its address: in order, or after a crash of the whole host. */
export const addressReused: Fault = {
  name: 'an address is reused by another service',
  begin(world) {
    const { scheduler, instances, history } = world;
    const nerve = pick(
      world,
      world.nerves.filter(({ name, instances: { length }, configured }) => {
        return length > configured.size && !instances.dead.has(name);
      }),
    );
    if (nerve === undefined) return undefined;
    const swap = (isCrash: boolean): void => {
      const before = [...nerve.configured];
      const after = nerve.instances.filter((instance) => !nerve.configured.has(instance));
      const [old, next] = [before[0]?.service, after[0]?.service];
      history.note(`FAULT: the host ${nerve.name} serves ${next} instead of ${old}${isCrash ? ', after a crash' : ''}`);
      nerve.configured.clear();
      for (const instance of after) nerve.configured.add(instance);
      if (isCrash) nerve.kill();
      else nerve.reload();
      // In order, an instance ends after it was withdrawn.
      const endsMs = isCrash ? 0 : 2_000;
      for (const instance of before) {
        scheduler.at(endsMs, () => {
          if (!nerve.configured.has(instance)) instances.change(instance, { running: false });
        });
      }
      scheduler.at(endsMs + 100 + scheduler.random() * 5_000, () => {
        for (const instance of after) if (nerve.configured.has(instance)) run(world, instance);
        if (!instances.dead.has(nerve.name)) nerve.start();
      });
    };
    swap(scheduler.random() < 0.5);
    return () => swap(scheduler.random() < 0.5);
  },
};
