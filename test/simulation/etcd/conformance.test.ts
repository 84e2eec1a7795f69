import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { grpcDial } from '../../../common/etcd/client/grpc-connection.ts';
import { parseHosts } from '../../../common/etcd/client/options.ts';
import type { LocalCluster } from '../../../etcd-cluster/members/local-cluster.ts';
import { etcdVersions, testCluster } from '../../support/etcd/etcd.ts';
import { until } from '../../support/until.ts';
import { Network } from '../engine/network.ts';
import { Scheduler } from '../engine/scheduler.ts';
import { SimulatedEtcd } from './cluster.ts';
import { SimulatedConnection } from './connection.ts';
import { etcd34, etcd35 } from './member.ts';
import { EtcdObserver, type EtcdTarget } from './observer.ts';
import {
  observeFrozenMember,
  observeKeys,
  observeLeases,
  observeQuota,
  observeUsers,
  observeWatchers,
} from './script.ts';

type Script = (etcd: EtcdObserver) => Promise<void>;

/** In this order, on one cluster: authentication stays on. */
const scripts: readonly (readonly [what: string, script: Script])[] = [
  ['keys', observeKeys],
  ['leases', observeLeases],
  ['watchers', observeWatchers],
  ['a frozen member', observeFrozenMember],
  ['its quota', observeQuota],
  ['users', observeUsers],
];

async function observe(target: EtcdTarget, script: Script): Promise<readonly string[]> {
  const observer = await EtcdObserver.create(target);
  await script(observer);
  return observer.seen;
}

/** Makes a simulated cluster, and runs scripts against it in virtual time. */
function simulate(behaviour: typeof etcd34): (script: Script) => Promise<readonly string[]> {
  const scheduler = new Scheduler(1);
  const network = new Network(scheduler);
  const etcd = new SimulatedEtcd(scheduler, network, { hosts: ['etcd-1', 'etcd-2', 'etcd-3'], behaviour });
  const [member] = etcd.members;
  assert.ok(member);
  const client = { host: 'client', process: scheduler.process('client') };
  const connection = new SimulatedConnection(scheduler, network, etcd, member, client);
  const target: EtcdTarget = {
    rpc: (token) => connection.rpc({ timeoutMs: 5_000, token }),
    freeze: () => etcd.freeze(member),
    thaw: () => etcd.thaw(member),
  };
  return async (script) => {
    const observed: { seen?: readonly string[]; error?: unknown } = {};
    scheduler.at(1_000, () => {
      observe(target, script).then(
        (seen) => {
          observed.seen = seen;
        },
        (error) => {
          observed.error = error;
        },
      );
    });
    for (let seconds = 0; seconds < 60 && observed.seen === undefined && observed.error === undefined; seconds += 1) {
      await scheduler.run(scheduler.now() + 1_000);
    }
    if (observed.error !== undefined) throw observed.error;
    assert.ok(observed.seen, 'the script did not come to its end');
    return observed.seen;
  };
}

describe('the simulated etcd', () => {
  for (const version of etcdVersions) {
    describe(`beside etcd ${version}`, () => {
      let cluster: LocalCluster;
      let real: EtcdTarget;
      let close: () => void = () => {};
      const observeSimulated = simulate(version === '3.4' ? etcd34 : etcd35);

      before(async () => {
        cluster = await testCluster(version, { size: 1, flags: ['--bcrypt-cost=4'] });
        const [host] = parseHosts(cluster.urls);
        assert.ok(host);
        const connection = grpcDial(undefined)(host);
        close = () => connection.close();
        const [member] = cluster.members;
        real = {
          rpc: (token) => connection.rpc({ timeoutMs: 5_000, token }),
          freeze: () => member?.freeze(),
          thaw: () => member?.thaw(),
        };
        await until(() => real.rpc().maintenance.status({}));
      });
      after(async () => {
        close();
        await cluster.stopAll();
      });

      for (const [what, script] of scripts) {
        it(`gives the same answers about ${what}`, async () => {
          const answers = await observe(real, script);
          assert.deepEqual(await observeSimulated(script), answers);
        });
      }
    });
  }
});
