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
