import { type Fault, pick } from './fault.ts';

/** HAProxy is killed. */
export const haproxyKilled: Fault = {
  name: 'HAProxy is killed',
  begin(world) {
    const proxy = pick(
      world,
      world.proxies.filter(({ haproxy }) => haproxy.worker !== undefined),
    );
    if (proxy === undefined) return undefined;
    world.history.note(`FAULT: HAProxy on ${proxy.name} is killed`);
    proxy.haproxy.kill();
    return () => {
      const loaded = proxy.haproxy.start();
      world.history.note(`HAProxy on ${proxy.name} starts${loaded ? '' : ' and FAILS'}`);
    };
  },
};

/** HAProxy's worker freezes. */
export const workerFreezes: Fault = {
  name: "HAProxy's worker freezes",
  begin(world) {
    const proxy = pick(
      world,
      world.proxies.filter(({ haproxy }) => haproxy.worker !== undefined && !haproxy.worker.process.frozen),
    );
    const worker = proxy?.haproxy.worker;
    if (proxy === undefined || worker === undefined) return undefined;
    world.history.note(`FAULT: the worker ${worker.pid} on ${proxy.name} freezes`);
    worker.process.freeze();
    return () => {
      world.history.note(`the worker ${worker.pid} on ${proxy.name} thaws`);
      worker.process.thaw();
    };
  },
};

/** Another program reloads HAProxy. */
export const reloadByOther: Fault = {
  name: 'another program reloads HAProxy',
  begin(world) {
    const proxy = pick(world, world.proxies);
    if (proxy?.haproxy.worker === undefined) return undefined;
    world.history.note(`FAULT: another program reloads HAProxy on ${proxy.name}`);
    proxy.haproxy.reloadByOther();
    return () => {};
  },
};
