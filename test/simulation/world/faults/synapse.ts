import { type Fault, pick } from './fault.ts';

/** A synapse is killed. */
export const synapseKilled: Fault = {
  name: 'a synapse is killed',
  begin(world) {
    const proxy = pick(
      world,
      world.proxies.filter(({ running, disk }) => running && !disk.wasFullWithin(10_000)),
    );
    // After a full disk, its files are older than what HAProxy has; a reload or a restart then forgets the difference.
    if (proxy === undefined) return undefined;
    world.history.note(`FAULT: the synapse on ${proxy.name} is killed`);
    proxy.kill();
    return () => {
      world.history.note(`the synapse on ${proxy.name} starts`);
      proxy.start();
    };
  },
};

/** A synapse stops cleanly. */
export const synapseStops: Fault = {
  name: 'a synapse stops cleanly',
  begin(world) {
    const proxy = pick(
      world,
      // As for a synapse that is killed: see there.
      world.proxies.filter(({ running, disk }) => running && !disk.wasFullWithin(10_000)),
    );
    if (proxy === undefined) return undefined;
    world.history.note(`FAULT: the synapse on ${proxy.name} is told to stop`);
    proxy.stop();
    return () => {
      world.history.note(`the synapse on ${proxy.name} starts`);
      proxy.kill();
      proxy.start();
    };
  },
};

/** A synapse freezes. */
export const synapseFreezes: Fault = {
  name: 'a synapse freezes',
  begin(world) {
    const proxy = pick(
      world,
      // As for a synapse that is killed: see there.
      world.proxies.filter(({ process, disk }) => process?.alive && !process.frozen && !disk.wasFullWithin(10_000)),
    );
    const process = proxy?.process;
    if (proxy === undefined || process === undefined) return undefined;
    world.history.note(`FAULT: the synapse on ${proxy.name} freezes`);
    process.freeze();
    return () => {
      world.history.note(`the synapse on ${proxy.name} thaws`);
      process.thaw();
    };
  },
};

/** The disk of a proxy is full. */
export const diskFull: Fault = {
  name: 'the disk of a proxy is full',
  begin(world) {
    const proxy = pick(world, world.proxies);
    if (proxy === undefined || proxy.disk.full) return undefined;
    world.history.note(`FAULT: the disk of ${proxy.name} is full`);
    proxy.disk.full = true;
    return () => {
      world.history.note(`the disk of ${proxy.name} has space again`);
      proxy.disk.full = false;
    };
  },
};
