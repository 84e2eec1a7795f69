import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EtcdClient } from '../../../common/etcd/client/client.ts';
import { prefixRange } from '../../../common/etcd/client/key-value.ts';
import type { LocalCluster } from '../../../etcd-cluster/members/local-cluster.ts';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import type { StateReport } from '../../../synapse/report/status-shape.ts';
import { directClient, put, testCluster } from '../etcd/etcd.ts';
import { eventually } from '../eventually.ts';
import { haproxySection, type NamedServer, namedServer, type TestHaproxy, testHaproxy } from '../haproxy/haproxy.ts';
import type { HaproxyVersion } from '../haproxy/versions.ts';
import { type DnsServer, startDnsServer } from '../servers/dns-server.ts';
import { until } from '../until.ts';
import { startDaemon, type TestDaemon } from './daemon.ts';
import { Visitor } from './visitor.ts';

/** What strangers may write: all keys of the service `ours`, and its published configuration. */
export const ours = '/nerve/services/ours/';
const published = '/smartstack/config/ours';
const victimKey = '/nerve/services/theirs/';

/** Names that the name server of a {@link HostileSite} knows. None leads out of this machine. */
export const hostileNames = ['good.test', 'two.test', 'hang.test', 'fails.test', 'any.test', 'many.test', 'self.test'];
/** One reload of a service in this time, after three. */
const serviceReloadSeconds = 4;

/** A key and its value; null: the key is deleted. */
export type Write = readonly [key: string, value: string | null];

/** A value of `/metrics`, over all its labels. */
const sumOf = (metrics: string, name: string): number =>
  [...metrics.matchAll(new RegExp(`^${name}\\{[^}]*\\} (\\d+)$`, 'gm'))].reduce(
    (sum, [, value]) => sum + Number(value),
    0,
  );

/**
 * A synapse and a HAProxy that run, with two services: strangers may write everything of one, and a visitor uses the other one
 * all the time.
 */
export class HostileSite {
  readonly #end = new AbortController();
  readonly #startedAt = performance.now();
  readonly #parts: { close(): Promise<unknown> }[] = [];
  #etcd!: { readonly cluster: LocalCluster; readonly client: EtcdClient };
  #haproxy!: TestHaproxy;
  #synapse!: TestDaemon;
  #dns!: DnsServer;
  #visitor!: Visitor;
  #victim!: NamedServer;
  #good!: NamedServer;
  #ports!: { readonly ours: number; readonly theirs: number; readonly admin: number };
  /** haproxy.cfg before the strangers came; see {@link untouchable}. */
  #before = '';
  #reloadsBefore = 0;
  #weight = 1;

  /** Ports of HAProxy and of synapse: an instance there would be a loop. */
  get ownPorts(): readonly number[] {
    return Object.values(this.#ports);
  }

  /** Starts everything. */
  static async open(version: HaproxyVersion): Promise<HostileSite> {
    const site = new HostileSite();
    try {
      await site.#start(version);
    } catch (error) {
      await site.close();
      throw error;
    }
    return site;
  }

  async close(): Promise<void> {
    this.#end.abort();
    for (const part of this.#parts.reverse()) await part.close();
  }

  /** Writes keys, some at the same time, and waits until synapse has seen them. */
  async write(writes: readonly Write[]): Promise<void> {
    const together = 10;
    for (let at = 0; at < writes.length; at += together) {
      await Promise.all(writes.slice(at, at + together).map((write) => this.#writeOne(write)));
    }
    await this.#followed();
  }

  /** Publishes a configuration of the service of the strangers; null: none. */
  async publish(text: string | null): Promise<void> {
    await this.#writeOne([published, text]);
  }

  /** @throws when strangers have reached anything but the servers and the options of their own service */
  async assertUnharmed(): Promise<void> {
    const text = await readFile(this.#haproxy.file, 'utf8');
    assert.equal(untouchable(text), this.#before);
    for (const line of serverLines(text)) this.#assertServerLine(line);
    for (const [name, row] of await this.#haproxy.servers()) {
      assert.equal(row.srv_fqdn, '-', `${name}: HAProxy looks its host up`);
      if (name.startsWith('theirs/'))
        assert.deepEqual([row.srv_port, row.srv_admin_state], [`${this.#victim.port}`, '0']);
    }
    assert.deepEqual(this.#visitor.failures, []);
    const seconds = (performance.now() - this.#startedAt) / 1_000;
    const reloads = (await this.#reloads()) - this.#reloadsBefore;
    assert.ok(reloads <= 4 + seconds / serviceReloadSeconds, `${reloads} reloads in ${seconds} s`);
    this.#assertLogBounded(seconds);
  }

  /** Removes what strangers have written. @throws when synapse and HAProxy do not go on as if nothing had happened */
  async recover(): Promise<void> {
    await this.#etcd.client.call((rpc) => {
      const { key, end } = prefixRange(ours);
      return rpc.kv.deleteRange({ key, range_end: end });
    });
    await this.publish(null);
    const { port } = this.#good;
    const id = `good_127.0.0.1:${port}`;
    await this.#writeOne([`${ours}${id}`, JSON.stringify({ host: '127.0.0.1', port, name: 'good' })]);
    await until(async () => {
      const used = [...(await this.#haproxy.servers())].filter(
        ([name, row]) => name.startsWith('ours/') && row.srv_admin_state === '0',
      );
      return used.length === 1 && used[0]?.[0] === `ours/${id}`;
    });
    await eventually(async () => {
      const { haproxy } = await this.#state();
      assert.deepEqual(haproxy?.stuck, []);
      assert.equal(haproxy?.rejected, null);
      assert.deepEqual(haproxy?.quarantined, {});
      assert.equal(haproxy?.sockets[0]?.connected, true);
      assert.equal(haproxy?.sockets[0]?.generation, haproxy?.wantedGeneration);
    });
    await until(async () => serverLines(await readFile(this.#haproxy.file, 'utf8')).length === 2);
    await until(async () => (await fetchText(this.#ports.ours)) === 'good');
    await until(async () => (await this.#synapse.get('/readyz')).status === 200);
  }

  async #start(version: HaproxyVersion): Promise<void> {
    const cluster = await testCluster('3.5', { size: 1 });
    this.#parts.push({ close: () => cluster.stopAll() });
    this.#etcd = { cluster, client: directClient(cluster, this.#end.signal) };
    this.#haproxy = this.#own(await testHaproxy(version));
    this.#dns = this.#own(await startDnsServer());
    this.#victim = this.#own(await namedServer('victim'));
    this.#good = this.#own(await namedServer('good'));
    this.#ports = { ours: await freePort(), theirs: await freePort(), admin: await freePort() };
    this.#fillDns();
    await this.#writeOne([`${ours}first_127.0.9.9:9`, JSON.stringify({ host: '127.0.9.9', port: 9, name: 'first' })]);
    await this.#announceVictim();
    const config = join(this.#haproxy.folder, 'synapse.json');
    await writeFile(config, JSON.stringify(this.#configuration()));
    const synapse = await startDaemon('synapse', config);
    this.#synapse = synapse;
    this.#parts.push({ close: () => synapse.end('SIGKILL') });
    const text = () => readFile(this.#haproxy.file, 'utf8').catch(() => '');
    await until(async () => serverLines(await text()).length === 2);
    await this.#haproxy.start();
    await until(async () => (await this.#state()).haproxy?.sockets[0]?.connected === true);
    await until(async () => (await fetchText(this.#ports.theirs)) === 'victim');
    this.#before = untouchable(await text());
    this.#reloadsBefore = await this.#reloads();
    this.#visitor = this.#own(new Visitor(this.#ports.theirs, 'victim'));
  }

  #own<Part extends { close(): Promise<unknown> }>(part: Part): Part {
    this.#parts.push(part);
    return part;
  }

  #fillDns(): void {
    const answers = { good: ['127.0.9.1'], two: ['127.0.9.2', '127.0.9.3'], any: ['0.0.0.0'], many: ['224.0.0.9'] };
    for (const [name, addresses] of Object.entries({ ...answers, self: ['127.0.0.1'] })) {
      this.#dns.zone.set(
        `${name}.test A`,
        addresses.map((address) => ({ address, ttl: 1 })),
      );
    }
    this.#dns.zone.set('hang.test A', 'hang');
    this.#dns.zone.set('fails.test A', 2);
  }

  #configuration(): object {
    const service = (name: 'ours' | 'theirs') => ({
      discovery: { method: 'etcd', generator_config_path: `/smartstack/config/${name}` },
      haproxy: { port: this.#ports[name], bind_address: '127.0.0.1', listen: ['mode http', 'cookie SRV insert'] },
    });
    const limits = { service_reload_interval: `${serviceReloadSeconds}s`, restart_interval: '100ms' };
    return {
      etcd: { hosts: this.#etcd.cluster.urls },
      admin: { listen: `127.0.0.1:${this.#ports.admin}` },
      dns: { nameserver: this.#dns.address, timeout: '500ms' },
      services: { ours: service('ours'), theirs: service('theirs') },
      // From 3.3 on, HAProxy refuses a frontend and a backend of one name.
      haproxy: haproxySection(this.#haproxy, { ...limits, frontend_suffix: '.in', server_order_seed: 1 }),
    };
  }

  async #writeOne([key, value]: Write): Promise<void> {
    if (value !== null) await put(this.#etcd.client, key, value);
    else await this.#etcd.client.call((rpc) => rpc.kv.deleteRange({ key: Buffer.from(key) }));
  }

  /** The victim changes its weight: when synapse has that, it has seen what was written before. */
  async #followed(): Promise<void> {
    this.#weight = (this.#weight % 200) + 1;
    await this.#announceVictim();
    await until(async () => (await this.#state()).services.theirs?.instances?.[0]?.weight === this.#weight);
  }

  async #announceVictim(): Promise<void> {
    const { port } = this.#victim;
    const record = { host: '127.0.0.1', port, name: 'victim', weight: this.#weight };
    await this.#writeOne([`${victimKey}victim_127.0.0.1:${port}`, JSON.stringify(record)]);
  }

  async #state(): Promise<StateReport> {
    return JSON.parse((await this.#synapse.get('/api/v1/state')).body) as StateReport;
  }

  async #reloads(): Promise<number> {
    return sumOf((await this.#synapse.get('/metrics')).body, 'synapse_haproxy_reloads_total');
  }

  #assertServerLine(line: string): void {
    const [, name = '', address = '', words = ''] = /^\tserver (\S+) (\S+)( [ -~]*)?$/.exec(line) ?? [];
    assert.ok(name.endsWith(address), line);
    assert.match(address, /^(127\.0\.[09]\.\d|::1):\d+$/);
    assert.doesNotMatch(
      words,
      /["'\\#$;]| (addr|agent-\w+|source|socks4|ssl|verify|redir|track|crt|ca-file|resolvers) /,
    );
    if (address.startsWith('127.0.0.1:')) {
      assert.ok(!this.ownPorts.includes(Number(address.split(':')[1])), `a loop: ${line}`);
    }
  }

  /** Each message about one service, and each about none: 60 lines, then one per second. Debug lines are not meant for operation. */
  #assertLogBounded(seconds: number): void {
    const counts = new Map<string, number>();
    for (const { level, message, service = '' } of this.#synapse.lines) {
      const kind = `${level} ${service} ${message}`;
      if (level !== 'debug') counts.set(kind, (counts.get(kind) ?? 0) + 1);
    }
    for (const [kind, count] of counts) assert.ok(count <= 61 + seconds, `${count} lines in ${seconds} s: ${kind}`);
  }
}

/** The server lines of a file. */
function serverLines(text: string): readonly string[] {
  return text.split('\n').filter((line) => line.startsWith('\tserver '));
}

/** What no stranger may change in a file: all sections but those of `ours`, and of these where they listen and lead. */
function untouchable(text: string): string {
  let isOurs = false;
  return text
    .split('\n')
    .map((line) => line.replace(/^(\tsetenv SYNAPSE_GEN) .*/, '$1'))
    .filter((line) => {
      if (/^\S/.test(line)) isOurs = /^(frontend|backend) ours(\.in)?$/.test(line);
      if (isOurs) return /^(\S|\t(bind|default_backend|use_backend|mode|log|stats|source) )/.test(line);
      return line !== '';
    })
    .map((line) => line.replace(/(?<=^\tserver victim_.*)weight \d+/, 'weight'))
    .join('\n');
}

async function fetchText(port: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } }).catch(
    () => undefined,
  );
  return (await response?.text()) ?? '';
}
