import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { sleep } from '../../common/async/sleep.ts';
import { exec } from '../../common/daemon/exec.ts';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import { programPath, startDaemon, type TestDaemon } from '../support/daemons/daemon.ts';
import { dump } from '../support/etcd/etcd.ts';
import { recordEvents } from '../support/etcd/key-events.ts';
import { type ClusterFixture, withCluster } from '../support/etcd/with-cluster.ts';
import { eventually, patienceMs } from '../support/eventually.ts';
import { haproxySection, namedServer, type TestHaproxy, testHaproxy } from '../support/haproxy/haproxy.ts';
import { previousRelease } from '../support/package/previous-release.ts';
import { tempFolder } from '../support/temp-folder.ts';

type Program = 'nerve' | 'synapse';

/** Seconds. */
const ttl = 3;

const previous = await previousRelease();
/** The `dist` of each version. */
const versions = { previous: previous.dist, next: join(programPath('nerve'), '../..') } as const;
type Version = keyof typeof versions;

/** A nerve with two instances, one of them drained and one with another weight, a synapse and a HAProxy that is used. */
class Site {
  readonly #files: Readonly<Record<Program, string>>;
  readonly #daemons = new Map<Program, TestDaemon>();
  readonly haproxy: TestHaproxy;
  readonly #port: number;
  readonly #end = new AbortController();
  #requests = 0;
  readonly #failures: string[] = [];
  #asking = Promise.resolve();

  private constructor(files: Readonly<Record<Program, string>>, haproxy: TestHaproxy, port: number) {
    this.#files = files;
    this.haproxy = haproxy;
    this.#port = port;
  }

  static async start(t: TestContext, etcd: ClusterFixture, path: string, version: Version): Promise<Site> {
    const folder = await tempFolder(t);
    const [haproxy, port, servers] = await Promise.all([
      testHaproxy(),
      freePort(),
      Promise.all(['a', 'b'].map((name) => namedServer(name))),
    ]);
    const admin = (program: Program) => ({
      listen: '127.0.0.1:0',
      control_socket: join(folder, `${program}.sock`),
    });
    const common = { etcd: { hosts: etcd.cluster.urls } };
    const nerve = {
      ...common,
      ...{ instance_id: 'host-1', ttl, admin: admin('nerve'), shutdown: { keep: true } },
      state_file_path: join(folder, 'nerve-state.json'),
      services: Object.fromEntries(
        servers.map(({ port: own }, i) => {
          const checks = [{ type: 'http', uri: '/', interval: 0.2, timeout: '10s' }];
          return [`api-${i}`, { host: '127.0.0.1', port: own, etcd_path: path, checks }];
        }),
      ),
    };
    const synapse = {
      ...{ ...common, admin: admin('synapse') },
      state_file_path: join(folder, 'synapse-state.json'),
      services: { api: { discovery: { method: 'etcd', path }, haproxy: { port, server_options: 'check inter 200' } } },
      haproxy: haproxySection(haproxy),
    };
    const files = { nerve: join(folder, 'nerve.json'), synapse: join(folder, 'synapse.json') };
    await writeFile(files.nerve, JSON.stringify(nerve));
    await writeFile(files.synapse, JSON.stringify(synapse));
    const site = new Site(files, haproxy, port);
    t.after(async () => {
      await site.#stop();
      await haproxy.close();
      await Promise.all(servers.map((server) => server.close()));
    });
    await haproxy.startEmpty();
    await site.run('nerve', version);
    await site.run('synapse', version);
    await site.command(version, 'drain', 'api-0');
    await site.command(version, 'weight', 'api-1', '7');
    await eventually(async () => {
      assert.deepEqual(await site.weights(), ['7', 'drained']);
      assert.equal(await site.#ask(), undefined);
    });
    site.#asking = site.#askAlways();
    return site;
  }

  /** Ends a daemon as systemd does, and starts it as this version. */
  async run(program: Program, version: Version): Promise<void> {
    const old = this.#daemons.get(program);
    if (old !== undefined) assert.equal(await old.end('SIGTERM'), 0);
    const daemon = await startDaemon(program, this.#files[program], { dist: versions[version] });
    this.#daemons.set(program, daemon);
    await eventually(async () => assert.equal((await daemon.get('/readyz')).status, 200));
  }

  /** Runs a command of nerve. @throws when it fails */
  async command(version: Version, ...args: readonly string[]): Promise<string> {
    const argv = [
      process.execPath,
      join(versions[version], 'nerve/main.js'),
      ...args,
      '-c',
      this.#files.nerve,
    ] as const;
    const { code, stdout, stderr } = await exec(argv, { timeoutMs: patienceMs, env: process.env });
    assert.equal(code, 0, stderr);
    return stdout;
  }

  /** What HAProxy has of each server that does not change by itself. */
  async servers() {
    const rows = [...(await this.haproxy.servers())].filter(([, { be_name }]) => be_name === 'api');
    return new Map(
      rows.map(([name, { be_id, srv_id, srv_addr, srv_port, srv_uweight: weight, srv_admin_state: admin }]) => {
        return [name, { be_id, srv_id, srv_addr, srv_port, weight, admin }];
      }),
    );
  }

  /** The weights in HAProxy, sorted. */
  async weights(): Promise<readonly string[]> {
    return [...(await this.servers()).values()]
      .map(({ weight, admin }) => {
        // 8 is 'drain' among the administrative states. The weight of a drained server is a mark of synapse, in some versions.
        return admin === '8' ? 'drained' : `${weight}`;
      })
      .sort();
  }

  /** How many requests there were, and those that failed, since the start. */
  get traffic() {
    return { requests: this.#requests, failures: this.#failures };
  }

  async #askAlways(): Promise<void> {
    while (!this.#end.signal.aborted) {
      const failure = await this.#ask();
      this.#requests++;
      if (failure !== undefined) this.#failures.push(failure);
      await sleep(5, this.#end.signal);
    }
  }

  async #ask(): Promise<string | undefined> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.#port}/`, { signal: AbortSignal.timeout(10_000) });
      const body = await response.text();
      return response.status === 200 ? undefined : `${response.status} ${body}`;
    } catch (error) {
      return String(error);
    }
  }

  async #stop(): Promise<void> {
    this.#end.abort();
    await this.#asking;
    for (const daemon of this.#daemons.values()) await daemon.end('SIGKILL');
  }
}

/** The leases of the keys below a folder. */
async function leasesOf({ client }: ClusterFixture, path: string): Promise<readonly string[]> {
  const range = { key: Buffer.from(`${path}/`), range_end: Buffer.from(`${path}0`) };
  const { kvs } = await client.call((rpc) => rpc.kv.range(range));
  return kvs.map(({ lease }) => lease);
}

/** Those of the leases that etcd has. */
async function living({ client }: ClusterFixture, leases: readonly string[]): Promise<readonly string[]> {
  const answer = await client.call((rpc) => rpc.lease.leaseLeases({}));
  return leases.filter((lease) => answer.leases.some(({ ID }) => ID === lease));
}

const orders: readonly (readonly [title: string, from: Version, to: Version, order: readonly Program[]])[] = [
  [`from ${previous.name}, nerve first`, 'previous', 'next', ['nerve', 'synapse']],
  [`from ${previous.name}, synapse first`, 'previous', 'next', ['synapse', 'nerve']],
  [`back to ${previous.name}`, 'next', 'previous', ['nerve', 'synapse']],
];

describe('an upgrade while everything runs', () => {
  const etcd = withCluster('3.5');

  for (const [index, [title, from, to, order]] of orders.entries()) {
    it(`${title}, keeps records, operators' changes, ids of servers and HAProxy's processes, and fails no request`, async (t) => {
      const path = `/nerve/services/api-${index}`;
      const site = await Site.start(t, etcd, path, from);
      const events = await recordEvents(etcd.client, `${path}/`, etcd.signal);
      const state = async () => ({
        records: await dump(etcd.client, path),
        servers: await site.servers(),
        processes: await site.haproxy.pids(),
      });
      const before = await state();
      assert.equal(Object.keys(before.records).length, 2);
      assert.equal(before.processes.length, 2);
      for (const program of order) {
        const old = await leasesOf(etcd, path);
        await site.run(program, to);
        // What the old process left behind ends with its lease.
        if (program === 'nerve') await eventually(async () => assert.deepEqual(await living(etcd, old), []));
        const { requests } = site.traffic;
        await eventually(() => assert.ok(site.traffic.requests > requests + 10));
        // The new nerve puts the same records under its own lease.
        assert.deepEqual(
          events.filter((event) => event.startsWith('delete') || event.endsWith('down')),
          [],
        );
        assert.deepEqual(await state(), before, `after the start of the other ${program}`);
      }
      assert.deepEqual(site.traffic.failures, []);
      // The new nerve still knows what operators did, and takes it back.
      await site.command(to, 'undrain', 'api-0');
      await site.command(to, 'weight', 'api-1', '-');
      await eventually(async () => {
        assert.deepEqual(await site.weights(), ['1', '1']);
      });
    });
  }
});
