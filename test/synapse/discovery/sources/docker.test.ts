import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { makeSource, runSource, type SourceRun } from '../../../support/daemons/source-run.ts';
import { makeAuthority, makeCertificate } from '../../../support/servers/certificates.ts';
import { type DockerServer, type FakeContainer, startDockerServer } from '../../../support/servers/docker-server.ts';
import { until } from '../../../support/until.ts';

const one: FakeContainer = { name: 'api-1', image: 'app:1', ports: ['8001:80'], labels: { service: 'api', az: 'a' } };
const two: FakeContainer = { name: 'api-2', image: 'app:2', ports: ['8002:80'], labels: { service: 'api' } };
const web: FakeContainer = { name: 'web', image: 'web', ports: ['9000:80'], labels: { service: 'web' } };

describe('the source docker', () => {
  let server: DockerServer;
  let cleanups: (() => Promise<unknown>)[];

  beforeEach(async () => {
    server = await startDockerServer();
    cleanups = [() => server.close()];
  });
  afterEach(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  /** With an interval that no test lives to see, unless it says otherwise: what is seen is seen by events. */
  const start = async (more: object): Promise<SourceRun> => {
    const run = await runSource('docker', { check_interval: '10m', timeout: '5s', ...more });
    cleanups.push(() => run.stop());
    return run;
  };
  const reasonOf = (run: SourceRun): string => run.source.status?.().reason ?? '';

  const cases: readonly (readonly [
    name: string,
    containers: readonly FakeContainer[],
    options: object,
    ids: readonly string[],
  ])[] = [
    ['by label', [two, one, web], { label: 'service=api' }, ['api-1_127.0.0.1:8001', 'api-2_127.0.0.1:8002']],
    ['by several labels', [one, two], { label: ['service', 'az=a'] }, ['api-1_127.0.0.1:8001']],
    [
      'by image, whatever its tag',
      [one, two, web],
      { image_name: 'app' },
      ['api-1_127.0.0.1:8001', 'api-2_127.0.0.1:8002'],
    ],
    ['by image without a tag', [one, web], { image_name: 'web' }, ['web_127.0.0.1:9000']],
    [
      'by image from a registry with a port, with a digest',
      [
        { ...one, image: 'registry:5000/app:3' },
        { ...two, image: 'registry:5000/app@sha256:00' },
      ],
      { image_name: 'registry:5000/app' },
      ['api-1_127.0.0.1:8001', 'api-2_127.0.0.1:8002'],
    ],
    ['only running ones', [{ ...one, state: 'paused' }, two], { image_name: 'app' }, ['api-2_127.0.0.1:8002']],
    [
      'by the port inside',
      [{ ...one, ports: ['8001:80', '8443:443'] }],
      { image_name: 'app', container_port: 443 },
      ['api-1_127.0.0.1:8443'],
    ],
    [
      'on the address it is published on',
      [{ ...one, ports: ['10.0.0.9:8001:80'] }],
      { image_name: 'app' },
      ['api-1_10.0.0.9:8001'],
    ],
    ['on the address that is given', [one], { image_name: 'app', address: '192.0.2.1' }, ['api-1_192.0.2.1:8001']],
    [
      'on its own address in a network',
      [{ ...one, ports: [], networks: { bridge: '172.17.0.2', back: '172.18.0.5' } }],
      { image_name: 'app', network: 'back', container_port: 80 },
      ['api-1_172.18.0.5:80'],
    ],
  ];
  for (const [name, containers, options, ids] of cases) {
    it(`finds containers ${name}`, async () => {
      server.set(containers);
      const run = await start({ host: server.url, ...options });
      await until(() => run.sets.length > 0);
      assert.deepEqual(run.ids(), ids);
      assert.deepEqual(run.sets[0]?.rejected, []);
      assert.equal(reasonOf(run), '');
    });
  }

  it('rejects containers that cannot be reached, with the reason', async () => {
    server.set([one, { ...two, ports: ['81'] }, { ...two, name: 'api-3', ports: ['1:80', '2:81'] }]);
    const run = await start({ host: server.url, image_name: 'app' });
    await until(() => run.sets.length > 0);
    assert.deepEqual(run.ids(), ['api-1_127.0.0.1:8001']);
    assert.deepEqual(run.sets[0]?.rejected, [
      { where: 'container api-2', reason: 'it publishes no port' },
      { where: 'container api-3', reason: 'it publishes 2 ports; set container_port to one of them' },
    ]);
  });

  it('copies the configured labels to the instance', async () => {
    server.set([one, two]);
    const run = await start({ host: server.url, image_name: 'app', labels: ['az'] });
    await until(() => run.sets.length > 0);
    assert.deepEqual(
      run.sets[0]?.instances.map(({ labels }) => labels && { ...labels }),
      [{ az: 'a' }, undefined],
    );
  });

  it('reaches an engine over a unix socket', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'synapse-docker-'));
    cleanups.unshift(() => rm(folder, { recursive: true }));
    const local = await startDockerServer(join(folder, 'docker.sock'));
    cleanups.push(() => local.close());
    local.set([one]);
    const run = await start({ host: local.url, label: 'service=api' });
    await until(() => run.sets.length > 0);
    assert.deepEqual(run.ids(), ['api-1_127.0.0.1:8001']);
  });

  it('publishes a change after an event, and nothing after an event without a change', async () => {
    server.set([one]);
    const run = await start({ host: server.url, image_name: 'app' });
    await until(() => run.sets.length > 0);
    const { length } = server.calls;
    server.set([one]);
    await until(() => server.calls.length > length);
    server.set([one, two]);
    await until(() => run.ids().length === 2);
    assert.equal(run.sets.length, 2);
    assert.equal(run.sets[1]?.instances[0], run.sets[0]?.instances[0], 'an equal instance is the same object');
    server.set([]);
    await until(() => run.ids().length === 0);
    assert.equal(run.gone.length, 2);
  });

  it('finds a change a moment later when the engine sends the event before its list has the change', async () => {
    server.set([one]);
    const run = await start({ host: server.url, image_name: 'app' });
    await until(() => run.sets.length > 0);
    const { length } = server.calls;
    server.set([one]);
    await until(() => server.calls.length > length);
    server.set([one, two], { silent: true });
    await until(() => run.ids().length === 2);
  });

  it('finds a change without an event when it lists the containers again', async () => {
    server.set([one]);
    const run = await start({ host: server.url, image_name: 'app', check_interval: '50ms' });
    await until(() => run.sets.length > 0);
    server.set([one, two], { silent: true });
    await until(() => run.ids().length === 2);
  });

  it('opens a stream of events that ends again, and finds changes in between', async () => {
    server.set([one]);
    const run = await start({ host: server.url, image_name: 'app' });
    await until(() => run.sets.length > 0);
    server.set([two], { silent: true });
    server.cut();
    await until(() => run.ids()[0] === 'api-2_127.0.0.1:8002');
    assert.equal(reasonOf(run), '');
    server.set([one]);
    await until(() => run.ids()[0] === 'api-1_127.0.0.1:8001');
  });

  const faults: readonly (readonly [name: string, fault: number | string, reason: RegExp])[] = [
    ['an error of the engine', 500, /Docker at 127\.0\.0\.1:\d+: \/containers\/json: status 500/],
    ['half an answer', '[{"Id":"0', /JSON/],
    ['an answer of another kind', '{"message":"hello"}', /is not a list/],
    ['a list of something else', '[1]', /has no Id/],
    ['a hang', 'hang', /no answer within 300ms/],
  ];
  for (const [name, fault, reason] of faults) {
    it(`${name} keeps the last set, is the reason in the status, and ends when a good answer comes`, async () => {
      server.set([one]);
      const run = await start({ host: server.url, image_name: 'app', timeout: '300ms' });
      await until(() => run.sets.length > 0);
      server.fault = fault;
      server.set([one, two]);
      await until(() => reason.test(reasonOf(run)));
      assert.equal(run.sets.length, 1);
      server.fault = undefined;
      await until(() => run.ids().length === 2);
      assert.equal(reasonOf(run), '');
      assert.equal(run.lines.filter(({ level }) => level === 'warn').length, 1);
    });
  }

  it('shows why an engine cannot be reached', async () => {
    const run = await start({ host: 'unix:///nowhere/docker.sock', image_name: 'app' });
    await until(() => /\/nowhere\/docker\.sock.*ENOENT/.test(reasonOf(run)));
    assert.deepEqual(run.sets, []);
  });

  describe('with several engines in servers', () => {
    it('names instances after their servers, and publishes nothing before all engines have answered', async () => {
      const other = await startDockerServer();
      cleanups.push(() => other.close());
      server.set([one, two]);
      other.set([web, one]);
      other.fault = 500;
      const run = await start({
        servers: [
          { name: 'left', host: '127.0.0.1', port: new URL(server.url).port },
          { name: 'right', host: '127.0.0.1', port: Number(new URL(other.url).port) },
        ],
        image_name: 'app',
        container_port: '80',
      });
      await until(() => /status 500/.test(reasonOf(run)));
      assert.deepEqual(run.sets, []);
      other.fault = undefined;
      await until(() => run.sets.length > 0);
      assert.deepEqual(run.ids(), ['left_127.0.0.1:8001', 'left_127.0.0.1:8002', 'right_127.0.0.1:8001']);
    });

    it('keeps the containers of an engine that is down while those of others change', async () => {
      const other = await startDockerServer();
      cleanups.push(() => other.close());
      server.set([one]);
      other.set([two]);
      const servers = [server, other].map(({ url }, i) => ({
        name: `s${i}`,
        host: '127.0.0.1',
        port: new URL(url).port,
      }));
      const run = await start({ servers, image_name: 'app' });
      await until(() => run.sets.length > 0);
      other.fault = 503;
      other.cut();
      await until(() => /status 503/.test(reasonOf(run)));
      server.set([]);
      await until(() => run.sets.length > 1);
      assert.deepEqual(run.ids(), ['s1_127.0.0.1:8002']);
    });
  });

  it('uses port 4243 for a server without a port', async () => {
    await makeSource('docker', { image_name: 'app', servers: [{ name: null, host: '127.0.0.1', port: null }] });
  });

  it('uses TLS with its own certificate, and refuses an engine with a certificate of an unknown authority', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'synapse-docker-'));
    cleanups.push(() => rm(folder, { recursive: true }));
    const authority = await makeAuthority(folder, 'authority');
    const engine = await makeCertificate(folder, 'engine', { authority, names: ['IP:127.0.0.1'] });
    const client = await makeCertificate(folder, 'client', { authority, names: ['DNS:client'] });
    const secure = await startDockerServer(undefined, {
      cert: await readFile(engine.cert),
      key: await readFile(engine.key),
      ca: await readFile(authority.cert),
      requestCert: true,
    });
    cleanups.push(() => secure.close());
    secure.set([one]);
    const options = { host: secure.url, image_name: 'app', check_interval: '1s' };
    const distrustful = await start(options);
    await until(() => /Docker at 127\.0\.0\.1:\d+.*certificate/.test(reasonOf(distrustful)));
    const own = { ssl_ca: authority.cert, ssl_cert: client.cert, ssl_key: client.key };
    const nameless = await start({ ...options, ssl_ca: authority.cert });
    await until(() => /certificate required/.test(reasonOf(nameless)));
    const run = await start({ ...options, ...own });
    await until(() => run.sets.length > 0);
    assert.deepEqual(run.ids(), ['api-1_127.0.0.1:8001']);
    secure.set([one, two]);
    await until(() => run.ids().length === 2);
  });

  const wrong: readonly (readonly [name: string, options: object, message: RegExp])[] = [
    ['neither label nor image', {}, /label or image_name is required/],
    ['a network without a port', { image_name: 'a', network: 'b' }, /container_port is required with network/],
    ['an address of another kind', { image_name: 'a', host: 'ftp://a' }, /must be unix/],
    ['a path in the address', { image_name: 'a', host: 'http://a/b' }, /must be unix/],
    ['both forms', { image_name: 'a', host: 'http://a', servers: [{ host: 'b' }] }, /set only one of them/],
    ['half a certificate', { image_name: 'a', host: 'https://a', ssl_cert: '/a' }, /ssl_cert and ssl_key go together/],
    ['a server without a host', { image_name: 'a', servers: [{ name: 'a' }] }, /entry 0: host must be/],
    ['a server with a bad port', { image_name: 'a', servers: [{ host: 'a', port: 0 }] }, /entry 0: port must be/],
    ['a server with a typo', { image_name: 'a', servers: [{ hots: 'a' }] }, /entry 0: unknown key hots/],
  ];
  for (const [name, options, message] of wrong) {
    it(`refuses options with ${name}`, async () => {
      await assert.rejects(makeSource('docker', options), message);
    });
  }
});
