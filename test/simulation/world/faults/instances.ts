import { type Fault, pick } from './fault.ts';

/** An instance becomes sick. */
export const instanceSick: Fault = {
  name: 'an instance becomes sick',
  begin(world) {
    const instance = pick(
      world,
      [...world.instances.all.values()].filter(({ running, healthy }) => running && healthy),
    );
    if (instance === undefined) return undefined;
    world.history.note(`FAULT: ${instance.service} at ${instance.address} becomes sick`);
    world.instances.change(instance, { healthy: false });
    return () => {
      world.history.note(`${instance.service} at ${instance.address} is well`);
      world.instances.change(instance, { healthy: true });
    };
  },
};

/** An instance dies. */
export const instanceDies: Fault = {
  name: 'an instance dies',
  begin(world) {
    const instance = pick(
      world,
      [...world.instances.all.values()].filter(({ running }) => running),
    );
    if (instance === undefined) return undefined;
    world.history.note(`FAULT: ${instance.service} at ${instance.address} dies`);
    world.instances.change(instance, { running: false });
    return () => {
      world.history.note(`${instance.service} at ${instance.address} runs`);
      world.instances.change(instance, { running: true });
    };
  },
};

/** A host of instances dies. */
export const instanceHostDies: Fault = {
  name: 'a host of instances dies',
  begin(world) {
    const nerve = pick(
      world,
      world.nerves.filter(({ name }) => !world.instances.dead.has(name)),
    );
    if (nerve === undefined || world.nerves.length < 3) return undefined;
    world.history.note(`FAULT: the host ${nerve.name} dies`);
    world.instances.dead.add(nerve.name);
    nerve.kill();
    for (const instance of nerve.instances) world.instances.change(instance, { running: false });
    return () => {
      world.history.note(`the host ${nerve.name} boots`);
      world.instances.dead.delete(nerve.name);
      for (const instance of nerve.instances) world.instances.change(instance, { running: true, healthy: true });
      nerve.start();
    };
  },
};
