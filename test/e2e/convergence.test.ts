import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { dump, etcdVersions, remove } from '../support/etcd/etcd.ts';
import { withCluster } from '../support/etcd/with-cluster.ts';
import { about, announce, apiFolder, ask, startFleetHost } from '../support/fleet/fleet-host.ts';
import { deploy, liveInstance, startClients } from '../support/fleet/rounds.ts';
import { askSocket } from '../support/haproxy/haproxy.ts';
import type { HaproxyVersion } from '../support/haproxy/versions.ts';

/** Each host has another HAProxy. */
const hosts: readonly HaproxyVersion[] = ['2.6', '3.0', '3.2'];
const rounds = 8;

for (const version of etcdVersions) {
  describe(`deploys behind three hosts, with etcd ${version}`, () => {
    const etcd = withCluster(version, { size: 3 });
    // The instances of a test are killed at its end.
    afterEach(async () => {
      for (const key of Object.keys(await dump(etcd.client, `${apiFolder}/`))) await remove(etcd.client, key);
    });

    for (const [what, reloads] of [
      ['lose no request when each instance is killed as soon as its drain is over', false],
      ['lose none when HAProxy is reloaded by hand meanwhile', true],
    ] as const) {
      it(what, async (t) => {
        const { client } = etcd;
        let instances = await Promise.all([liveInstance(t), liveInstance(t), liveInstance(t)]);
        for (const { port } of instances) await announce(client, port);
        const api = { listen: ['mode http', 'option redispatch', 'retries 3'] };
        const running = await Promise.all(
          hosts.map((haproxy) =>
            startFleetHost(t, { etcd: etcd.cluster.urls, version: haproxy, id: `host-${haproxy}`, api }),
          ),
        );
        const ready = await ask(client, { kind: 'revision' }).answer;
        assert.deepEqual([ready.outcome, ready.proxies], ['done', hosts.length], ready.reason ?? '');
        for (const { port } of instances) assert.equal((await ask(client, about(port, 'up')).answer).outcome, 'done');

        const clients = startClients(running.map(({ port }) => port));
        try {
          for (let round = 0; round < rounds; round++) {
            const [oldest, ...others] = instances;
            const { haproxy } = running[round % running.length] as (typeof running)[number];
            const reload = reloads ? askSocket(haproxy.master, 'reload', 5_000).catch(() => '') : undefined;
            const { next } = await deploy(t, client, oldest as (typeof instances)[number]);
            instances = [...others, next];
            await reload;
          }
        } finally {
          await clients.stop();
        }
        assert.deepEqual(clients.failures, []);
        assert.ok(clients.requests > 100, `${clients.requests} requests`);
      });
    }
  });
}
