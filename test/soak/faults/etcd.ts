import { sleep } from '../../../common/async/sleep.ts';
import type { LocalMember } from '../../../etcd-cluster/members/member.ts';
import type { World } from '../world.ts';
import { between, type Fault, pick } from './fault.ts';

const anyMember = async ({ etcd }: World, random: () => number): Promise<LocalMember> => pick(etcd.members, random);
const leader = ({ etcd }: World): Promise<LocalMember> => etcd.leader();

const killed = (name: string, choose: typeof anyMember): Fault => ({
  name,
  async run(world, random, signal) {
    const member = await choose(world, random);
    const forMs = between(100, 6_000, random);
    await member.kill();
    await sleep(forMs, signal);
    await member.start();
    await world.etcd.ready();
    return `${member.name} for ${Math.round(forMs)} ms`;
  },
});

const frozen = (name: string, choose: typeof anyMember): Fault => ({
  name,
  async run(world, random, signal) {
    const member = await choose(world, random);
    const forMs = between(500, 9_000, random);
    member.freeze();
    await sleep(forMs, signal);
    member.thaw();
    await world.etcd.ready();
    return `${member.name} for ${Math.round(forMs)} ms`;
  },
});

const compacted: Fault = {
  name: 'etcd is compacted',
  async run({ direct, recorder }, _, signal) {
    const revision = recorder.revision;
    await direct
      .call((rpc) => rpc.kv.compact({ revision: String(revision), physical: true }), {}, signal)
      .catch(() => {});
    return `at ${revision}`;
  },
};

const full: Fault = {
  name: 'etcd is at its quota',
  async run({ direct }, random, signal) {
    const alarm = async (action: 'Activate' | 'Deactivate', limit?: AbortSignal): Promise<void> => {
      await direct.call(
        async (rpc) => {
          const { header } = await rpc.kv.range({ key: Buffer.from('/') });
          const memberID = header.member_id;
          if (action === 'Deactivate') {
            const { alarms } = await rpc.maintenance.alarm({
              action: 'Get' as never,
              memberID: '0',
              alarm: 'None' as never,
            });
            for (const one of alarms) {
              await rpc.maintenance.alarm({
                action: action as never,
                memberID: one.memberID,
                alarm: 'Nospace' as never,
              });
            }
          } else await rpc.maintenance.alarm({ action: action as never, memberID, alarm: 'Nospace' as never });
        },
        { totalMs: 60_000 },
        limit,
      );
    };
    const forMs = between(1_000, 8_000, random);
    await alarm('Activate', signal).catch(() => {});
    await sleep(forMs, signal);
    await alarm('Deactivate');
    // etcd 3.4.23 does not remember which writes it refused: a member that is killed before the next one, and reads its log
    // again, carries them out, and differs from the others ever since.
    await direct.call((rpc) => rpc.kv.put({ key: Buffer.from('/soak/quota'), value: Buffer.from('over') }), {
      totalMs: 60_000,
    });
    await sleep(1_000);
    return `for ${Math.round(forMs)} ms`;
  },
};

/** Faults of etcd itself. A majority of the members always works, or does again after an election. */
export const etcdFaults: readonly Fault[] = [
  killed('an etcd member is killed', anyMember),
  killed('the etcd leader is killed', leader),
  frozen('an etcd member freezes', anyMember),
  frozen('the etcd leader freezes', leader),
  compacted,
  compacted,
  full,
];
