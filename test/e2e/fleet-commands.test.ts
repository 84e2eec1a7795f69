import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { exec } from '../../common/daemon/exec.ts';
import { prefixRange } from '../../common/etcd/client/key-value.ts';
import { type Progress, progressShape } from '../../common/fleet/progress.ts';
import { type FleetReport, fleetShape } from '../../synapse/report/fleet-shape.ts';
import { programPath } from '../support/daemons/daemon.ts';
import { enableAuth } from '../support/etcd/auth.ts';
import { put, testCluster } from '../support/etcd/etcd.ts';
import { FakeProxy, fleetSize, type Says } from '../support/etcd/fleet.ts';
import { withCluster } from '../support/etcd/with-cluster.ts';
import { patienceMs } from '../support/eventually.ts';
import { mismatches } from '../support/json-shape.ts';
import { until } from '../support/until.ts';

const server = 'i-1_10.0.0.5:80';
const applied: Says = () => ({ result: 'applied' });

describe('synapse wait and synapse fleet', () => {
  const etcd = withCluster('3.5');
  let end: AbortController;
  let folder: string;
  let file: string;

  beforeEach(async () => {
    end = new AbortController();
    folder = await mkdtemp(join(tmpdir(), 'fleet-test-'));
    file = join(folder, 'operator.json');
    await configure();
  });
  afterEach(async () => {
    end.abort();
    const { key, end: to } = prefixRange('/');
    await etcd.client.call((rpc) => rpc.kv.deleteRange({ key, range_end: to }));
    await rm(folder, { recursive: true, force: true });
  });

  const configure = (options: object = {}): Promise<void> =>
    writeFile(file, JSON.stringify({ etcd: { hosts: etcd.cluster.urls }, ...options }));
  const proxy = (id: string, says: Says, path = '/nerve/services/api'): Promise<FakeProxy> =>
    new FakeProxy(etcd.client, id, says, [path]).start(end.signal);
  const synapse = (...args: readonly string[]) =>
    exec([process.execPath, programPath('synapse'), ...args, '-c', file], { timeoutMs: patienceMs, env: process.env });
  const announce = (key: string, state: string): Promise<number> =>
    put(etcd.client, key, JSON.stringify({ host: '10.0.0.5', port: 80, name: 'i-1', state }));

  it('waits until every proxy of a service has applied everything up to now', async () => {
    const revision = await announce(`/nerve/services/api/${server}`, 'up');
    const [a] = await Promise.all([
      proxy('a', () => undefined),
      proxy('b', applied),
      proxy('c', () => undefined, '/x'),
    ]);
    const waiting = synapse('wait', 'api');
    await until(() => a.requests.size === 1);
    const [request] = a.requests.values();
    assert.ok(request?.kind === 'revision' && request.path === '/nerve/services/api' && request.revision > revision);
    await a.says(applied);
    const { code, stdout } = await waiting;
    assert.equal(code, 0);
    assert.match(stdout, /api: applied in 2 proxies after \d+(?:\.\d)? m?s: a, b\n$/);
    assert.equal(await fleetSize(etcd.client, 'requests'), 0);
  });

  it('waits for a revision that is to come', async () => {
    const a = await proxy('a', ({ revision }) => ({ result: 'applied', revision: revision - 1 }));
    const waiting = synapse('wait', 'api', '--revision', '1000000');
    await until(() => a.requests.size === 1);
    assert.equal([...a.requests.values()][0]?.revision, 1_000_000);
    await a.says(applied);
    assert.equal((await waiting).code, 0);
  });

  const expected: readonly (readonly [args: readonly string[], expect: string])[] = [
    [[], 'up'],
    [['up'], 'up'],
    [['drained'], 'drained'],
    [['gone'], 'gone'],
  ];
  for (const [args, expect] of expected) {
    it(`asks for a server that is to be ${expect} with ${['SERVER', ...args].join(' ')}`, async () => {
      await configure({ services: { api: { discovery: { method: 'etcd', path: 'data/api/' } } } });
      const key = `/data/api/deep/${server}`;
      const revision = await announce(key, 'up');
      const a = await proxy('a', () => undefined, '/data');
      const waiting = synapse('wait', 'api', server, ...args, '--json');
      await until(() => a.requests.size === 1);
      const [request] = a.requests.values();
      assert.ok(request?.kind === 'instance');
      assert.deepEqual(
        [request.path, request.key, request.expect, request.revision],
        ['/data/api', key, expect, revision],
      );
      await a.says(() => ({}));
      const { code, stdout } = await waiting;
      const progress = JSON.parse(stdout) as Progress;
      assert.deepEqual([code, progress.outcome, mismatches(progressShape, progress)], [0, 'done', []]);
    });
  }

  it('ends with exit code 4 and the names of the proxies that are missing', async () => {
    await Promise.all([
      proxy('a', applied),
      proxy('b', () => ({ result: 'cannot', reason: 'HAProxy does not answer' })),
    ]);
    const { code, stdout } = await synapse('wait', 'api', server, 'up', '--timeout', '800ms');
    assert.equal(code, 4);
    assert.match(stdout, /api: 1 of 2 proxies; waiting for b \(HAProxy does not answer\)\n$/);
  });

  it('ends with exit code 4 when no proxy takes part', async () => {
    await proxy('a', applied, '/x');
    const { code, stdout } = await synapse('wait', 'api');
    assert.deepEqual([code, stdout], [4, 'api: no synapse that follows it takes part in the fleet\n']);
  });

  const wrong: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [[], /missing SERVICE/],
    [['api', server, 'down'], /down: must be up, drained or gone/],
    [['api', '--timeout', 'soon'], /--timeout soon: must be a time/],
    [['api', '--revision', '-1'], /revision/],
    [['api', server, '--revision', '5'], /--revision goes without SERVER/],
  ];
  for (const [args, message] of wrong) {
    it(`refuses synapse wait ${args.join(' ')}`, async () => {
      const { code, stderr } = await synapse('wait', ...args);
      assert.equal(code, 2);
      assert.match(stderr, message);
    });
  }

  it('refuses to ask with fleet: false', async () => {
    await configure({ fleet: false });
    const { code, stderr } = await synapse('wait', 'api');
    assert.equal(code, 2);
    assert.match(stderr, /operator\.json: fleet: is false/);
  });

  it('says what to do when the user of the configuration may not ask', async () => {
    const cluster = await testCluster('3.5', { size: 1 });
    try {
      await enableAuth(cluster, '/nerve/');
      await configure({ etcd: { hosts: cluster.urls, username: 'nerve', password: 'secret' } });
      for (const args of [['wait', 'api'], ['fleet']]) {
        const { code, stderr } = await synapse(...args);
        assert.equal(code, 1);
        assert.match(stderr, /permission denied; name a configuration with -c whose user may write below/);
      }
    } finally {
      await cluster.stopAll();
    }
  });

  it('shows every proxy, those without an answer first and then the slowest', async () => {
    const says =
      (ms: number): Says =>
      () => ({ result: 'applied', ms });
    await Promise.all([
      proxy('fast', says(2), '/a'),
      proxy('slow', says(900), '/b'),
      proxy('mute', () => undefined, '/c'),
      proxy('stuck', () => ({ result: 'cannot', reason: 'HAProxy does not answer' }), '/d'),
    ]);
    const { code, stdout } = await synapse('fleet', '--timeout', '1s');
    assert.equal(code, 4);
    const lines = stdout.trim().split('\n');
    assert.match(String(lines[0]), /^2 of 4 proxies have applied revision \d+$/);
    assert.deepEqual(
      lines.slice(3).map((line) => line.replace(/ +/g, ' ').replace(/ \d+ (?:s|min|h|d) /, ' AGE ')),
      [
        'mute mute 2.0.0 AGE 1 /c no answer',
        'stuck stuck 2.0.0 AGE 1 /d HAProxy does not answer',
        'slow slow 2.0.0 AGE 1 /b 900 ms',
        'fast fast 2.0.0 AGE 1 /a 2 ms',
      ],
    );
  });

  it('shows the fleet as JSON, and exits with 0 when all have answered', async () => {
    await proxy('a', applied);
    const { code, stdout } = await synapse('fleet', '--json');
    const report = JSON.parse(stdout) as FleetReport;
    assert.deepEqual([code, report.reason, mismatches(fleetShape, report)], [0, null, []]);
    assert.deepEqual(
      report.proxies.map(({ proxy: id, milliseconds }) => [id, milliseconds]),
      [['a', 1]],
    );
  });

  it('says that no synapse takes part', async () => {
    const { code, stdout } = await synapse('fleet');
    assert.deepEqual([code, stdout], [4, 'no synapse takes part\n']);
  });
});
