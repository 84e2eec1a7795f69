import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { keyRange, prefixRange } from '../../../../common/etcd/client/key-value.ts';
import { type Listing, list, listAt } from '../../../../common/etcd/watch/list.ts';
import { compact, etcdVersions, put, remove } from '../../../support/etcd/etcd.ts';
import { withCluster } from '../../../support/etcd/with-cluster.ts';

for (const version of etcdVersions) {
  describe(`a list in etcd ${version}`, () => {
    const etcd = withCluster(version);
    let first = 0;
    before(async () => {
      await put(etcd.client, '/a/1', 'old');
      first = await put(etcd.client, '/a/2', 'old');
      await put(etcd.client, '/b/1', 'other');
      await put(etcd.client, '/a/1', 'new');
      await remove(etcd.client, '/a/2');
    });
    const values = ({ entries }: Listing) =>
      Object.fromEntries([...entries].map(([key, { value }]) => [key, value.toString()]));

    it('has the keys below a prefix', async () => {
      assert.deepEqual(values(await list(etcd.client, prefixRange('/a/'), etcd.signal)), { '/a/1': 'new' });
    });

    it('has one key alone', async () => {
      assert.deepEqual(values(await list(etcd.client, keyRange('/a/1'), etcd.signal)), { '/a/1': 'new' });
      assert.deepEqual(values(await list(etcd.client, keyRange('/a/2'), etcd.signal)), {});
    });

    it('has the keys as they were at a revision', async () => {
      const listing = await listAt(etcd.client, prefixRange('/a/'), first, etcd.signal);
      assert.equal(listing.revision, first);
      assert.deepEqual(values(listing), { '/a/1': 'old', '/a/2': 'old' });
    });

    it('fails at a revision that has been compacted', async () => {
      await compact(etcd.client);
      await assert.rejects(listAt(etcd.client, prefixRange('/a/'), first, etcd.signal), /compacted/);
    });
  });
}
