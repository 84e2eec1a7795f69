import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { prefixRange } from '../../../../common/etcd/client/key-value.ts';
import { list } from '../../../../common/etcd/watch/list.ts';
import { createReflector } from '../../../../common/etcd/watch/reflector.ts';
import { revisionOfSameKeys } from '../../../../common/etcd/watch/same-keys.ts';
import { etcdVersions, put, remove, testLog } from '../../../support/etcd/etcd.ts';
import { type ProxiedCluster, startProxiedCluster } from '../../../support/etcd/proxied-cluster.ts';
import { createRecorder } from '../../../support/etcd/watch-recorder.ts';
import { withCluster } from '../../../support/etcd/with-cluster.ts';
import { eventually } from '../../../support/eventually.ts';

for (const version of etcdVersions) {
  describe(`the proof of what a watch of etcd ${version} has shown`, () => {
    let stack: ProxiedCluster;
    const end = new AbortController();

    before(async () => {
      stack = await startProxiedCluster(version);
    });

    after(async () => {
      end.abort();
      await stack.close();
    });

    it('holds for prefixes in which nothing happened, and not while the cluster is out of reach', async () => {
      const { direct } = stack;
      const reflector = createReflector(stack.client(end.signal, 1), { log: testLog() }, end.signal);
      const [busy, idle] = [createRecorder(), createRecorder()];
      await put(direct, '/shown/idle/a', '1');
      void reflector.follow('/shown/busy/', busy.onChange, end.signal);
      void reflector.follow('/shown/idle/', idle.onChange, end.signal);
      await eventually(() => assert.notEqual(reflector.status.member, null));
      const revision = await put(direct, '/shown/busy/a', '2');
      await eventually(async () => assert.ok(await reflector.hasShown(revision, { limitMs: 2_000 })));
      assert.deepEqual(busy.values, { '/shown/busy/a': '2' });
      assert.equal(await reflector.hasShown(revision, { limitMs: 2_000, prefixes: new Set(['/shown/idle/']) }), true);
      assert.equal(await reflector.hasShown(revision, { limitMs: 2_000, prefixes: new Set(['/shown/no/']) }), false);
      assert.equal(await reflector.hasShown(revision + 1, { limitMs: 200 }), false, 'what has not happened yet');

      stack.proxies[0]?.blackhole();
      const later = await put(direct, '/shown/busy/a', '3');
      assert.equal(await reflector.hasShown(later, { limitMs: 300 }), false);
      assert.equal(await reflector.hasShown(revision, { limitMs: 300, prefixes: new Set(['/shown/busy/']) }), true);
      await stack.proxies[0]?.heal();
      await eventually(async () => assert.ok(await reflector.hasShown(later, { limitMs: 1_000 })));
      assert.deepEqual(busy.values, { '/shown/busy/a': '3' });
    });
  });

  describe(`a comparison of what is known with etcd ${version}`, () => {
    const etcd = withCluster(version);
    for (const [what, isSame, change] of [
      ['nothing changes', true, async () => {}],
      ['another prefix changes', true, (_: string, at: string) => put(etcd.client, `/other${at}x`, '1')],
      ['a key is put', false, (at: string) => put(etcd.client, `${at}c`, '1')],
      ['a key is put again', false, (at: string) => put(etcd.client, `${at}a`, '1')],
      ['a key is deleted', false, (at: string) => remove(etcd.client, `${at}a`)],
      [
        'a key is deleted and another one is put',
        false,
        async (at: string) => {
          await remove(etcd.client, `${at}a`);
          await put(etcd.client, `${at}d`, '1');
        },
      ],
      [
        'a key comes and goes',
        true,
        async (at: string) => {
          await put(etcd.client, `${at}d`, '1');
          await remove(etcd.client, `${at}d`);
        },
      ],
    ] as const) {
      it(`finds ${isSame ? 'no' : 'a'} difference when ${what}`, async () => {
        const { client, signal } = etcd;
        const prefix = `/compared/${what.replaceAll(' ', '-')}/`;
        const first = await put(client, `${prefix}a`, '1');
        await put(client, `${prefix}b`, '1');
        const { entries } = await list(client, prefixRange(prefix), signal);
        await change(prefix, prefix);
        const revision = await revisionOfSameKeys(client, prefixRange(prefix), () => entries, signal);
        if (isSame) assert.ok(revision !== undefined && revision > first, String(revision));
        else assert.equal(revision, undefined);
      });
    }
  });
}
