import { status } from '@grpc/grpc-js';
import { readRecord, servicesRange } from '../monitors/announcements.ts';
import type { ProxyHost } from '../proxy-host.ts';
import type { World } from '../world.ts';
import { type Fault, pick } from './fault.ts';

/** How long an operator waits for an answer before the next try, milliseconds. */
const tryAgainMs = 1_000;

/** Has an operator, or another program, do something in etcd, at the member that answers; again and again until it is done. */
function doInEtcd(world: World, run: () => void): void {
  const { etcd, scheduler } = world;
  const member = etcd.members.find((one) => etcd.serves(one));
  let isOver = false;
  if (member !== undefined) {
    const once = (): void => {
      if (!isOver) run();
      isOver = true;
    };
    const refused = ({ details }: { readonly details: string }): void => {
      isOver = true;
      world.history.note(`etcd refuses what an operator does: ${details}`);
    };
    etcd.propose(
      member,
      { run: once },
      () => {},
      (error) => error.code !== status.UNAVAILABLE && refused(error),
    );
  }
  scheduler.at(tryAgainMs, () => {
    if (isOver) return;
    isOver = true;
    doInEtcd(world, run);
  });
}

/** Picks one key of a nerve, and remembers that it is not its nerve's alone. */
function pickKey(world: World): string | undefined {
  const nerve = pick(world, world.nerves);
  const instance = nerve && pick(world, [...nerve.configured]);
  return nerve === undefined || instance === undefined ? undefined : nerve.keyOf(instance);
}

function touch(world: World, key: string): void {
  world.touched.set(key, world.scheduler.now());
}

/** An operator deletes a key. */
export const keyDeleted: Fault = {
  name: 'an operator deletes a key',
  begin(world) {
    const key = pickKey(world);
    if (key === undefined) return undefined;
    doInEtcd(world, () => {
      touch(world, key);
      world.etcd.delete({ key, end: '' });
    });
    world.history.note(`FAULT: an operator deletes ${key}`);
    return () => {};
  },
};

/** An operator deletes all keys. */
export const allKeysDeleted: Fault = {
  name: 'an operator deletes all keys',
  begin(world) {
    doInEtcd(world, () => {
      for (const { key } of world.etcd.store.range(servicesRange)) touch(world, key);
      world.etcd.delete(servicesRange);
    });
    world.history.note('FAULT: an operator deletes all keys');
    return () => {};
  },
};

/** Another program writes a key of a nerve: nonsense, or a record, without a lease or under its own. */
export const keyOverwritten: Fault = {
  name: 'another program overwrites a key',
  begin(world) {
    const key = pickKey(world);
    // One program at a time: the end of the first one would look like the end of both.
    if (key === undefined || world.touched.get(key) === Number.POSITIVE_INFINITY) return undefined;
    const { etcd, scheduler, history } = world;
    const value = pick(world, ['nonsense', '{"host":"10.0.9.9","port":1,"name":"stranger"}', '']) ?? '';
    const lease = scheduler.random() < 0.5 ? '0' : String(1_000_000 + Math.floor(scheduler.random() * 1_000_000));
    let isOver = false;
    // Another program may hold the key under a lease by now.
    const touchOwn = (): void => {
      if (lease !== '0' || world.touched.get(key) !== Number.POSITIVE_INFINITY) touch(world, key);
    };
    const end = (): void => {
      isOver = true;
      touchOwn();
      doInEtcd(world, () => {
        touchOwn();
        if (lease !== '0' && etcd.leases.has(lease)) etcd.revoke(lease);
        // Its nerve may not want the key any more, and leaves alone what is not its own.
        else if (etcd.store.get(key)?.value.toString() === value) etcd.delete({ key, end: '' });
      });
    };
    doInEtcd(world, () => {
      if (isOver) return;
      // Its nerve waits until a lease that is not its own is over.
      world.touched.set(key, lease === '0' ? scheduler.now() : Number.POSITIVE_INFINITY);
      if (lease !== '0' && !etcd.leases.has(lease)) etcd.grant(lease, 3_600);
      etcd.put(key, Buffer.from(value), lease);
    });
    history.note(`FAULT: another program overwrites ${key}${lease === '0' ? '' : ' under a lease of its own'}`);
    return end;
  },
};

/** A server of a service that runs in HAProxy. */
function pickServer(world: World, closed: boolean) {
  const proxy = pick(
    world,
    world.proxies.filter(({ haproxy }) => haproxy.worker !== undefined && !haproxy.worker.process.frozen),
  );
  const service = pick(world, world.settings.services)?.name ?? '';
  const servers = proxy?.haproxy.worker?.serversOf(service) ?? [];
  const server = pick(
    world,
    servers.filter(({ inMaintenance }) => inMaintenance === closed),
  );
  return proxy === undefined || server === undefined ? undefined : { proxy, service, server };
}

/** How often in a row an operator sees a server out of maintenance until that counts: synapse reads HAProxy every 5 s. */
const looks = 8;

/** Takes a server out of maintenance, and looks again: HAProxy may be down, or be told what was set by hand by synapse. */
function bringBack(
  world: World,
  target: { readonly proxy: ProxyHost; readonly backend: string; readonly name: string; readonly address: string },
  seen = 0,
): void {
  const { proxy, backend, name, address } = target;
  const { worker } = proxy.haproxy;
  if (seen >= looks) {
    proxy.heldByHand.delete(address);
    return;
  }
  const server = worker?.backends.get(backend)?.servers.get(name);
  // One that synapse has closed has no weight, and stays closed; one that it had drained has none either.
  const isOwn = server !== undefined && (server.weight > 0 || isAnnounced(world, backend, name));
  const isClosed = isOwn && server.inMaintenance;
  const isAway = worker === undefined || worker.process.frozen || !proxy.running || proxy.process?.frozen;
  if (isClosed) proxy.haproxy.byHand('ready', { backend, name });
  world.scheduler.at(1_000, () => bringBack(world, target, isClosed || isAway ? 0 : seen + 1));
}

/** Its record says that it is up, or drains. */
function isAnnounced(world: World, service: string, id: string): boolean {
  const kv = world.etcd.store.get(`${servicesRange.key}${service}/${id}`);
  const state = kv && readRecord(kv)?.state;
  return state === 'up' || state === 'drain';
}

/** An operator puts a server into maintenance, and takes it back. */
export const serverInMaintenance: Fault = {
  name: 'an operator puts a server into maintenance',
  begin(world) {
    const picked = pickServer(world, false);
    if (picked === undefined) return undefined;
    const { proxy, service, server } = picked;
    const { address, name } = server;
    if (proxy.heldByHand.has(address)) return undefined;
    world.history.note(`FAULT: an operator puts ${service}/${name} on ${proxy.name} into maintenance`);
    proxy.heldByHand.add(address);
    proxy.haproxy.byHand('maint', { backend: service, name });
    return () => {
      world.history.note(`the operator brings ${service}/${name} on ${proxy.name} back`);
      bringBack(world, { proxy, backend: service, name, address });
    };
  },
};

/** Another program opens a server that synapse has closed. */
export const serverOpened: Fault = {
  name: 'another program opens a closed server',
  begin(world) {
    const picked = pickServer(world, true);
    if (picked === undefined || picked.proxy.heldByHand.has(picked.server.address)) return undefined;
    const { proxy, service, server } = picked;
    world.history.note(`FAULT: another program opens ${service}/${server.name} on ${proxy.name}`);
    proxy.haproxy.byHand('ready', { backend: service, name: server.name });
    return () => {};
  },
};

/** Another program takes back what synapse tells HAProxy. */
export const commandsUndone: Fault = {
  name: 'another program takes commands back',
  begin(world) {
    const proxy = pick(world, world.proxies);
    if (proxy === undefined) return undefined;
    const commands = 1 + Math.floor(world.scheduler.random() * 2);
    world.history.note(`FAULT: another program takes the next ${commands} commands on ${proxy.name} back`);
    proxy.haproxy.undoNext(commands);
    return () => proxy.haproxy.undoNext(0);
  },
};
