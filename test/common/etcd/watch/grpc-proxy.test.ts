import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sleep } from '../../../../common/async/sleep.ts';
import { createEtcdClient } from '../../../../common/etcd/client/client.ts';
import { createReflector } from '../../../../common/etcd/watch/reflector.ts';
import { directClient, etcdProgram, etcdVersions, put, testCluster } from '../../../support/etcd/etcd.ts';
import { startGrpcProxy } from '../../../support/etcd/grpc-proxy.ts';
import { assertSound, createRecorder } from '../../../support/etcd/watch-recorder.ts';
import { eventually } from '../../../support/eventually.ts';
import { recordingLog } from '../../../support/process/recording-log.ts';
import { tempFolder } from '../../../support/temp-folder.ts';

for (const version of etcdVersions) {
  describe(`a grpc-proxy of etcd ${version}`, () => {
    it('joins the watches of many clients without being taken for another cluster', async (t) => {
      const cluster = await testCluster(version, { size: 1 });
      t.after(() => cluster.stopAll());
      const proxy = await startGrpcProxy(await etcdProgram(version), cluster.urls, await tempFolder(t));
      t.after(() => proxy.stop());
      const ended = new AbortController();
      t.after(() => ended.abort());
      const writer = directClient(cluster, ended.signal);
      const { log, lines } = recordingLog();
      const recorders = Array.from({ length: 10 }, createRecorder);
      for (const { onChange } of recorders) {
        const client = createEtcdClient({ hosts: [proxy.url] }, { log }, ended.signal);
        void createReflector(client, { log }, ended.signal).follow('/many/', onChange, ended.signal);
      }
      await eventually(() => assert.ok(recorders.every(({ changes }) => changes.length === 1)));
      for (const value of ['1', '2', '3']) {
        // Long enough for a freshness check of each: the proxy does not answer it, and the watch must not be opened again.
        if (value === '3') await sleep(9_000);
        await put(writer, '/many/a', value);
        for (const recorder of recorders) await eventually(() => assert.equal(recorder.values['/many/a'], value));
      }
      recorders.forEach(assertSound);
      const upset = lines.filter(({ message }) => /failed|another cluster/.test(message));
      assert.deepEqual(upset, []);
    });
  });
}
