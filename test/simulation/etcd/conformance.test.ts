import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { sleep } from '../../../common/async/sleep.ts';
import type { EtcdClient } from '../../../common/etcd/client/client.ts';
import type { LocalCluster } from '../../../etcd-cluster/members/local-cluster.ts';
import { directClient, etcdVersions, testCluster } from '../../support/etcd/etcd.ts';
import { until } from '../../support/until.ts';
import { Network } from '../engine/network.ts';
import { Scheduler } from '../engine/scheduler.ts';
import { SimulatedEtcd } from './cluster.ts';
import { SimulatedConnection } from './connection.ts';
import { etcd34, etcd35 } from './member.ts';
import { type EtcdTarget, observeEtcd, type WatchResponse } from './script.ts';

interface Stream {
  on(event: 'data', listener: (response: never) => void): void;
  write(request: never): void;
  cancel(): void;
}

function watchOf(stream: Stream) {
  const responses: WatchResponse[] = [];
  stream.on('data', (response: never) => responses.push(response));
  return { responses, write: (request: object) => stream.write(request as never), cancel: () => stream.cancel() };
}

function keepAliveOf(stream: Stream) {
  const answers: ((ttl: number) => void)[] = [];
  stream.on('data', ({ TTL }: { TTL: string }) => answers.shift()?.(Number(TTL)));
  return {
    renew: (ID: string) =>
      new Promise<number>((resolve) => {
        answers.push(resolve);
        stream.write({ ID } as never);
      }),
  };
}

function realTarget(client: EtcdClient): EtcdTarget {
  return {
    call: (run) => client.call(run, { maxTries: 1 }),
    openWatch: async () => watchOf((await client.open((rpc) => rpc.watch.watch())).stream as unknown as Stream),
    openKeepAlive: async () =>
      keepAliveOf((await client.open((rpc) => rpc.lease.leaseKeepAlive())).stream as unknown as Stream),
    sleep,
  };
}

/** Runs the script against a simulated cluster, in virtual time. */
async function observeSimulated(behaviour: typeof etcd34): Promise<readonly string[]> {
  const scheduler = new Scheduler(1);
  const network = new Network(scheduler);
  const etcd = new SimulatedEtcd(scheduler, network, { hosts: ['etcd-1', 'etcd-2', 'etcd-3'], behaviour });
  const [member] = etcd.members;
  assert.ok(member);
  const client = { host: 'client', process: scheduler.process('client') };
  const connection = new SimulatedConnection(scheduler, network, etcd, member, client);
  const rpc = connection.rpc({ timeoutMs: 5_000 });
  const target: EtcdTarget = {
    call: (run) => run(rpc),
    openWatch: async () => watchOf((await rpc.watch.watch()) as unknown as Stream),
    openKeepAlive: async () => keepAliveOf((await rpc.lease.leaseKeepAlive()) as unknown as Stream),
    sleep,
  };
  let seen: readonly string[] | undefined;
  let failure: unknown;
  scheduler.at(1_000, () => {
    observeEtcd(target).then(
      (lines) => {
        seen = lines;
      },
      (error) => {
        failure = error;
      },
    );
  });
  for (let at = 1_000; seen === undefined && failure === undefined && at < 60_000; at += 1_000) await scheduler.run(at);
  if (failure !== undefined) throw failure;
  assert.ok(seen, 'the script did not come to its end');
  return seen;
}

describe('the simulated etcd', () => {
  for (const version of etcdVersions) {
    describe(`beside etcd ${version}`, () => {
      const end = new AbortController();
      let cluster: LocalCluster;

      before(async () => {
        cluster = await testCluster(version, { size: 1 });
      });
      after(async () => {
        end.abort();
        await cluster.stopAll();
      });

      it('gives the same answers to the same calls', async () => {
        const client = directClient(cluster, end.signal);
        await until(() => client.call((rpc) => rpc.maintenance.status({})));
        const real = await observeEtcd(realTarget(client));
        const simulated = await observeSimulated(version === '3.4' ? etcd34 : etcd35);
        assert.deepEqual(simulated, real);
      });
    });
  }
});
