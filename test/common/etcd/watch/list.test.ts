import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { EtcdClient } from '../../../../common/etcd/client/client.ts';
import { keyRange, prefixRange } from '../../../../common/etcd/client/key-value.ts';
import { type Listing, list, listTogether } from '../../../../common/etcd/watch/list.ts';
import { compact, etcdVersions, put, remove } from '../../../support/etcd/etcd.ts';
import { withCluster } from '../../../support/etcd/with-cluster.ts';

for (const version of etcdVersions) {
  describe(`a list in etcd ${version}`, () => {
    const etcd = withCluster(version);
    before(async () => {
      await put(etcd.client, '/a/1', 'old');
      await put(etcd.client, '/a/2', 'old');
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

    it('has several ranges at one revision, also pages that come after a change', async () => {
      const many = 1_200;
      const keys = Array.from({ length: many }, (_, index) => `/many/${String(index).padStart(4, '0')}`);
      for (const key of keys) await put(etcd.client, key, 'old');
      const revision = await put(etcd.client, '/b/1', 'other');
      // Changes a key of the second page as soon as the first one was read.
      const counted = afterFirstCall(etcd.client, () => put(etcd.client, keys.at(-1) as string, 'new'));
      const ranges = [keyRange('/b/1'), prefixRange('/many/'), prefixRange('/none/')];
      const [one, all, none] = await listTogether(counted.client, ranges, etcd.signal);
      assert.deepEqual(values(one as Listing), { '/b/1': 'other' });
      assert.deepEqual(values(all as Listing), Object.fromEntries(keys.map((key) => [key, 'old'])));
      assert.equal(none?.entries.size, 0);
      assert.deepEqual([one?.revision, all?.revision, none?.revision], [revision, revision, revision]);
      assert.equal(counted.calls, 2);
    });

    it('has more ranges than a transaction may have operations, and begins again after a compaction', async () => {
      const keys = Array.from({ length: 150 }, (_, index) => `/range/${index}`);
      for (const key of keys) await put(etcd.client, key, key);
      const { client } = afterFirstCall(etcd.client, async () => {
        await put(etcd.client, keys[0] as string, 'new');
        await compact(etcd.client);
      });
      const listings = await listTogether(client, keys.map(keyRange), etcd.signal);
      assert.deepEqual(
        Object.assign({}, ...listings.map(values)),
        Object.fromEntries(keys.map((key, index) => [key, index === 0 ? 'new' : key])),
      );
      assert.equal(new Set(listings.map(({ revision }) => revision)).size, 1);
    });
  });
}

/** A client that has something done as soon as its first call was answered, and counts its calls. */
function afterFirstCall(etcd: EtcdClient, act: () => Promise<unknown>): { readonly client: EtcdClient; calls: number } {
  const client: EtcdClient = {
    ...etcd,
    async call(run, options, signal) {
      const answer = await etcd.call(run, options, signal);
      counted.calls += 1;
      if (counted.calls === 1) await act();
      return answer;
    },
  };
  const counted = { client, calls: 0 };
  return counted;
}
