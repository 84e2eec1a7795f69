import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { sleep } from '../../common/async/sleep.ts';
import { silentLog } from '../../common/daemon/log.ts';
import { createEtcdClient, type EtcdClient } from '../../common/etcd/client/client.ts';
import { formatInstance, makeInstance } from '../../common/instance.ts';
import { readyServers, workerPid } from '../../deploy/demo/haproxy.ts';
import { sendRequests } from '../../deploy/demo/request.ts';
import { type Stack, startStack } from '../../deploy/demo/stack.ts';
import { eventually, patienceMs } from '../support/eventually.ts';
import { type FaultProxy, startFaultProxy } from '../support/servers/fault-proxy.ts';

/** Seconds. Every freeze lasts longer. */
const ttl = 6;

for (const etcdVersion of ['3.4', '3.5']) {
  describe(`three members of etcd ${etcdVersion}, nerves, synapse and HAProxy`, () => {
    let stack: Stack;
    let worker: number;
    const proxies: FaultProxy[] = [];
    const ended = new AbortController();
    // Each client of ours listens to it.
    setMaxListeners(0, ended.signal);
    /** What the witness saw that must not be. */
    const wrongs: string[] = [];
    /** Keys never repeat: a lost event cannot be hidden by a later one. */
    let number = 0;
    const expected = new Set<string>();

    before(async () => {
      stack = await startStack({
        services: ['api'],
        instancesPerService: 3,
        ttlSeconds: ttl,
        etcdVersion,
        routeSynapse: async (urls) => {
          for (const url of urls) proxies.push(await startFaultProxy(Number(new URL(url).port)));
          return proxies.map(({ port }) => `http://127.0.0.1:${port}`);
        },
      });
      for (const { id, port } of stack.instances) expected.add(`${id}_127.0.0.1:${port}`);
      await inStep();
      worker = await workerPid(stack.haproxy.socket);
      void witness();
    });
    after(async () => {
      ended.abort();
      for (const proxy of proxies) await proxy.close();
      await stack?.stop();
    });

    /** Looks at HAProxy without a pause: none of the nerves' instances may ever be missing, and no request may fail. */
    const witness = async (): Promise<void> => {
      const nerves = [...expected];
      while (!ended.signal.aborted) {
        const ready = await readyServers(stack.haproxy.socket, 'api');
        const missing = nerves.filter((name) => !ready.includes(name));
        if (missing.length > 0) wrongs.push(`missing in HAProxy: ${missing.join(', ')}`);
        const { failures } = await sendRequests(stack.ports.api as number, 3);
        wrongs.push(...failures);
        await sleep(20, ended.signal);
      }
    };
    const inStep = () =>
      eventually(async () => {
        assert.deepEqual(await readyServers(stack.haproxy.socket, 'api'), [...expected].sort());
      });
    /**
     * Talks to the members that run. A frozen one would carry out at its thaw what it was sent before, late and once more,
     * and bring back keys that were deleted meanwhile.
     */
    const etcd = (): EtcdClient => {
      const running = stack.etcd.members.filter(({ status }) => status === 'running');
      return createEtcdClient({ hosts: running.map(({ url }) => url) }, { log: silentLog }, ended.signal);
    };
    /** Announces and withdraws instances that have never been there before; they answer like the others. */
    const changes = async (count: number): Promise<void> => {
      const client = etcd();
      for (let i = 0; i < count; i++) {
        number += 1;
        const { port } = stack.instances[number % 3] ?? { port: 0 };
        const instance = makeInstance({ name: `n${number}`, host: '127.0.0.1', port });
        await client.call((rpc) => rpc.kv.put(record(instance.id, formatInstance(instance))), { totalMs: patienceMs });
        expected.add(instance.id);
        if (number % 3 !== 0) continue;
        const gone = `n${number - 1}_127.0.0.1:${stack.instances[(number - 1) % 3]?.port}`;
        await client.call((rpc) => rpc.kv.deleteRange({ key: key(gone) }), { totalMs: patienceMs });
        expected.delete(gone);
      }
    };
    const key = (id: string): Buffer => Buffer.from(`/nerve/services/api/${id}`);
    const record = (id: string, value: string) => ({ key: key(id), value: Buffer.from(value) });
    const settle = async (): Promise<void> => {
      await stack.etcd.ready(60_000);
      await changes(4);
      await inStep();
      // The registry too: a fault that comes on top of the last one's damage is another test.
      const client = etcd();
      await eventually(async () => {
        const { kvs } = await client.call((rpc) => rpc.kv.range({ key: key(''), range_end: key('\u007f') }));
        const announced = kvs.map((kv) => kv.key.toString().slice(key('').length));
        assert.deepEqual(announced.sort(), [...expected].sort());
      });
      assert.deepEqual([...new Set(wrongs)], [], complaints());
    };
    /** What the nerves had to say, should one of their instances have gone. */
    const complaints = (): string =>
      stack.instances.map(({ nerve }) => `${nerve.process.name}:\n${nerve.process.output().slice(-4_000)}`).join('\n');

    it('the leader is killed and comes back', async () => {
      const leader = await stack.etcd.leader();
      await leader.kill();
      await changes(4);
      await inStep();
      await leader.start();
      await settle();
    });

    for (const index of [0, 1, 2]) {
      it(`member ${index + 1} is frozen for longer than the TTL`, async () => {
        const member = stack.etcd.members[index];
        member?.freeze();
        await changes(4);
        await inStep();
        await sleep(ttl * 1000 + 2_000);
        await changes(4);
        await inStep();
        member?.thaw();
        await settle();
      });
    }

    it('all members are restarted', async () => {
      await stack.etcd.restartAll();
      await settle();
    });

    it('history is compacted while synapse is cut off', async () => {
      for (const proxy of proxies) await proxy.refuse();
      await changes(12);
      const client = etcd();
      const { header } = await client.call((rpc) => rpc.kv.range({ key: key('x') }));
      await client.call((rpc) => rpc.kv.compact({ revision: header.revision, physical: true }));
      await changes(2);
      for (const proxy of proxies) await proxy.heal();
      await settle();
    });

    it('in all of this no instance was missed, no request failed and nothing was reloaded', async () => {
      assert.deepEqual([...new Set(wrongs)], [], complaints());
      assert.equal(await workerPid(stack.haproxy.socket), worker);
    });
  });
}
