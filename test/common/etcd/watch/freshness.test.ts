import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { prefixRange } from '../../../../common/etcd/client/key-value.ts';
import { ClusterIdentity } from '../../../../common/etcd/watch/cluster-identity.ts';
import { findReset } from '../../../../common/etcd/watch/freshness.ts';
import { list } from '../../../../common/etcd/watch/list.ts';
import { PrefixState } from '../../../../common/etcd/watch/prefix-state.ts';
import { etcdVersions } from '../../../support/etcd/etcd.ts';
import { withCluster } from '../../../support/etcd/with-cluster.ts';

/** Keys that differ in bytes that are not UTF-8, in the order in which they are written. */
const cases: readonly { readonly title: string; readonly names: readonly (readonly number[])[] }[] = [
  {
    title: 'the character that stands for such bytes, and then one of them',
    names: [[0xef, 0xbf, 0xbd], [0xff]],
  },
  { title: 'two of them, the smaller one last', names: [[0xff], [0xfe]] },
  { title: 'half a character and a whole one', names: [[0xc3, 0xbf], [0xff], [0xc3]] },
];

for (const version of etcdVersions) {
  describe(`keys of etcd ${version} that are not UTF-8`, () => {
    const etcd = withCluster(version);
    for (const [index, { title, names }] of cases.entries()) {
      it(`stay apart, and do not look like another history: ${title}`, async () => {
        const { client, signal } = etcd;
        const prefix = `/keys/${index}/`;
        for (const [at, bytes] of names.entries()) {
          const key = Buffer.concat([Buffer.from(prefix), Buffer.from(bytes)]);
          await client.call((rpc) => rpc.kv.put({ key, value: Buffer.from(`${at}`) }));
        }
        const values: string[] = [];
        const state = new PrefixState(prefix, ({ entries }) => {
          values.push(...[...entries.values()].map(({ value }) => value.toString()));
        });
        const listing = await list(client, prefixRange(prefix), signal);
        state.applyList(listing, state.beginList(), { reset: false, seenAt: 0 });
        assert.deepEqual(values.sort(), ['0', '1', '2'].slice(0, names.length));
        const cluster = new ClusterIdentity();
        const deps = { client, cluster, key: state.range.key, record: state.newest };
        assert.equal(await findReset(deps, signal), undefined);
      });
    }
  });
}
