import assert from 'node:assert/strict';
import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { startDaemon, type TestDaemon } from '../daemons/daemon.ts';
import { eventually } from '../eventually.ts';
import { haproxySection, type TestHaproxy, testHaproxy } from '../haproxy/haproxy.ts';
import { PacedLoad } from '../process/paced-load.ts';
import { until } from '../until.ts';
import { Rotation } from './rotation.ts';

/** How a balancer is started. */
export interface BalancerOptions {
  /** Whether HAProxy checks the servers itself. */
  readonly check: boolean;
  /** The addresses at which synapse reaches etcd. */
  readonly etcdHosts: readonly string[];
  /** Requests a second for the service `api`. */
  readonly perSecond: number;
  /** The `dist` of the checkout whose synapse runs; default: this one's. */
  readonly dist?: string;
}

/** A synapse, its HAProxy, and a client that sends requests for the service `api`. */
export class Balancer {
  readonly check: boolean;
  readonly load: PacedLoad;
  readonly rotation: Rotation;
  readonly #synapse: TestDaemon;
  readonly #haproxy: TestHaproxy;
  readonly #ended = new AbortController();
  readonly #recording: Promise<void>;

  constructor(options: BalancerOptions, running: { synapse: TestDaemon; haproxy: TestHaproxy; port: number }) {
    this.check = options.check;
    this.#synapse = running.synapse;
    this.#haproxy = running.haproxy;
    this.load = new PacedLoad({ port: running.port, service: 'api', perSecond: options.perSecond });
    this.rotation = new Rotation(running.haproxy, 'api');
    this.#recording = this.rotation.record(this.#ended.signal);
  }

  /** What synapse said, as warnings and errors. */
  get complaints(): readonly string[] {
    return this.#synapse.lines
      .filter(({ level }) => level === 'warn' || level === 'error')
      .map((line) => JSON.stringify(line));
  }

  /** Waits until exactly this many servers are in use, and synapse is ready. */
  inUse(count: number): Promise<void> {
    return eventually(async () => {
      assert.equal((await this.rotation.now()).size, count, this.complaints.slice(-20).join('\n'));
      assert.equal((await this.#synapse.get('/readyz')).status, 200);
    });
  }

  /** Waits until none of these addresses is in use. */
  left(addresses: readonly string[]): Promise<void> {
    return eventually(async () => {
      const inUse = await this.rotation.now();
      const still = addresses.filter((address) => inUse.has(address));
      assert.deepEqual(still, [], this.complaints.slice(-20).join('\n'));
    });
  }

  async stop(): Promise<void> {
    await this.load.stop();
    this.#ended.abort();
    await this.#recording;
    await this.#synapse.end('SIGKILL');
    await this.#haproxy.close();
  }
}

/** Starts synapse with the services `api` and `web`, and HAProxy. @throws when synapse does not run */
export async function startBalancer(options: BalancerOptions): Promise<Balancer> {
  const haproxy = await testHaproxy();
  const [port, webPort] = [await freePort(), await freePort()];
  const listen = ['mode http', 'balance roundrobin'];
  const server = options.check ? { server_options: 'check inter 2s' } : {};
  const service = (at: number): object => ({
    discovery: { method: 'etcd' },
    haproxy: { port: at, listen, ...server },
  });
  const value = {
    etcd: { hosts: options.etcdHosts },
    admin: { listen: '127.0.0.1:0', control_socket: false },
    state_file_path: join(haproxy.folder, 'state.json'),
    services: { api: service(port), web: service(webPort) },
    haproxy: haproxySection(haproxy, {
      defaults: ['mode http', 'timeout connect 1s', 'timeout client 10s', 'timeout server 10s'],
    }),
  };
  const config = join(haproxy.folder, 'synapse.json');
  await writeFile(config, JSON.stringify(value));
  let synapse: TestDaemon | undefined;
  try {
    synapse = await startDaemon('synapse', config, options);
    await until(() => access(haproxy.file).then(() => true));
    await haproxy.start();
    return new Balancer(options, { synapse, haproxy, port });
  } catch (error) {
    await synapse?.end('SIGKILL');
    await haproxy.close();
    throw error;
  }
}
