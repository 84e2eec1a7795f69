import { proxyFolders } from '../proxy-host.ts';
import { type Fault, pick } from './fault.ts';

/** A synapse is killed. */
export const synapseKilled: Fault = {
  name: 'a synapse is killed',
  begin(world) {
    const proxy = pick(
      world,
      world.proxies.filter(({ running }) => running),
    );
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
      world.proxies.filter(({ running }) => running),
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
      world.proxies.filter(({ process }) => process?.alive && !process.frozen),
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

/** A file system of a proxy is full: the whole disk, or that of haproxy.cfg or of the state file. */
export const diskFull: Fault = {
  name: 'a file system of a proxy is full',
  begin(world) {
    const proxy = pick(world, world.proxies);
    const folder = pick(world, ['/', proxyFolders.config, proxyFolders.state]);
    if (proxy === undefined || folder === undefined || proxy.disk.isFull(folder)) return undefined;
    world.history.note(`FAULT: ${folder} of ${proxy.name} is full`);
    proxy.disk.fill(folder);
    return () => {
      world.history.note(`${folder} of ${proxy.name} has space again`);
      proxy.disk.clear(folder);
    };
  },
};
