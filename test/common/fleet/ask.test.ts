import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createEtcdClient, type EtcdClient } from '../../../common/etcd/client/client.ts';
import { prefixRange } from '../../../common/etcd/client/key-value.ts';
import { list } from '../../../common/etcd/watch/list.ts';
import { type Answer, type AskDeps, askFleet } from '../../../common/fleet/ask.ts';
import type { Progress } from '../../../common/fleet/progress.ts';
import type { Question } from '../../../common/fleet/question.ts';
import { enableAuth } from '../../support/etcd/auth.ts';
import { directClient, etcdVersions, put, remove, testCluster, testLog } from '../../support/etcd/etcd.ts';
import { FakeProxy, fleetPath, fleetSize, type Says } from '../../support/etcd/fleet.ts';
import { withCluster } from '../../support/etcd/with-cluster.ts';
import { patienceMs } from '../../support/eventually.ts';
import { until } from '../../support/until.ts';

const folder = '/nerve/services/api';
const key = `${folder}/i-1_10.0.0.5:80`;
const record = (state: string): string => JSON.stringify({ host: '10.0.0.5', port: 80, name: 'i-1', state });
const isDrained: Question = { kind: 'instance', path: folder, key, expect: 'drained' };
const everything: Question = { kind: 'revision' };

const quiet: Says = () => ({});
const busy: Says = () => ({ result: 'applied', connections: 2 });

interface AskTest {
  readonly questions?: readonly Question[];
  readonly timeoutMs?: number;
  readonly onProgress?: AskDeps['onProgress'];
}

async function ask(client: EtcdClient, test: AskTest, signal: AbortSignal): Promise<readonly Answer[]> {
  const { questions = [isDrained], timeoutMs = patienceMs, onProgress } = test;
  const options = { fleet: { path: fleetPath }, by: 'a test', questions, timeoutMs };
  const deps = { log: testLog(), ...(onProgress && { onProgress }) };
  const { answers, removed } = await askFleet(client, options, deps, signal);
  await removed;
  return answers;
}

/** Asks, and collects what is said meanwhile. */
function asking(client: EtcdClient, test: AskTest, signal: AbortSignal) {
  const said: Progress[] = [];
  const answers = ask(client, { ...test, onProgress: ([progress]) => said.push(progress as Progress) }, signal);
  return { said, answers, last: () => said.at(-1) };
}

for (const version of etcdVersions) {
  describe(`asking the fleet in etcd ${version}`, () => {
    const etcd = withCluster(version);
    let end = new AbortController();
    const proxy = (id: string, says: Says, paths?: readonly string[]): Promise<FakeProxy> =>
      new FakeProxy(etcd.client, id, says, paths).start(end.signal);
    beforeEach(async () => {
      end = new AbortController();
      await put(etcd.client, key, record('drain'));
    });
    afterEach(async () => {
      end.abort();
      await etcd.client.call((rpc) => {
        const { key: from, end: to } = prefixRange(fleetPath);
        return rpc.kv.deleteRange({ key: from, range_end: to });
      });
    });

    it('is done when all proxies that follow the path are quiet', async () => {
      const [a] = await Promise.all([
        proxy('host-a', quiet),
        proxy('höst/b', quiet),
        proxy('c', () => undefined, ['/x']),
      ]);
      const [answer] = await ask(etcd.client, {}, end.signal);
      assert.ok(answer);
      const { outcome, reason, proxies, acknowledged, members } = answer.progress;
      assert.deepEqual(
        { outcome, reason, proxies, acknowledged, members },
        { outcome: 'done', reason: null, proxies: 2, acknowledged: 2, members: ['host-a', 'höst/b'] },
      );
      assert.equal(await fleetSize(etcd.client, 'requests'), 0);
      await until(() => a.requests.size === 0);
    });

    it('asks with the revision of the record', async () => {
      const a = await proxy('a', () => undefined);
      const revision = await put(etcd.client, key, record('drain'));
      const stop = new AbortController();
      const answers = ask(etcd.client, {}, stop.signal);
      await until(() => a.requests.size === 1);
      assert.deepEqual([...a.requests.values()], [{ ...isDrained, by: 'a test', revision }]);
      stop.abort();
      assert.equal((await answers)[0]?.progress.outcome, 'waiting');
      assert.equal(await fleetSize(etcd.client, 'requests'), 0);
    });

    it('asks with the present revision for everything, and for an instance without a record', async () => {
      const a = await proxy('a', () => undefined);
      const revision = await remove(etcd.client, key);
      const stop = new AbortController();
      const answers = ask(etcd.client, { questions: [everything, isDrained] }, stop.signal);
      await until(() => a.requests.size === 2);
      const revisions = [...a.requests.values()].map((request) => request.revision);
      assert.ok(
        revisions.every((one) => one >= revision),
        `${revisions} are not all ${revision} or more`,
      );
      stop.abort();
      await answers;
    });

    it('says at once that no proxy takes part', async () => {
      await proxy('c', quiet, ['/x']);
      const [answer] = await ask(etcd.client, {}, end.signal);
      assert.equal(answer?.progress.outcome, 'nobody');
    });

    it('waits for connections, says where they are, and is done when they have ended', async () => {
      const [, b] = await Promise.all([proxy('a', quiet), proxy('b', busy)]);
      const { answers, last } = asking(etcd.client, {}, end.signal);
      await until(() => last()?.reason === '1 of 2 proxies; 2 connections left: b 2');
      await b.says(quiet);
      assert.equal((await answers)[0]?.progress.outcome, 'done');
    });

    it('ends when the time is over, with the names of those that did not answer', async () => {
      await Promise.all([proxy('a', quiet), proxy('b', () => undefined)]);
      const [answer] = await ask(etcd.client, { timeoutMs: 700 }, end.signal);
      assert.equal(answer?.progress.outcome, 'timeout');
      assert.deepEqual(answer?.progress.waiting, [{ proxy: 'b', reason: 'no answer', connections: 0 }]);
      assert.equal(await fleetSize(etcd.client, 'requests'), 0);
    });

    it('misses a proxy that dies, and says so', async () => {
      const [, b] = await Promise.all([proxy('a', quiet), proxy('b', busy)]);
      const { answers, last } = asking(etcd.client, {}, end.signal);
      await until(() => last()?.acknowledged === 1 && last()?.connections === 2);
      await b.die();
      const [answer] = await answers;
      assert.deepEqual([answer?.progress.outcome, answer?.progress.left], ['left', ['b']]);
      assert.equal(answer?.progress.reason, '1 of 1 proxy; left without an acknowledgement: b');
    });

    it('is done when a proxy dies after its acknowledgement', async () => {
      const [a, b] = await Promise.all([proxy('a', busy), proxy('b', quiet)]);
      const { answers, last } = asking(etcd.client, {}, end.signal);
      await until(() => last()?.acknowledged === 1 && last()?.connections === 2);
      await b.die();
      await until(() => last()?.proxies === 1);
      await a.says(quiet);
      assert.equal((await answers)[0]?.progress.outcome, 'done');
    });

    it('waits for a proxy that comes during the wait', async () => {
      const a = await proxy('a', busy);
      const { answers, last } = asking(etcd.client, {}, end.signal);
      await until(() => last()?.proxies === 1);
      const b = await proxy('b', () => undefined);
      await a.says(quiet);
      await until(() => last()?.proxies === 2 && last()?.acknowledged === 1);
      await b.says(quiet);
      assert.deepEqual((await answers)[0]?.progress.members, ['a', 'b']);
    });

    it('waits again for a proxy that takes its acknowledgement back', async () => {
      const [a, b] = await Promise.all([proxy('a', quiet), proxy('b', busy)]);
      const { answers, last } = asking(etcd.client, {}, end.signal);
      await until(() => last()?.acknowledged === 1 && last()?.connections === 2);
      await a.says(() => ({ result: 'cannot', reason: 'set ready by hand' }));
      await until(() => last()?.acknowledged === 0);
      await b.says(quiet);
      await until(() => last()?.acknowledged === 1);
      assert.match(String(last()?.reason), /a \(set ready by hand\)/);
      await a.says(quiet);
      assert.equal((await answers)[0]?.progress.outcome, 'done');
    });

    it('asks again about a record that has changed, and takes no answer to the former question', async () => {
      const a = await proxy('a', busy);
      const { answers, last } = asking(etcd.client, {}, end.signal);
      await until(() => last()?.connections === 2);
      const revision = await put(etcd.client, key, record('drain'));
      await a.says(quiet);
      const [answer] = await answers;
      assert.equal(answer?.progress.outcome, 'done');
      assert.equal(answer?.state.request?.revision, revision);
    });

    it('asks again when the lease of its request is revoked', async () => {
      const a = await proxy('a', busy);
      const { answers, last } = asking(etcd.client, {}, end.signal);
      await until(() => last()?.connections === 2);
      const [before] = [...a.requests.keys()];
      const requests = prefixRange(`${fleetPath}/requests/`);
      const { entries } = await list(etcd.client, requests, end.signal);
      const lease = String([...entries.values()][0]?.lease);
      await etcd.client.call((rpc) => rpc.lease.leaseRevoke({ ID: lease }));
      await until(() => a.requests.size === 1 && !a.requests.has(String(before)));
      await a.says(quiet);
      assert.equal((await answers)[0]?.progress.outcome, 'done');
    });

    it('ends each of several questions by itself, and removes its request', async () => {
      const says: Says = ({ kind }) =>
        kind === 'revision' ? { result: 'applied' } : { result: 'applied', connections: 1 };
      const a = await proxy('a', says);
      const ended: boolean[] = [];
      const stop = new AbortController();
      const onProgress: AskDeps['onProgress'] = ([one]) => ended.push(one?.outcome === 'done');
      const answers = ask(etcd.client, { questions: [everything, isDrained], onProgress }, stop.signal);
      await until(() => ended.includes(true));
      await until(() => a.requests.size === 1);
      stop.abort();
      assert.deepEqual(
        (await answers).map(({ progress }) => progress.outcome),
        ['done', 'waiting'],
      );
    });

    const hostile: readonly (readonly [title: string, path: string, value: string])[] = [
      ['a proxy that is no record', 'proxies/x', '{}'],
      ['a proxy with a key that is no id', 'proxies/a/b', '{"v":1}'],
      ['deep JSON', 'proxies/deep', '['.repeat(50_000)],
      ['an acknowledgement of nothing', 'acks/x', '{"v":1}'],
    ];
    for (const [title, path, value] of hostile) {
      it(`is not disturbed by ${title} without a lease`, async () => {
        await put(etcd.client, `${fleetPath}/${path}`, value);
        await proxy('a', quiet);
        assert.equal((await ask(etcd.client, {}, end.signal))[0]?.progress.outcome, 'done');
      });
    }
  });

  describe(`asking a fleet that etcd ${version} does not serve`, () => {
    it('ends when the time is over, and says that etcd does not answer', async () => {
      const end = new AbortController();
      const client = createEtcdClient({ hosts: ['http://127.0.0.1:1'] }, { log: testLog() }, end.signal);
      const [answer] = await ask(client, { timeoutMs: 3_000 }, end.signal);
      end.abort();
      assert.equal(answer?.progress.outcome, 'timeout');
    });

    it('says that this user may not ask', async () => {
      const cluster = await testCluster(version, { size: 1 });
      const end = new AbortController();
      try {
        await enableAuth(cluster, folder);
        const user = { hosts: cluster.urls, username: 'nerve', password: 'secret' };
        const client = createEtcdClient(user, { log: testLog() }, end.signal);
        const [answer] = await ask(client, {}, end.signal);
        assert.equal(answer?.progress.outcome, 'denied');
        assert.match(String(answer?.progress.reason), /permission denied/);
      } finally {
        end.abort();
        await cluster.stopAll();
      }
    });

    it('goes on when the leader is killed during the wait', async () => {
      const cluster = await testCluster(version, { size: 3 });
      const end = new AbortController();
      try {
        const client = directClient(cluster, end.signal);
        await put(client, key, record('drain'));
        const a = await new FakeProxy(client, 'a', busy).start(end.signal);
        const { answers, last } = asking(directClient(cluster, end.signal), {}, end.signal);
        await until(() => last()?.connections === 2);
        await (await cluster.leader()).kill();
        await a.says(quiet);
        assert.equal((await answers)[0]?.progress.outcome, 'done');
      } finally {
        end.abort();
        await cluster.stopAll();
      }
    });
  });
}
