import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { remove } from '../../support/etcd/etcd.ts';
import { withCluster } from '../../support/etcd/with-cluster.ts';
import { eventually } from '../../support/eventually.ts';
import { about, announce, apiKey, ask, startFleetHost } from '../../support/fleet/fleet-host.ts';
import { beginRequest, slowInstance } from '../../support/fleet/slow-instance.ts';
import { haproxyVersions } from '../../support/haproxy/versions.ts';

describe('a drain', () => {
  const etcd = withCluster('3.5');
  for (const version of haproxyVersions) {
    it(`is over when the last request has ended in HAProxy ${version}`, async (t) => {
      const { client } = etcd;
      const [drained, other] = [await slowInstance(t), await slowInstance(t)];
      await announce(client, drained.port);
      const host = await startFleetHost(t, { etcd: etcd.cluster.urls, version, id: version });
      await eventually(async () =>
        assert.ok((await host.haproxy.servers()).has(`api/i${drained.port}_127.0.0.1:${drained.port}`)),
      );
      await beginRequest(t, host.port);
      await announce(client, other.port);
      const up = await ask(client, about(other.port, 'up')).answer;
      assert.equal(up.outcome, 'done', JSON.stringify(up));

      await announce(client, drained.port, { state: 'drain' });
      const asking = ask(client, about(drained.port, 'drained'));
      await eventually(() => assert.equal(asking.last?.connections, 1, JSON.stringify(asking.last)));
      assert.equal(asking.last?.outcome, 'waiting');
      drained.finish();
      const done = await asking.answer;
      assert.equal(done.outcome, 'done', JSON.stringify(done));
      assert.equal(done.unused, 0);

      await remove(client, apiKey(drained.port));
      const gone = await ask(client, about(drained.port, 'gone')).answer;
      assert.equal(gone.outcome, 'done', JSON.stringify(gone));
      await remove(client, apiKey(other.port));
      await host.stop();
    });
  }
});
