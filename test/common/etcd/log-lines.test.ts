import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import { createEtcdClient, type EtcdClient } from '../../../common/etcd/client/client.ts';
import { EtcdError } from '../../../common/etcd/client/errors.ts';
import { createLeasedKeys } from '../../../common/etcd/keys/leased-keys.ts';
import { createReflector } from '../../../common/etcd/watch/reflector.ts';
import { enableAuth, permissionOn } from '../../support/etcd/auth.ts';
import { etcdVersions, withRpc } from '../../support/etcd/etcd.ts';
import { type ClusterFixture, withCluster } from '../../support/etcd/with-cluster.ts';
import { eventually, patienceMs } from '../../support/eventually.ts';
import { type LogLine, recordingLog } from '../../support/process/recording-log.ts';

/** Keys of one nerve, and prefixes of one synapse. */
const many = 100;
/** Calls that are made while the trouble lasts: several for each key. */
const tries = 1_000;
/** Lines that one trouble may cost each daemon, from its begin to its end: of the calls, the lease, the keys, the watch. */
const mostLines = 10;

interface Trouble {
  readonly title: string;
  readonly begin: (root: EtcdClient, refuse: (error: EtcdError | undefined) => void) => Promise<unknown>;
  readonly end: (root: EtcdClient, refuse: (error: EtcdError | undefined) => void) => Promise<unknown>;
}

const user = { name: 'nerve' };
const alarm = (root: EtcdClient, action: 'Activate' | 'Deactivate'): Promise<unknown> =>
  root.call(async (rpc) => {
    const { header } = await rpc.kv.range({ key: Buffer.from('x') });
    return rpc.maintenance.alarm({ action: action as never, memberID: header.member_id, alarm: 'Nospace' as never });
  });
const permission = permissionOn('/n/');

const troubles: readonly Trouble[] = [
  {
    title: 'its user is deleted',
    begin: (root) => root.call((rpc) => rpc.auth.userDelete(user)),
    end: async (root) => {
      await root.call((rpc) => rpc.auth.userAdd({ ...user, password: 'secret' }));
      await root.call((rpc) => rpc.auth.userGrantRole({ user: user.name, role: 'nerve' }));
    },
  },
  {
    title: 'its role is revoked',
    begin: (root) => root.call((rpc) => rpc.auth.userRevokeRole({ name: user.name, role: 'nerve' })),
    end: (root) => root.call((rpc) => rpc.auth.userGrantRole({ user: user.name, role: 'nerve' })),
  },
  {
    title: 'the permission of its role is revoked',
    begin: (root) =>
      root.call((rpc) => {
        const { key, range_end } = permission;
        return rpc.auth.roleRevokePermission({ role: 'nerve', key: key as never, range_end: range_end as never });
      }),
    end: (root) => root.call((rpc) => rpc.auth.roleGrantPermission({ name: 'nerve', perm: permission })),
  },
  {
    title: 'its password is changed',
    begin: (root) => root.call((rpc) => rpc.auth.userChangePassword({ ...user, password: 'other' })),
    end: (root) => root.call((rpc) => rpc.auth.userChangePassword({ ...user, password: 'secret' })),
  },
  {
    title: 'etcd is at its quota',
    begin: (root) => alarm(root, 'Activate'),
    end: (root) => alarm(root, 'Deactivate'),
  },
  {
    title: 'etcd has too many requests',
    begin: async (_, refuse) =>
      refuse(new EtcdError('member', status.RESOURCE_EXHAUSTED, 'etcdserver: too many requests')),
    end: async (_, refuse) => refuse(undefined),
  },
];

for (const version of etcdVersions) {
  describe(`the log of a daemon with ${many} keys on etcd ${version}`, () => {
    const fixture: ClusterFixture = withCluster(version, { flags: ['--bcrypt-cost=4'] });
    let root: EtcdClient;
    let end = new AbortController();

    before(async () => {
      await enableAuth(fixture.cluster, '/n/');
      root = createEtcdClient(
        { hosts: fixture.cluster.urls, username: 'root', password: 'root-secret' },
        { log: recordingLog().log },
        fixture.signal,
      );
    });
    afterEach(() => {
      end.abort();
      end = new AbortController();
    });
    after(() => end.abort());

    /** A client whose calls are counted, and refused while `refused.by` is set. */
    const counted = (lines: ReturnType<typeof recordingLog>) => {
      const state: { calls: number; refusal: EtcdError | undefined } = { calls: 0, refusal: undefined };
      const options = { hosts: fixture.cluster.urls, username: user.name, password: 'secret' };
      const real = createEtcdClient(options, { log: lines.log }, end.signal);
      const client = withRpc(real, (rpc) => {
        state.calls += 1;
        if (state.refusal !== undefined) throw state.refusal;
        return rpc;
      });
      const countingCalls: EtcdClient = {
        ...client,
        hosts: client.hosts,
        get status() {
          return client.status;
        },
        call: (run, callOptions, signal) => {
          state.calls += 1;
          return client.call(run, callOptions, signal);
        },
      };
      return { state, client: countingCalls };
    };

    const settled = (lines: readonly LogLine[]): string =>
      `${lines.length} lines:\n${lines
        .slice(0, 40)
        .map(({ level, message, fields }) => `${level} ${message} ${JSON.stringify(fields)}`)
        .join('\n')}`;

    for (const { title, begin, end: over } of troubles) {
      it(`has a few lines when ${title}`, async () => {
        const [nerve, synapse] = [recordingLog(), recordingLog()];
        const [writer, reader] = [counted(nerve), counted(synapse)];
        const refuse = (error: EtcdError | undefined): void => {
          writer.state.refusal = error;
          reader.state.refusal = error;
        };
        const keys = createLeasedKeys(writer.client, { ttlSeconds: 3 }, { log: nerve.log }, end.signal);
        const reflector = createReflector(reader.client, { log: synapse.log }, end.signal);
        const names = Array.from({ length: many }, (_, index) => `/n/${index}/`);
        for (const name of names) {
          keys.set(`${name}a`, 'before');
          void reflector.follow(name, () => {}, end.signal);
        }
        await keys.settled(AbortSignal.timeout(patienceMs));
        await eventually(() => assert.ok(reflector.status.synced));
        const [before, earlier] = [nerve.lines.length, synapse.lines.length];
        await begin(root, refuse);
        const first = writer.state.calls;
        for (const name of names) keys.set(`${name}a`, 'after');
        await eventually(() => assert.ok(writer.state.calls > first + tries, `${writer.state.calls - first} calls`));
        await over(root, refuse);
        await keys.settled(AbortSignal.timeout(patienceMs));
        await eventually(() => assert.deepEqual(reflector.status.denied, {}));
        const [mine, its] = [nerve.lines.slice(before), synapse.lines.slice(earlier)];
        if (process.env.TEST_LOG) console.log(`nerve ${settled(mine)}\nsynapse ${settled(its)}`);
        assert.ok(mine.length > 0 && mine.length <= mostLines, settled(mine));
        assert.ok(its.length <= mostLines, settled(its));
      });
    }
  });
}
