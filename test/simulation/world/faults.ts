import type { World } from './world.ts';

/** One fault, and what ends it. */
interface Fault {
  readonly name: string;
  /** @returns what takes it back; undefined when there is nothing to do now */
  begin(world: World): (() => void) | undefined;
}

function pick<T>(world: World, from: readonly T[]): T | undefined {
  return from[Math.floor(world.scheduler.random() * from.length)];
}

const faults: readonly Fault[] = [
  {
    name: 'an etcd member is killed',
    begin(world) {
      const { etcd } = world;
      const running = etcd.members.filter((member) => member.running);
      const member = running.length < 2 ? undefined : pick(world, running);
      if (member === undefined) return undefined;
      world.history.note(`FAULT: ${member.host} is killed`);
      etcd.kill(member);
      return () => etcd.start(member);
    },
  },
  {
    name: 'an etcd member freezes',
    begin(world) {
      const { etcd } = world;
      const member = pick(
        world,
        etcd.members.filter(({ running, process }) => running && !process.frozen),
      );
      if (member === undefined) return undefined;
      world.history.note(`FAULT: ${member.host} freezes${member === etcd.leader ? ', the leader' : ''}`);
      etcd.freeze(member);
      return () => {
        world.history.note(`${member.host} thaws`);
        etcd.thaw(member);
      };
    },
  },
  {
    name: 'a host is cut off from etcd',
    begin(world) {
      const host = pick(world, world.hosts);
      if (host === undefined) return undefined;
      const members = world.etcd.members.map(({ host: name }) => name);
      const some = world.scheduler.random() < 0.5 ? members : members.slice(0, 1 + world.scheduler.random() * 2);
      const direction = pick(world, ['both', 'to', 'from'] as const);
      world.history.note(`FAULT: ${host} is cut off from ${some.join(' ')} (${direction})`);
      for (const member of some) {
        if (direction !== 'from') world.network.cut(host, member);
        if (direction !== 'to') world.network.cut(member, host);
      }
      return () => {
        world.history.note(`${host} reaches ${some.join(' ')} again`);
        for (const member of some) {
          world.network.heal(host, member);
          world.network.heal(member, host);
        }
      };
    },
  },
  {
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
  },
  {
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
  },
  {
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
  },
  {
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
  },
  {
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
  },
  {
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
  },
  {
    name: 'a proxy cannot reach a host of instances',
    begin(world) {
      const [proxy, nerve] = [pick(world, world.proxies), pick(world, world.nerves)];
      if (proxy === undefined || nerve === undefined) return undefined;
      world.history.note(`FAULT: ${proxy.name} cannot reach ${nerve.name}`);
      world.network.cut(proxy.name, nerve.name);
      return () => {
        world.history.note(`${proxy.name} reaches ${nerve.name} again`);
        world.network.heal(proxy.name, nerve.name);
      };
    },
  },
  {
    name: 'a synapse is killed',
    begin(world) {
      const proxy = pick(
        world,
        world.proxies.filter(({ running, disk }) => running && !disk.wasFullWithin(10_000)),
      );
      // A state file that could not be written for a while is older than what HAProxy has: see `full` of the disk.
      if (proxy === undefined) return undefined;
      world.history.note(`FAULT: the synapse on ${proxy.name} is killed`);
      proxy.kill();
      return () => {
        world.history.note(`the synapse on ${proxy.name} starts`);
        proxy.start();
      };
    },
  },
  {
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
  },
  {
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
  },
  {
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
  },
  {
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
  },
  {
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
  },
  {
    name: 'another program reloads HAProxy',
    begin(world) {
      const proxy = pick(world, world.proxies);
      if (proxy?.haproxy.worker === undefined) return undefined;
      world.history.note(`FAULT: another program reloads HAProxy on ${proxy.name}`);
      proxy.haproxy.reloadByOther();
      return () => {};
    },
  },
  {
    name: 'an operator deletes a key',
    begin(world) {
      const nerve = pick(world, world.nerves);
      const instance = nerve && pick(world, nerve.instances);
      const leader = world.etcd.leader;
      if (nerve === undefined || instance === undefined || leader === undefined) return undefined;
      const key = nerve.keyOf(instance);
      world.history.note(`FAULT: an operator deletes ${key}`);
      world.etcd.propose(
        leader,
        () => world.etcd.delete({ key, end: '' }),
        () => {},
        () => {},
      );
      return () => {};
    },
  },
  {
    name: 'history is compacted',
    begin(world) {
      const leader = world.etcd.leader;
      const revision = world.etcd.store.revision;
      if (leader === undefined || revision <= world.etcd.store.compacted) return undefined;
      world.history.note(`FAULT: etcd is compacted at ${revision}`);
      world.etcd.compact(revision);
      return () => {};
    },
  },
  {
    name: 'etcd is at its quota',
    begin(world) {
      if (world.etcd.outOfSpace) return undefined;
      world.history.note('FAULT: etcd is at its quota');
      world.etcd.outOfSpace = true;
      return () => {
        world.history.note('etcd has space again');
        world.etcd.outOfSpace = false;
      };
    },
  },
];

/** Makes faults at random times until `untilMs`; those that are under way then end at that time. */
export function injectFaults(world: World, untilMs: number): void {
  const { scheduler } = world;
  const underWay = new Set<() => void>();
  const next = (): void => {
    if (scheduler.now() >= untilMs) return;
    const fault = pick(world, faults);
    const undo = fault?.begin(world);
    if (undo !== undefined) {
      const end = (): void => {
        if (underWay.delete(end)) undo();
      };
      underWay.add(end);
      // Most faults are short, some last longer than every TTL.
      const lastsMs = 200 + scheduler.random() ** 3 * 40_000;
      scheduler.at(Math.min(lastsMs, untilMs - scheduler.now()), end);
    }
    scheduler.at(scheduler.random() ** 2 * 15_000, next);
  };
  scheduler.at(scheduler.random() * 5_000, next);
}
