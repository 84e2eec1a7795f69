import { type Fault, pick } from './fault.ts';

/** A host is cut off from etcd. */
export const hostCutOffFromEtcd: Fault = {
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
};

/** Most nerves are cut off from etcd at once, and one of their instances may become sick meanwhile. */
export const nervesCutOff: Fault = {
  name: 'most nerves are cut off from etcd',
  begin(world) {
    const { etcd, history, instances, network, scheduler } = world;
    const spared = scheduler.random() < 0.5 ? pick(world, world.nerves) : undefined;
    const cut = world.nerves.filter((nerve) => nerve !== spared).map(({ name }) => name);
    history.note(`FAULT: ${cut.join(' ')} are cut off from etcd`);
    for (const name of cut) for (const { host } of etcd.members) network.cut(name, host);
    const sick = scheduler.random() < 0.5 ? pick(world, instances.all) : undefined;
    scheduler.at(scheduler.random() * 10_000, () => {
      if (sick?.running && sick.healthy) instances.change(sick, { healthy: false });
    });
    return () => {
      history.note(`${cut.join(' ')} reach etcd again`);
      for (const name of cut) for (const { host } of etcd.members) network.heal(name, host);
      const staysSick = scheduler.random() < 0.5;
      scheduler.at(20_000, () => {
        if (sick?.running && !sick.healthy && !staysSick) instances.change(sick, { healthy: true });
      });
    };
  },
};

/** A proxy cannot reach a host of instances. */
export const proxyCannotReachHost: Fault = {
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
};

/** Members of etcd cannot reach each other. */
export const membersCutOff: Fault = {
  name: 'an etcd member is cut off from the others',
  begin(world) {
    const { etcd, network, history, scheduler } = world;
    const member = pick(world, etcd.members);
    if (member === undefined) return undefined;
    const others = etcd.members.filter((one) => one !== member);
    const some = scheduler.random() < 0.7 ? others : others.slice(0, 1);
    history.note(`FAULT: ${member.host} is cut off from ${some.map(({ host }) => host).join(' ')}`);
    for (const { host } of some) network.cut(host, member.host);
    return () => {
      history.note(`${member.host} reaches the other members again`);
      for (const { host } of some) network.heal(host, member.host);
    };
  },
};
