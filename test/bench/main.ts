/**
 * `npm run bench [-- SECTION …] [--servers 10,1000,5000] [--changes 200] [--hosts 200]`: measures this checkout on this
 * machine. Sections, all of them but the last one by default: `propagation` (how long a change takes from etcd to HAProxy,
 * beside the least that any program here would take), `peers` (synapse beside a program that writes haproxy.cfg and reloads
 * HAProxy for each change, up to 50 changes), `convergence` (how long it takes until all of three hosts have
 * acknowledged a drain, `--rounds` times, and what deploys lose that rely on it; with `--proxies 200`, what a question costs etcd
 * in a fleet of that size), `bursts` (changes that come at once, and large configurations),
 * `nerve` and `scale` (what the daemons take of their host, and of etcd), `cluster` (what a fleet takes of etcd),
 * `footprint` (what one nerve, one synapse and their commands take of a host, as they are installed, beside a bare Node;
 * `--rounds`: how often each start is measured, default 7; `--dist`: the daemons of another checkout or package), `churn`
 * (whether synapse stays as large as it is while instances come that it never saw before; `--minutes`, default 7).
 *
 * `npm run bench -- lost-leases [--dist DIR] [--etcd 3.5] [--rate 20] [--rest 60] [--only TEXT]`: what requests cost when
 * announcements vanish, with three etcd members, both daemons and HAProxy. It takes a quarter of an hour, and root: some of
 * its hosts have networks of their own. With `--dist`, the `dist` of another built checkout, the daemons are that one's, so
 * that two versions can be compared. `--etcd`: 3.4 or 3.5; `--rate`: requests a second; `--rest`: seconds for which they go
 * on after the last step; `--only`: the scenarios whose title contains this text.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../../common/cli/program.ts';
import { exec } from '../../common/daemon/exec.ts';
import { knownHint } from '../../common/nearest.ts';
import { findProgram } from '../../deploy/tools/debian/programs.ts';
import { type LocalCluster, startCluster } from '../../etcd-cluster/members/local-cluster.ts';
import { installPackage, sizeOf } from '../support/package/installed-package.ts';
import { orUsage } from '../support/tool-options.ts';
import { measureBursts } from './burst.ts';
import { measureChurn } from './churn.ts';
import { measureCluster } from './cluster.ts';
import { convergenceText, largeFleetText, realHosts } from './convergence-texts.ts';
import { measureFootprint } from './footprint.ts';
import { footprintTables } from './footprint-tables.ts';
import { measureLostLeases } from './lost-leases.ts';
import { measureNerve } from './nerve.ts';
import { readBenchOptions } from './options.ts';
import { peersTable } from './peers.ts';
import { measurePropagation } from './propagation.ts';
import { measureScale } from './scale.ts';
import { formatTable, quantile } from './statistics.ts';

/** What every section works with. */
interface Bench {
  readonly folder: string;
  readonly etcd: LocalCluster;
  readonly etcdHosts: readonly string[];
  readonly haproxyPath: string;
}

const {
  changes,
  hosts,
  rate,
  rest,
  rounds,
  proxies,
  minutes,
  servers,
  dist: otherDist,
  etcdVersion,
  only,
  ...given
} = readBenchOptions();

const sections: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  ...{ propagation, peers, convergence, bursts, nerve, scale, cluster, footprint, churn },
  'lost-leases': lostLeases,
};
const usual = Object.keys(sections).filter((name) => name !== 'lost-leases');
const chosen = given.sections.length > 0 ? given.sections : usual;
orUsage(() => {
  const unknown = chosen.find((name) => !Object.hasOwn(sections, name));
  if (unknown === undefined) return;
  throw new UsageError(`unknown section ${unknown}; ${knownHint(unknown, Object.keys(sections))}`);
});

const folder = await mkdtemp(join(tmpdir(), 'smartstack-bench-'));
const haproxyPath = await findProgram('haproxy');
const etcd = await startCluster({ size: 3, etcd: await findProgram('etcd'), dataDir: join(folder, 'etcd') });
try {
  for (const name of chosen) await sections[name]?.({ folder, etcd, etcdHosts: etcd.urls, haproxyPath });
} finally {
  await etcd.stopAll();
  await rm(folder, { recursive: true, force: true });
}

async function convergence(bench: Bench): Promise<void> {
  const isLarge = proxies > realHosts;
  process.stdout.write(await (isLarge ? largeFleetText(bench, { proxies, rounds }) : convergenceText(bench, rounds)));
}

async function propagation(bench: Bench): Promise<void> {
  const rows = [['servers', 'floor p50', 'synapse p50', 'ratio', 'floor p99', 'synapse p99', 'ratio']];
  for (const count of servers) {
    const home = join(bench.folder, String(count));
    await mkdir(home);
    const { floor, synapse } = await measurePropagation({ ...bench, folder: home, servers: count, changes });
    const cells = [0.5, 0.99].flatMap((share) => {
      const [least, ours] = [quantile(floor, share), quantile(synapse, share)];
      return [fixed(least), fixed(ours), `${fixed(ours / least)}x`];
    });
    rows.push([String(count), ...cells]);
  }
  const what = `From an etcd put to HAProxy having the new server in rotation, ms, ${changes} changes`;
  print(`${what}, three etcd members and both HAProxy on this machine`, rows);
}

async function peers(bench: Bench): Promise<void> {
  const rows = await peersTable({ ...bench, changes: Math.min(changes, 50) }, servers);
  const what = 'From an etcd put to HAProxy having the new server in rotation, and what HAProxy takes afterwards';
  print(`${what}; ${changes} changes, before each of which a client opens a connection that stays`, rows);
}

async function bursts(): Promise<void> {
  /** Services, and servers in each. */
  const shapes = [
    [1, 10],
    [1, 1_000],
    [1, 5_000],
    [5_000, 10],
  ] as const;
  const rows = [
    ['services x servers', 'in step', 'one p50', 'p99', 'CPU of one', '100 at once', '1000 at once', 'reloads'],
  ];
  const wrong: string[] = [];
  for (const [services, servers] of shapes) {
    const { inStep, one, many, floor, reloads } = await measureBursts(services, servers);
    const shape = `${services} x ${servers}`;
    const median = quantile(one.live, 0.5);
    const beside = (live: number, index: number): string => `${fixed(live)} (floor ${fixed(floor[index]?.live ?? 0)})`;
    const lives = many.map(({ live }, index) => beside(live, index + 1));
    rows.push([
      shape,
      fixed(inStep),
      beside(median, 0),
      fixed(quantile(one.live, 0.99)),
      fixed(one.cpu),
      ...lives,
      String(reloads),
    ]);
    if (median > 5) wrong.push(`${shape}: one change within 5 ms`);
    if (one.cpu > 20) wrong.push(`${shape}: one change for less than 20 ms of processor time`);
    if ((many.at(-1)?.live ?? 0) > 500) wrong.push(`${shape}: 1000 changes at once within 500 ms`);
    if (reloads > 0) wrong.push(`${shape}: no reload for membership`);
  }
  print(
    "From a change in synapse's memory to HAProxy's answers, without etcd, ms; CPU with the file's; the floor comes last, in a backend that is larger by then",
    rows,
  );
  process.stdout.write(
    `goals: one change within 5 ms and 20 ms of processor time, 1000 at once within 500 ms, no reload: ${wrong.length === 0 ? 'met' : `not met: ${wrong.join('; ')}`}\n\n`,
  );
}

async function nerve({ folder, etcdHosts }: Bench): Promise<void> {
  const [services, seconds, ttlSeconds] = [1_000, 30, 10];
  const load = await measureNerve({ folder, etcdHosts, services, seconds, ttlSeconds });
  const rows = [
    ['probes per second', load.probesPerSecond.toFixed(0)],
    ['failed probes', String(load.failedProbes)],
    ['CPU, share of one core', `${load.cpuPercent.toFixed(0)} %`],
    ['resident memory', `${load.residentMegabytes.toFixed(0)} MB`],
    ['latest start of a probe, less than', `${load.worstLatenessSeconds * 1000} ms`],
    ['announced', String(load.announced)],
    ['etcd writes per second', fixed(load.writesPerSecond)],
    ['etcd reads per second, 100 records each', fixed(load.readsPerSecond)],
    ['etcd keepalives per second', fixed(load.keepalivesPerSecond)],
  ];
  print(
    `One nerve, ${services} services with one http check per second each, at rest for ${seconds} s, ttl ${ttlSeconds} s`,
    rows,
  );
}

async function scale(bench: Bench): Promise<void> {
  /** Services, and instances of each. */
  const shapes = [
    [10, 50],
    [1_000, 50],
    [5_000, 10],
  ] as const;
  const head = ['services x instances', 'first write s', 'memory MB', 'at rest %', 'HAProxy at rest %'];
  const rows = [[...head, 'CPU ms', 'commands', 'bytes to disk']];
  for (const [services, instances] of shapes) {
    const result = await measureScale({ ...bench, services, instances, changes: 20, restSeconds: 30 });
    const { cpuMilliseconds, commands, bytesWritten } = result.change;
    const rest = [result.rest.synapsePercent, result.rest.haproxyPercent].map((share) => share.toFixed(1));
    const start = [fixed(result.firstWriteSeconds), result.residentMegabytes.toFixed(0)];
    const change = [cpuMilliseconds.toFixed(1), commands.toFixed(1), bytesWritten.toFixed(0)];
    rows.push([`${services} x ${instances}`, ...start, ...rest, ...change]);
  }
  const what = 'One synapse, from its start; at rest, shares of one core';
  print(`${what}; then for one change, the write of the whole file included`, rows);
}

async function cluster({ folder }: Bench): Promise<void> {
  const {
    costs,
    writes,
    writeMs: write,
    keys,
  } = await measureCluster({ folder, etcd: await findProgram('etcd'), hosts });
  const rows = [['', 'member MB', 'CPU of all %', 'change seen by all ms', 'not seen by', 'proxy MB', 'proxy CPU %']];
  const cell = (value: number | undefined, digits: number): string =>
    value === undefined || Number.isNaN(value) ? '' : value.toFixed(digits);
  for (const { what, memory, cpu, seenMs, missing, proxy } of costs) {
    const before = [what, cell(memory, 0), cell(cpu, 0), cell(seenMs, 1), `${missing}`];
    rows.push([...before, cell(proxy?.memory, 0), cell(proxy?.cpu, 0)]);
  }
  print('Three etcd members with hosts of one nerve (ttl 10 s) and one synapse (11 services of 51), at rest', rows);
  const more = [`${writes.toFixed(0)} puts per second by 64 at a time`, `${fixed(write)} ms for one alone`];
  process.stdout.write(`${more.join(', ')}; 10,000 more keys of 200 bytes take ${keys.toFixed(0)} MB of a member\n\n`);
}

/** The daemons to measure: those of `--dist`, else the package of this checkout as npm installs it. */
async function shipped(folder: string) {
  if (otherDist !== undefined) return { dist: otherDist };
  const home = await mkdtemp(join(folder, 'package-'));
  const installed = await installPackage(home);
  return { dist: join(installed.folder, 'dist'), installed };
}

async function churn(bench: Bench): Promise<void> {
  const perSecond = 10;
  const { dist } = await shipped(bench.folder);
  const { samples, cpuPercent } = await measureChurn({ ...bench, dist, minutes, perSecond });
  const rows = samples.map(({ seconds, megabytes }) => [seconds.toFixed(0), megabytes.toFixed(0)]);
  print(`One synapse, ${perSecond} new instances a second, none of which returns`, [
    ['seconds', 'resident MB'],
    ...rows,
  ]);
  process.stdout.write(`${fixed(cpuPercent)} % of a core\n\n`);
}

async function footprint(bench: Bench): Promise<void> {
  const { dist, installed } = await shipped(bench.folder);
  const measured = await measureFootprint({ ...bench, dist, rounds, restSeconds: 30 });
  for (const [title, rows] of footprintTables(measured, rounds)) print(title, rows);
  if (installed === undefined) return;
  const bytes = await sizeOf(installed.modules);
  process.stdout.write(`installed by npm: ${fixed(bytes / 1024 / 1024)} MB in all\n\n`);
}

async function lostLeases({ haproxyPath }: Bench): Promise<void> {
  const rows = [
    ['', 'check', 'sent', 'failed', 'wrong service', 'allowed', 'slowest s', 'left after s', 'returns', 'fewest'],
  ];
  const notes: string[] = [];
  const exceeded: string[] = [];
  const own = otherDist === undefined ? {} : { dist: otherDist };
  const options = { perSecond: rate, restSeconds: rest, etcdVersion, only, ...own };
  await measureLostLeases(options, ({ title, countedFrom, allowedFor, costs }) => {
    for (const { check, sent, failed, wrong, allowed, ...cost } of costs) {
      const how = check ? 'yes' : 'no';
      const left = cost.leftSeconds === undefined ? 'never' : cost.leftSeconds.toFixed(1);
      const numbers = [sent, failed, wrong, allowed].map(String);
      const more = [cost.slowestSeconds.toFixed(1), left, String(cost.returns), `${cost.fewest} of ${cost.stays}`];
      rows.push([title, how, ...numbers, ...more]);
      if (failed + wrong > allowed) exceeded.push(`${title}, ${check ? 'with' : 'without'} check`);
    }
    notes.push(`${title}: since ${countedFrom}; allowed: ${allowedFor === '' ? 'none' : allowedFor}`);
    process.stderr.write(`done: ${title}\n`);
  });
  const haproxy = (await exec([haproxyPath, '-v'], { timeoutMs: 10_000 })).stdout.split(' ')[2];
  const programs = `etcd ${etcdVersion}, HAProxy ${haproxy}, daemons of ${otherDist ?? 'this checkout'}`;
  print(`What vanishing announcements cost, ${rate} requests a second, ${programs}`, rows);
  process.stdout.write(`Requests are counted:\n${notes.join('\n')}\n\n`);
  process.stdout.write(
    `allowed by the rule: ${exceeded.length === 0 ? 'kept' : `exceeded:\n${exceeded.join('\n')}`}\n\n`,
  );
}

function fixed(value: number): string {
  return value.toFixed(2);
}

function print(title: string, rows: readonly (readonly string[])[]): void {
  process.stdout.write(`${title}:\n\n${formatTable(rows)}\n\n`);
}
