import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Counter, Gauge, Histogram } from 'prom-client';
import { exec } from '../../../common/daemon/exec.ts';
import { pruneSeries, registry } from '../../../common/daemon/metrics.ts';
import { findProgram } from '../../../deploy/tools/debian/programs.ts';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { statsdNames as nerveNames } from '../../../nerve/statsd.ts';
import { haproxyStatsd } from '../../../synapse/haproxy/metrics.ts';
import { statsdNames as synapseNames } from '../../../synapse/statsd.ts';
import { programPath, startDaemon, type TestDaemon } from '../../support/daemons/daemon.ts';
import { tableRows } from '../../support/docs/markdown.ts';
import { put } from '../../support/etcd/etcd.ts';
import { withCluster } from '../../support/etcd/with-cluster.ts';
import { eventually, patienceMs } from '../../support/eventually.ts';
import {
  haproxySection,
  type NamedServer,
  namedServer,
  type TestHaproxy,
  testHaproxy,
} from '../../support/haproxy/haproxy.ts';
import { type Exposed, parseExposition } from '../../support/process/exposition.ts';
import { root } from '../../support/repository.ts';
import { type UdpServer, udpServer } from '../../support/servers/udp-server.ts';

const page = join(root, 'common/metrics.md');

/** What both daemons told StatsD, once they have ended. */
let lines: readonly string[] = [];

function bare(cell: string): string {
  return cell.replaceAll('`', '');
}

/** A row of the table. */
function rowOf([name, { type, labels, help }]: readonly [string, Exposed]): string {
  const cells = [`\`${name}\``, type, labels.map((label) => `\`${label}\``).join(', '), help.replaceAll('|', '\\|')];
  return `| ${cells.join(' | ')} |`.replaceAll('|  |', '| |');
}

describe('the metrics of both daemons', () => {
  const etcd = withCluster('3.5');
  let haproxy: TestHaproxy;
  let server: NamedServer;
  let nerve: TestDaemon;
  let synapse: TestDaemon;
  let statsd: UdpServer;
  const exposed = new Map<string, Exposed>();

  before(async () => {
    haproxy = await testHaproxy();
    server = await namedServer('one');
    statsd = await udpServer();
    const endpoints = { hosts: etcd.cluster.urls };
    const told = { host: '127.0.0.1', port: statsd.port };
    const admin = { listen: '127.0.0.1:0', control_socket: false };
    const nerveFile = join(haproxy.folder, 'nerve.json');
    const nerveAdmin = { ...admin, control_socket: join(haproxy.folder, 'nerve.sock') };
    const api = { host: '127.0.0.1', port: server.port, check_interval: 0.1, checks: [{ type: 'tcp', timeout: 5 }] };
    await writeFile(
      nerveFile,
      JSON.stringify({
        instance_id: 'one',
        etcd: endpoints,
        admin: nerveAdmin,
        state_file_path: false,
        statsd: told,
        services: { api: { ...api, labels: { az: 'a' }, rate_limiting: { average_rate: 10, max_burst: 10 } } },
      }),
    );
    const synapseFile = join(haproxy.folder, 'synapse.json');
    const discovery = { method: 'etcd', generator_config_path: '/config/api' };
    const fallback = { method: 'static', servers: [{ host: '127.0.0.1', port: server.port }], after: '500ms' };
    const lines = { listen: ['mode http'] };
    await writeFile(
      synapseFile,
      JSON.stringify({
        etcd: endpoints,
        admin: { listen: '127.0.0.1:0' },
        statsd: told,
        services: {
          api: { discovery, prefer: { label: 'az', value: 'a' }, haproxy: { ...lines, port: await freePort() } },
          web: { discovery: { method: 'etcd', fallback }, haproxy: { ...lines, port: await freePort() } },
        },
        haproxy: haproxySection(haproxy, { restart_interval: 0 }),
      }),
    );
    await put(etcd.client, '/config/api', JSON.stringify({ haproxy: { listen: ['mode http', 'timeout server 7s'] } }));
    await haproxy.startEmpty();
    [nerve, synapse] = await Promise.all([startDaemon('nerve', nerveFile), startDaemon('synapse', synapseFile)]);
    const says = (pattern: RegExp): Promise<void> =>
      eventually(async () => assert.match((await synapse.get('/metrics')).body, pattern));
    await says(/^synapse_haproxy_reloads_total\{reason="configuration",result="done"\} 1$/m);
    await says(/^synapse_ready 1$/m);
    await says(/^synapse_instances\{service="api",state="up"\} 1$/m);
    const two = { host: '127.0.0.1', port: server.port, name: 'two' };
    await put(etcd.client, `/nerve/services/api/two_127.0.0.1:${server.port}`, JSON.stringify(two));
    for (const program of ['nerve', 'synapse']) {
      await eventually(() => assert.ok(statsd.lines.some((line) => new RegExp(`^${program}.*ping.count`).test(line))));
    }
    await says(/^synapse_haproxy_apply_duration_seconds_count [1-9]/m);
    // The first question to the fleet makes nerve's series.
    const drain = [process.execPath, programPath('nerve'), 'drain', 'api', '--wait', '-c', nerveFile] as const;
    await exec(drain, { timeoutMs: patienceMs });
    // HAProxy's counters are compared with the reading before.
    await says(/^synapse_haproxy_queued_requests\{service="api"\} 0$/m);
    for (const daemon of [nerve, synapse]) {
      for (const [name, metric] of parseExposition((await daemon.get('/metrics')).body)) exposed.set(name, metric);
    }
  });
  after(async () => {
    await Promise.all([nerve?.end(), synapse?.end()]);
    await haproxy?.close();
    await server?.close();
    lines = statsd?.lines ?? [];
    await statsd?.close();
  });

  it('are those in the table of common/metrics.md, with the same types, labels and meanings', async () => {
    const rows = (await readFile(page, 'utf8')).split('\n').filter((line) => /^\| `\w+` /.test(line));
    const right = new Set([...exposed].map(rowOf));
    const missing = [...right].filter((row) => !rows.includes(row));
    const surplus = rows.filter((row) => !right.has(row));
    assert.ok(missing.length === 0, `common/metrics.md lacks:\n${missing.join('\n')}`);
    assert.ok(surplus.length === 0, `common/metrics.md has what no daemon shows:\n${surplus.join('\n')}`);
  });

  it('have names that follow the conventions of Prometheus', () => {
    for (const [name, { type, help }] of exposed) {
      assert.match(name, /^(nerve|synapse|process|nodejs)_[a-z0-9_]+$/);
      assert.ok(/[^.]/.test(help), name);
      assert.doesNotMatch(name, /milliseconds|minutes|percent|kilobytes/, `${name}: base units only`);
      if (!/^(nerve|synapse)_/.test(name)) continue;
      assert.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`);
      if (type === 'histogram') assert.match(name, /_seconds$/);
    }
  });

  it('pass the checks of promtool', async () => {
    const program = await findProgram('promtool');
    for (const daemon of [nerve, synapse]) {
      const { body: input } = await daemon.get('/metrics');
      const { code, stdout, stderr } = await exec([program, 'check', 'metrics'], { input, timeoutMs: 60_000 });
      assert.deepEqual([code, `${stdout}${stderr}`], [0, '']);
    }
  });

  it('show the version that runs, and that it is ready', async () => {
    for (const [daemon, name] of [
      [nerve, 'nerve'],
      [synapse, 'synapse'],
    ] as const) {
      const { body } = await daemon.get('/metrics');
      assert.match(body, new RegExp(`^${name}_build_info\\{version="[^"]+",node="\\d[^"]+"\\} 1$`, 'm'));
      assert.match(body, new RegExp(`^${name}_ready 1$`, 'm'));
    }
  });
});

describe('the names of SmartStack', () => {
  const names = async (): Promise<readonly (readonly [string, string])[]> =>
    tableRows(await readFile(page, 'utf8'), 'StatsD').map(([name = '', tags = '']) => [bare(name), bare(tags)]);

  it('are those in the table of common/metrics.md', async () => {
    const of = (program: 'nerve' | 'synapse') => [`${program}.start`, `${program}.stop`];
    const nerve = nerveNames({ services: new Map() }, '');
    const synapse = synapseNames(() => [{ name: 'a', up: true }], '', haproxyStatsd);
    const known = new Set([
      ...['nerve', 'synapse'].flatMap((program) => of(program as 'nerve')),
      ...[...nerve.counters, ...synapse.counters].map(({ name }) => name),
      'nerve.watcher.status.ping.count',
      ...[...synapse.round()].map(([name]) => name),
    ]);
    assert.deepEqual((await names()).map(([name]) => name).toSorted(), [...known].toSorted());
  });

  it('have the tags in the table', async () => {
    const told = new Map(await names());
    for (const line of lines) {
      const [, name = '', tags = ''] = /^([\w.]+):\d+\|c(?:\|#(.*))?$/.exec(line) ?? [];
      const keys = tags === '' ? [] : tags.split(',').map((tag) => tag.split(':')[0]);
      assert.equal(keys.join(', '), told.get(name), line);
    }
  });

  it('are sent by both daemons, up to the stop of each', () => {
    for (const line of [
      'nerve.start:1|c',
      'nerve.watcher.launch:1|c|#launch_reason:new,watcher_name:api',
      'nerve.watcher.status.transition:1|c|#new_status:up,service_name:api',
      'nerve.watcher.status.report.count:1|c|#report_result:success,service_name:api',
      'nerve.stop:1|c|#stop_avenue:clean,stop_location:main_loop',
      'synapse.start:1|c',
      'synapse.watcher.start:1|c|#start_result:success,watcher_name:api',
      'synapse.stop:1|c|#stop_avenue:clean,stop_location:main_loop',
    ]) {
      assert.ok(lines.includes(line), `${line} in\n${lines.join('\n')}`);
    }
    assert.ok(
      lines.some((line) =>
        /^nerve\.watcher\.status\.service_check:\d+\|c\|#check_result:up,service_name:api,/.test(line),
      ),
    );
    assert.ok(
      lines.some((line) => line.startsWith('synapse.watcher.ping.count:1|c|#watcher_name:api,ping_result:success,')),
    );
    assert.ok(lines.some((line) => /^synapse\.haproxy\.check_config:\d+\|c\|#status:true$/.test(line)));
  });
});

describe('the series of removed services', () => {
  it('are pruned, and the series of other services and without a service stay', async () => {
    const registers = [registry];
    const counter = new Counter({ name: 'pruned_total', help: 'x', labelNames: ['service', 'how'], registers });
    const histogram = new Histogram({ name: 'pruned_seconds', help: 'x', labelNames: ['service'], registers });
    const gauge = new Gauge({ name: 'pruned', help: 'x', labelNames: ['kind'], registers });
    for (const service of ['gone', 'here']) {
      for (const how of ['a', 'b']) counter.inc({ service, how });
      histogram.observe({ service }, 1);
    }
    gauge.set({ kind: 'gone' }, 1);
    await pruneSeries((service) => service === 'here');
    const text = await registry.metrics();
    assert.doesNotMatch(text, /service="gone"/);
    assert.match(text, /pruned_total\{service="here",how="b"\} 1/);
    assert.match(text, /pruned_seconds_count\{service="here"\} 1/);
    assert.match(text, /pruned\{kind="gone"\} 1/);
  });
});
