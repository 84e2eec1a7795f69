import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, createServer, get, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { sleep } from '../../common/async/sleep.ts';
import { execute } from '../../common/cli/daemon.ts';
import type { NerveState } from '../../nerve/status-shape.ts';
import { nerveProgram } from '../../nerve/whole-program.ts';
import { startDaemon, type TestDaemon } from '../support/daemons/daemon.ts';
import { withCluster } from '../support/etcd/with-cluster.ts';
import { eventually, patienceMs } from '../support/eventually.ts';
import { fleetPath, startFleetHost } from '../support/fleet/fleet-host.ts';

/** `npm run bench -- convergence` does 50. */
const rounds = 12;
/** The service takes from 5 to 40 ms for a request, and half a second for one of these. */
const slowEach = 25;

/** An instance that knows when its last request ended. */
class Instance {
  readonly port: number;
  active = 0;
  /** Milliseconds of `performance.now()`. */
  lastEndAt = 0;
  answered = 0;
  #server: Server;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  static async start(): Promise<Instance> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const instance = new Instance(server, (server.address() as AddressInfo).port);
    instance.#serve();
    return instance;
  }

  /** Ends as a killed process does: every connection is cut. */
  async kill(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async startAgain(): Promise<void> {
    this.#server = createServer();
    this.#serve();
    await new Promise<void>((resolve) => this.#server.listen(this.port, '127.0.0.1', resolve));
  }

  #serve(): void {
    this.#server.keepAliveTimeout = 600_000;
    this.#server.on('request', (request, response) => {
      if (request.url === '/health') {
        response.end();
        return;
      }
      this.active += 1;
      this.answered += 1;
      const takesMs = this.answered % slowEach === 0 ? 500 : 5 + (this.answered % 36);
      setTimeout(() => response.end('ok'), takesMs);
      response.on('close', () => {
        this.active -= 1;
        this.lastEndAt = performance.now();
      });
    });
  }
}

/** Clients of a port that send one request after the other on connections that they keep, until they are stopped. */
function load(t: TestContext, ports: readonly number[], perPort: number) {
  const failed: string[] = [];
  const clients = { failed, round: 0 };
  let requests = 0;
  let running = true;
  const fail = (reason: string): void =>
    void failed.push(`round ${clients.round}, after ${requests} requests: ${reason}`);
  const agent = new Agent({ keepAlive: true });
  const one = (port: number): Promise<void> =>
    new Promise((resolve) => {
      const request = get({ host: '127.0.0.1', port, path: '/', agent }, (response) => {
        if (response.statusCode !== 200) fail(`HTTP ${response.statusCode}`);
        response.on('end', resolve).on('error', (error) => {
          fail(error.message);
          resolve();
        });
        response.resume();
      });
      request.on('error', (error) => {
        fail(error.message);
        resolve();
      });
    });
  const client = async (port: number): Promise<void> => {
    while (running) {
      await one(port);
      requests += 1;
      await sleep(3);
    }
  };
  const done = Promise.all(ports.flatMap((port) => Array.from({ length: perPort }, () => client(port))));
  const stop = async (): Promise<number> => {
    running = false;
    await done;
    agent.destroy();
    return requests;
  };
  t.after(stop);
  return Object.assign(clients, { stop });
}

describe('a deploy under load', () => {
  const etcd = withCluster('3.5', { size: 3 });

  it(`drains, kills and starts an instance ${rounds} times behind three hosts, and loses no request`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'deploy-test-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const instances = [await Instance.start(), await Instance.start()];
    t.after(() => Promise.all(instances.map((instance) => instance.kill())));
    const socket = join(folder, 'control.sock');
    const file = join(folder, 'nerve.json');
    const config = {
      instance_id: 'i-1',
      etcd: { hosts: etcd.cluster.urls },
      admin: { listen: '127.0.0.1:0', control_socket: socket },
      state_file_path: join(folder, 'state.json'),
      fleet: { path: fleetPath },
      services: {
        api: {
          host: '127.0.0.1',
          check_interval: 0.05,
          checks: [{ type: 'http', uri: '/health', timeout: 10, rise: 1, fall: 2 }],
          instances: instances.map(({ port }) => ({ port })),
        },
      },
    };
    await writeFile(file, JSON.stringify(config));
    const nerve: TestDaemon = await startDaemon('nerve', file);
    t.after(() => nerve.end('SIGKILL'));
    const services = async () => (JSON.parse((await nerve.get('/api/v1/state')).body) as NerveState).services;
    await eventually(async () => assert.ok((await services()).every(({ announced, settled }) => announced && settled)));
    const ids = new Map((await services()).map(({ instance }) => [Number(instance.split(':').at(-1)), instance]));
    const hosts = await Promise.all(
      ['host-1', 'host-2', 'host-3'].map((id) => startFleetHost(t, { etcd: etcd.cluster.urls, id })),
    );

    /** Runs the command in this process. */
    const change = async (action: 'drain' | 'undrain', { port }: Instance): Promise<void> => {
      let output = '';
      const print = (text: string): void => {
        output += text;
      };
      const argv = [action, 'api', String(ids.get(port)), '--wait', '--timeout', `${patienceMs}ms`, '-c', file];
      assert.equal(await execute(nerveProgram, argv, { env: {}, print, complain: print }), 0, output);
      assert.match(output, /in 3 proxies after/);
    };
    for (const instance of instances) await change('undrain', instance);
    const clients = load(
      t,
      hosts.map(({ port }) => port),
      4,
    );
    const lateMs: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      clients.round = round;
      const instance = instances[round % 2] as Instance;
      const other = instances[1 - (round % 2)] as Instance;
      await eventually(() => assert.ok(instance.active > 0));
      await change('drain', instance);
      const { answered, active, lastEndAt } = instance;
      assert.equal(active, 0, 'a request was open');
      lateMs.push(performance.now() - lastEndAt);
      const before = other.answered;
      // A request that is still to come would come now.
      await eventually(() => assert.ok(other.answered >= before + 20));
      assert.equal(instance.answered, answered, 'a request came after the proof');
      await instance.kill();
      await instance.startAgain();
      await change('undrain', instance);
    }
    const requests = await clients.stop();
    assert.deepEqual(clients.failed, []);
    const sorted = lateMs.toSorted((a, b) => a - b);
    const at = (share: number): string => `${(sorted[Math.floor(sorted.length * share)] as number).toFixed(1)} ms`;
    t.diagnostic(
      `${requests} requests; after the last one had ended, the proof came within ${at(0.5)} (median), ${at(0.9)} (90 %)`,
    );
  });
});
