import { type Fault, pick } from './fault.ts';

/** An etcd member is killed. */
export const memberKilled: Fault = {
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
};

/** An etcd member freezes. */
export const memberFreezes: Fault = {
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
};

/** History is compacted. */
export const historyCompacted: Fault = {
  name: 'history is compacted',
  begin(world) {
    const leader = world.etcd.leader;
    const revision = world.etcd.store.revision;
    if (leader === undefined || revision <= world.etcd.store.compacted) return undefined;
    world.history.note(`FAULT: etcd is compacted at ${revision}`);
    world.etcd.compact(revision);
    return () => {};
  },
};

/** The database of etcd is at its quota. */
export const quotaReached: Fault = {
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
};
