import type { SimulatedInstance } from '../instances.ts';
import type { World } from '../world.ts';
import { type Fault, pick } from './fault.ts';
import { flap } from './instances.ts';

/** Picks an instance that runs; often one that is sick, and may not have been announced for long. */
function pickInstance(world: World): SimulatedInstance | undefined {
  const running = world.instances.all.filter((instance) => instance.running && world.nerveOf(instance).running);
  const sick = running.filter(({ healthy }) => !healthy);
  return pick(world, sick.length > 0 && world.scheduler.random() < 0.5 ? sick : running);
}

/** A member hangs while an instance flaps: requests that it got are carried out late, or not at all. */
export const memberHangsUnderChanges: Fault = {
  name: 'an etcd member hangs while an instance flaps',
  begin(world) {
    const { etcd, history } = world;
    const instance = pickInstance(world);
    const used = instance && world.nerveOf(instance).member;
    const able = etcd.members.filter(({ running, process }) => running && !process.frozen);
    const member = able.find(({ url }) => url === used) ?? pick(world, able);
    if (member === undefined || instance === undefined) return undefined;
    history.note(`FAULT: ${member.host} hangs while ${instance.service} at ${instance.address} flaps`);
    etcd.freeze(member);
    const calm = flap(world, instance);
    return () => {
      history.note(`${member.host} thaws`);
      etcd.thaw(member);
      calm();
    };
  },
};

/**
 * A member hangs while an instance that has no key is well for a moment: its nerve creates the key, hears no answer, and
 * does not want the key any more when it reads that there is none. The create may still be carried out.
 */
export const memberHangsUnderCreate: Fault = {
  name: 'an etcd member hangs while an instance without a key is well for a moment',
  begin(world) {
    const { etcd, history, instances, scheduler } = world;
    const { checkIntervalMs, rise } = world.settings.nerve;
    const instance = pick(
      world,
      instances.all.filter((one) => {
        const nerve = world.nerveOf(one);
        return !one.healthy && one.running && nerve.configured.has(one) && !etcd.store.get(nerve.keyOf(one));
      }),
    );
    const nerve = instance && world.nerveOf(instance);
    const member = etcd.members.find(({ url }) => url === nerve?.member);
    if (instance === undefined || member === undefined || !member.running || member.process.frozen) return undefined;
    let isOver = false;
    history.note(
      `FAULT: ${instance.service} at ${instance.address} is well for a moment, in which ${member.host} hangs`,
    );
    instances.change(instance, { healthy: true });
    scheduler.at(checkIntervalMs * (rise - 1), () => {
      if (!isOver) etcd.freeze(member);
    });
    scheduler.at(checkIntervalMs * rise + scheduler.random() * 500, () => {
      if (instance.running) instances.change(instance, { healthy: false });
    });
    return () => {
      isOver = true;
      if (!member.process.frozen) return;
      history.note(`${member.host} thaws`);
      etcd.thaw(member);
    };
  },
};

/** The network between a host and a member delays one direction, so that requests or answers come seconds late. */
export const slowUnderChanges: Fault = {
  name: 'requests to a member are late while an instance flaps',
  begin(world) {
    const { etcd, history, network, scheduler } = world;
    const instance = pickInstance(world);
    if (instance === undefined) return undefined;
    const nerve = world.nerveOf(instance);
    const member = etcd.members.find(({ url }) => url === nerve.member) ?? pick(world, etcd.members);
    if (member === undefined) return undefined;
    const delayMs = 1_000 + scheduler.random() ** 2 * 15_000;
    const [from, to] = scheduler.random() < 0.7 ? [nerve.name, member.host] : [member.host, nerve.name];
    history.note(`FAULT: ${from} to ${to} takes ${delayMs.toFixed(0)} ms, and ${instance.address} flaps`);
    network.delay(from, to, delayMs);
    const calm = flap(world, instance);
    return () => {
      history.note(`${from} to ${to} is as fast as ever`);
      network.delay(from, to, 0);
      calm();
    };
  },
};

/** A synapse ends and comes back while it cannot reach etcd: it has its files alone. */
export const synapseBackWithoutEtcd: Fault = {
  name: 'a synapse comes back while etcd is away',
  begin(world) {
    const { etcd, history, network, scheduler } = world;
    const proxy = pick(
      world,
      world.proxies.filter(({ running }) => running),
    );
    if (proxy === undefined) return undefined;
    history.note(`FAULT: ${proxy.name} is cut off from etcd, and its synapse is killed and starts again`);
    for (const { host } of etcd.members) network.cut(proxy.name, host);
    proxy.kill();
    scheduler.at(100 + scheduler.random() * 2_000, () => proxy.start());
    return () => {
      history.note(`${proxy.name} reaches etcd again`);
      for (const { host } of etcd.members) network.heal(proxy.name, host);
      proxy.start();
    };
  },
};
