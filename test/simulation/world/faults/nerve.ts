import { type Fault, pick } from './fault.ts';

/** A nerve is killed. */
export const nerveKilled: Fault = {
  name: 'a nerve is killed',
  begin(world) {
    const nerve = pick(
      world,
      world.nerves.filter(({ running }) => running),
    );
    if (nerve === undefined) return undefined;
    world.history.note(`FAULT: the nerve on ${nerve.name} is killed`);
    nerve.kill();
    return () => {
      world.history.note(`the nerve on ${nerve.name} starts`);
      nerve.start();
    };
  },
};

/** A nerve stops cleanly. */
export const nerveStops: Fault = {
  name: 'a nerve stops cleanly',
  begin(world) {
    const nerve = pick(
      world,
      world.nerves.filter(({ running }) => running),
    );
    if (nerve === undefined) return undefined;
    world.history.note(`FAULT: the nerve on ${nerve.name} is told to stop`);
    nerve.stop();
    return () => {
      world.history.note(`the nerve on ${nerve.name} starts`);
      nerve.kill();
      nerve.start();
    };
  },
};

/** A nerve freezes. */
export const nerveFreezes: Fault = {
  name: 'a nerve freezes',
  begin(world) {
    const nerve = pick(
      world,
      world.nerves.filter(({ process }) => process?.alive && !process.frozen),
    );
    const process = nerve?.process;
    if (nerve === undefined || process === undefined) return undefined;
    world.history.note(`FAULT: the nerve on ${nerve.name} freezes`);
    process.freeze();
    return () => {
      world.history.note(`the nerve on ${nerve.name} thaws`);
      process.thaw();
    };
  },
};

/** A nerve is moved to another host, and runs there while the old one still runs, hangs, or is cut off from etcd. */
export const nerveMoves: Fault = {
  name: 'a nerve is moved while the old one still runs',
  begin(world) {
    const { etcd, history, network, scheduler } = world;
    const nerve = pick(
      world,
      world.nerves.filter(({ process, stopping }) => process?.alive && !process.frozen && !stopping),
    );
    const twin = nerve && world.twins.get(nerve);
    const process = nerve?.process;
    const how = pick(world, ['runs', 'is frozen', 'is cut off from etcd'] as const);
    if (nerve === undefined || process === undefined || twin === undefined || twin.running) return undefined;
    history.note(`FAULT: ${nerve.name} is moved, while the old one ${how ?? ''}`);
    if (how === 'is frozen') process.freeze();
    if (how === 'is cut off from etcd') for (const { host } of etcd.members) network.cut(nerve.name, host);
    twin.configured.clear();
    for (const instance of nerve.configured) twin.configured.add(instance);
    scheduler.at(200 + scheduler.random() * 3_000, () => twin.start());
    return () => {
      history.note(`${nerve.name} is moved back`);
      if (how === 'is frozen') process.thaw();
      if (how === 'is cut off from etcd') for (const { host } of etcd.members) network.heal(nerve.name, host);
      if (scheduler.random() < 0.7) twin.stop();
      else twin.kill();
      // One that is told to stop while it starts goes on.
      scheduler.at(6_000, () => twin.kill());
    };
  },
};
