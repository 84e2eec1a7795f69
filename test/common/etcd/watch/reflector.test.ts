import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { sleep } from '../../../../common/async/sleep.ts';
import type { EtcdClient } from '../../../../common/etcd/client/client.ts';
import { createReflector, type Reflector } from '../../../../common/etcd/watch/reflector.ts';
import { compact, dump, etcdVersions, put, remove, testLog } from '../../../support/etcd/etcd.ts';
import { type ProxiedCluster, startProxiedCluster } from '../../../support/etcd/proxied-cluster.ts';
import { assertSound, createRecorder, type Recorder } from '../../../support/etcd/watch-recorder.ts';
import { eventually } from '../../../support/eventually.ts';
import { dataFrame, frameReader } from '../../../support/servers/http2-frames.ts';

for (const version of etcdVersions) {
  describe(`the reflector on etcd ${version}`, () => {
    let stack: ProxiedCluster;
    let cluster: ProxiedCluster['cluster'];
    let proxies: ProxiedCluster['proxies'];
    let writer: EtcdClient;
    let one = new AbortController();
    let cases = 0;

    before(async () => {
      stack = await startProxiedCluster(version);
      ({ cluster, proxies, direct: writer } = stack);
    });

    afterEach(async () => {
      one.abort();
      one = new AbortController();
      await stack.heal();
    });

    after(() => stack?.close());

    /** Follows a prefix of its own through the first `members` proxies. */
    const start = (members: number, prefix = `/test/${++cases}/`) => {
      const client = stack.client(one.signal, members);
      const reflector = createReflector(client, { log: testLog() }, one.signal);
      const recorder = createRecorder();
      const done = reflector.follow(prefix, recorder.onChange, one.signal);
      return { client, reflector, recorder, prefix, done };
    };

    const agrees = async (recorder: Recorder, prefix: string): Promise<void> => {
      await eventually(async () => assert.deepEqual(recorder.values, await dump(writer, prefix)));
      assertSound(recorder);
    };

    const watching = (reflector: Reflector): Promise<void> =>
      eventually(() => {
        assert.ok(reflector.status.synced);
        assert.notEqual(reflector.status.member, null);
      });

    const putMany = async (prefix: string, count: number, from = 0): Promise<readonly string[]> => {
      const values = Array.from({ length: count }, (_, index) => `v${from + index}`);
      for (let at = 0; at < count; at += 100) {
        const some = values.slice(at, at + 100);
        // Each put has a revision of its own, so that a catch-up takes several batches of 1,000 revisions.
        await Promise.all(some.map((value) => put(writer, prefix + value, value)));
      }
      return values;
    };

    it('passes on all keys, then every change in order, until its signal aborts', async () => {
      const prefix = '/test/first/';
      await put(writer, `${prefix}a`, '1');
      await put(writer, '/test/firs', 'outside');
      await put(writer, '/test/first0', 'outside');
      const { recorder, reflector, done } = start(3, prefix);
      await watching(reflector);
      await put(writer, `${prefix}a`, '2');
      await put(writer, `${prefix}b`, '3');
      await remove(writer, `${prefix}a`);
      await eventually(() => assert.deepEqual(recorder.deletes, [`${prefix}a`]));
      assert.deepEqual(recorder.puts, ['1', '2', '3']);
      assert.equal(recorder.changes[0]?.reason, 'list');
      await agrees(recorder, prefix);
      one.abort();
      await done;
      await put(writer, `${prefix}c`, '4');
      assert.equal(recorder.values[`${prefix}c`], undefined);
    });

    it('passes on an empty prefix once, as an empty set', async () => {
      const { recorder } = start(3);
      await eventually(() => assert.equal(recorder.changes.length, 1));
      assert.deepEqual(recorder.changes[0]?.changed, []);
    });

    for (const [name, frames] of [
      ['right after the member confirmed the watch', 1],
      ['after the first batch of a catch-up', 2],
      ['after the second batch of a catch-up', 3],
    ] as const) {
      it(`misses nothing when the connection is cut ${name}`, async () => {
        const { recorder, reflector, prefix } = start(1);
        await watching(reflector);
        const proxy = proxies[0] as ProxiedCluster['proxies'][number];
        await proxy.refuse();
        const values = await putMany(prefix, 2_500);
        let cuts = 0;
        const readers = new WeakMap<object, (chunk: Buffer) => void>();
        proxy.onServerData = (chunk, connection) => {
          if (cuts >= 3) return;
          let reader = readers.get(connection);
          if (reader === undefined) {
            let seen = 0;
            reader = frameReader((type, length) => {
              if (type !== dataFrame || length < 10 || ++seen !== frames) return;
              cuts += 1;
              // The frames that were read so far still reach the client.
              setTimeout(() => connection.cut(), 5);
            });
            readers.set(connection, reader);
          }
          reader(chunk);
        };
        await proxy.heal();
        await eventually(() => assert.equal(recorder.puts.length, values.length));
        assert.ok(cuts >= 2, `${cuts} cuts`);
        assert.deepEqual(new Set(recorder.puts), new Set(values));
        await agrees(recorder, prefix);
      });
    }

    it('receives a catch-up of 10 MB', async () => {
      const { recorder, reflector, prefix } = start(1);
      await watching(reflector);
      await proxies[0]?.refuse();
      const value = Buffer.alloc(100_000, 'x');
      for (let index = 0; index < 100; index += 1) await put(writer, `${prefix}${index}`, value);
      await proxies[0]?.heal();
      await eventually(() => assert.equal(Object.keys(recorder.values).length, 100));
      assert.equal(recorder.changes.filter((change) => change.reason === 'relist').length, 0);
      await agrees(recorder, prefix);
    });

    it('lists again and passes on the difference when history was compacted while it was cut off', async () => {
      const { recorder, reflector, prefix } = start(1);
      await watching(reflector);
      for (const key of ['stays', 'changes', 'goes']) await put(writer, prefix + key, '1');
      await eventually(() => assert.equal(recorder.puts.length, 3));
      await proxies[0]?.refuse();
      await put(writer, `${prefix}changes`, '2');
      await put(writer, `${prefix}changes`, '3');
      await put(writer, `${prefix}comes`, '1');
      await remove(writer, `${prefix}goes`);
      await compact(writer);
      await proxies[0]?.heal();
      await eventually(() => assert.equal(recorder.changes.at(-1)?.reason, 'relist'));
      const changed = recorder.changes.at(-1)?.changed.map(({ key, entry }) => [key, entry?.value.toString()]);
      assert.deepEqual(changed?.sort(), [
        [`${prefix}changes`, '3'],
        [`${prefix}comes`, '1'],
        [`${prefix}goes`, undefined],
      ]);
      await put(writer, `${prefix}after`, '1');
      await agrees(recorder, prefix);
    });

    it('lists again when exactly the revision of a delete that it missed was compacted', async () => {
      const { recorder, reflector, prefix } = start(1);
      await watching(reflector);
      await put(writer, `${prefix}goes`, '1');
      await eventually(() => assert.equal(recorder.puts.length, 1));
      await proxies[0]?.refuse();
      const revision = await remove(writer, `${prefix}goes`);
      await writer.call((rpc) => rpc.kv.compact({ revision, physical: true }));
      await proxies[0]?.heal();
      await eventually(() => assert.deepEqual(recorder.values, {}));
      assertSound(recorder);
    });

    it('follows 500 prefixes over one connection while prefixes come and go', async () => {
      const { reflector } = start(1, '/test/many/other/');
      const recorders = new Map<string, Recorder>();
      const follow = (name: string, signal: AbortSignal): void => {
        const recorder = createRecorder();
        recorders.set(name, recorder);
        void reflector.follow(`/test/many/${name}/`, recorder.onChange, signal);
      };
      for (let index = 0; index < 499; index += 1) follow(String(index), one.signal);
      const leaves = new AbortController();
      follow('leaves', leaves.signal);
      await watching(reflector);
      assert.equal(proxies[0]?.connections.size, 1);
      for (const name of recorders.keys()) await put(writer, `/test/many/${name}/key`, name);
      await eventually(() => {
        for (const [name, recorder] of recorders) assert.deepEqual(recorder.puts, [name]);
      });
      leaves.abort();
      follow('joins', one.signal);
      await put(writer, '/test/many/leaves/key', 'unheard');
      await put(writer, '/test/many/joins/key', 'joins');
      await put(writer, '/test/many/7/key', 'again');
      proxies[0]?.cut();
      await put(writer, '/test/many/8/key', 'again');
      await eventually(() => assert.deepEqual(recorders.get('joins')?.puts, ['joins']));
      await eventually(() => assert.deepEqual(recorders.get('7')?.puts, ['7', 'again']));
      await eventually(() => assert.deepEqual(recorders.get('8')?.puts, ['8', 'again']));
      assert.deepEqual(recorders.get('leaves')?.puts, ['leaves']);
      for (const recorder of recorders.values()) assertSound(recorder);
    });

    it('passes on all keys again to a handler that threw, and nothing to the others', async () => {
      const { reflector, recorder, prefix } = start(3);
      let calls = 0;
      const seen: string[] = [];
      void reflector.follow(
        prefix,
        ({ changed }) => {
          calls += 1;
          if (calls === 2) throw new Error('a bug of the handler');
          seen.push(...changed.map(({ key }) => key.slice(prefix.length)));
        },
        one.signal,
      );
      await watching(reflector);
      await eventually(() => assert.equal(calls, 1));
      for (const key of ['a', 'b', 'c']) await put(writer, prefix + key, key);
      await eventually(() => assert.deepEqual([...new Set(seen)].sort(), ['a', 'b', 'c']));
      await agrees(recorder, prefix);
    });

    /** Writes continually while `attack` runs. */
    const underWrites = async (prefix: string, attack: () => Promise<void>): Promise<readonly string[]> => {
      const values: string[] = [];
      let over = false;
      const writing = (async () => {
        for (let index = 0; !over; index += 1) {
          const value = `w${index}`;
          // A put that timed out may still happen: a repeated put does no harm, and a new key each time shows any loss.
          await put(writer, prefix + value, value);
          values.push(value);
          await sleep(5);
        }
      })();
      try {
        await attack();
      } finally {
        over = true;
        await writing;
      }
      return values;
    };

    const memberOf = (reflector: Reflector) => {
      const index = proxies.findIndex(({ port }) => reflector.status.member?.endsWith(`:${port}`));
      const member = cluster.members[index];
      assert.ok(member, `no member behind ${reflector.status.member}`);
      return member;
    };

    it('misses nothing when the leader is killed', async () => {
      const { recorder, reflector, prefix } = start(3);
      await watching(reflector);
      const values = await underWrites(prefix, async () => {
        const leader = await cluster.leader();
        await sleep(200);
        await leader.kill();
        await sleep(3_000);
        await leader.start();
      });
      await eventually(() => assert.deepEqual(new Set(recorder.puts), new Set(values)));
      await agrees(recorder, prefix);
    });

    it('moves its watch away from a frozen member and misses nothing', async () => {
      const { recorder, reflector, prefix } = start(3);
      await watching(reflector);
      await put(writer, `${prefix}before`, '1');
      await eventually(() => assert.deepEqual(recorder.puts, ['1']));
      const frozen = memberOf(reflector);
      frozen.freeze();
      await put(writer, `${prefix}meanwhile`, '2');
      await eventually(() => assert.deepEqual(recorder.puts, ['1', '2']));
      await eventually(() => {
        assert.notEqual(reflector.status.member, null);
        assert.notEqual(memberOf(reflector).name, frozen.name);
      });
      assert.equal(frozen.status, 'frozen');
      frozen.thaw();
      await put(writer, `${prefix}after`, '3');
      // The writer may have tried the frozen member first: that member then carries the put out too when it thaws.
      await eventually(() => assert.deepEqual([...new Set(recorder.puts)], ['1', '2', '3']));
      await agrees(recorder, prefix);
    });

    it('reports a member that is cut off from the cluster but answers', async () => {
      const { recorder, reflector, prefix } = start(3);
      await watching(reflector);
      const isolated = memberOf(reflector);
      const others = cluster.members.filter((member) => member !== isolated);
      // Without the others it has no leader, and learns nothing.
      for (const member of others) await member.kill();
      await eventually(() => assert.notEqual(reflector.status.reason, null));
      assert.deepEqual(recorder.deletes, []);
      for (const member of others) await member.start();
      await cluster.ready();
      await put(writer, `${prefix}after`, '1');
      await eventually(() => assert.deepEqual(recorder.puts, ['1']));
      await agrees(recorder, prefix);
    });

    it('keeps what it knows while the whole cluster is away, and continues when it is back', async () => {
      const { recorder, reflector, prefix } = start(3);
      await put(writer, `${prefix}before`, '1');
      await watching(reflector);
      await eventually(() => assert.equal(recorder.values[`${prefix}before`], '1'));
      await cluster.restartAll();
      assert.equal(recorder.values[`${prefix}before`], '1');
      await put(writer, `${prefix}after`, '2');
      await eventually(() => assert.deepEqual(recorder.puts, ['1', '2']));
      assert.deepEqual(recorder.deletes, []);
      await agrees(recorder, prefix);
    });

    it('lists everything again when another cluster runs at the same addresses', async () => {
      const { recorder, reflector, prefix } = start(3);
      for (let index = 0; index < 20; index += 1) await put(writer, `${prefix}old${index}`, 'x');
      await watching(reflector);
      await eventually(() => assert.equal(Object.keys(recorder.values).length, 20));
      await cluster.recreate();
      await put(writer, `${prefix}new`, 'y');
      await eventually(() => assert.deepEqual(recorder.values, { [`${prefix}new`]: 'y' }));
      await put(writer, `${prefix}newer`, 'z');
      await agrees(recorder, prefix);
      await eventually(() => assert.ok(Number(reflector.status.revision) < 20, reflector.status.revision));
    });
  });
}
