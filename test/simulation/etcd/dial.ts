import type { Dial } from '../../../common/etcd/client/connection.ts';
import type { Network } from '../engine/network.ts';
import type { Scheduler } from '../engine/scheduler.ts';
import type { SimulatedEtcd } from './cluster.ts';
import { type ClientPlace, SimulatedConnection } from './connection.ts';

/** Reaches the members of a simulated cluster from one place. */
export function simulatedDial(scheduler: Scheduler, network: Network, etcd: SimulatedEtcd, place: ClientPlace): Dial {
  return ({ url }) => {
    const member = etcd.members.find((one) => one.url === url);
    if (member === undefined) throw new Error(`there is no simulated etcd at ${url}`);
    return new SimulatedConnection(scheduler, network, etcd, member, place);
  };
}
