import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { sleep } from '../../common/async/sleep.ts';
import { startChild, waitFor } from '../../deploy/demo/child.ts';
import { answers } from '../../deploy/demo/probe.ts';
import { freePort } from '../../etcd-cluster/members/ports.ts';
import { builtFile } from '../support/repository.ts';

/** The size and the length of a measurement. */
export interface NerveLoadOptions {
  readonly folder: string;
  readonly etcdHosts: readonly string[];
  /** Services, each with one http check per second. */
  readonly services: number;
  /** Length of the measurement, seconds. */
  readonly seconds: number;
  /** Lease seconds. */
  readonly ttlSeconds: number;
}

/** The resources that one nerve uses on its host and in etcd while nothing changes. */
export interface NerveLoad {
  readonly probesPerSecond: number;
  /** Percent of one core. */
  readonly cpuPercent: number;
  readonly residentMegabytes: number;
  /** The longest delay of a probe's start, in seconds: the upper bound of its histogram bucket. */
  readonly worstLatenessSeconds: number;
  readonly failedProbes: number;
  readonly announced: number;
  readonly writesPerSecond: number;
  readonly readsPerSecond: number;
  readonly keepalivesPerSecond: number;
}

const nerveMain = builtFile('nerve/main.js');

/** Runs one nerve with many services on one server that answers at once, and reads its own metrics. */
export async function measureNerve(options: NerveLoadOptions): Promise<NerveLoad> {
  const { folder, etcdHosts, services, seconds, ttlSeconds } = options;
  const server = createServer((_, response) => response.end('ok'));
  server.listen({ host: '127.0.0.1', port: 0, backlog: 1024 });
  const admin = `127.0.0.1:${await freePort()}`;
  const { port } = server.address() as AddressInfo;
  const check = { type: 'http', uri: '/health', host: '127.0.0.1', port, timeout: '2s', interval: 1 };
  const entry = (number: number) => ({ host: '10.0.0.1', port: 1024 + number, checks: [check] });
  const config = {
    instance_id: 'bench',
    ttl: ttlSeconds,
    etcd: { hosts: etcdHosts },
    admin: { listen: admin, control_socket: false },
    state_file_path: false,
    services: Object.fromEntries(Array.from({ length: services }, (_, i) => [`s${i}`, entry(i)])),
  };
  const file = join(folder, 'nerve.json');
  await writeFile(file, JSON.stringify(config));
  const nerve = await startChild([process.execPath, nerveMain, '-c', file], {
    name: 'nerve',
    logFile: join(folder, 'nerve.log'),
  });
  const read = async (): Promise<Metrics> => parse(await (await fetch(`http://${admin}/metrics`)).text());
  try {
    await waitFor(nerve, () => answers(`http://${admin}/readyz`), 60_000);
    await waitFor(nerve, async () => (await read()).sum('nerve_announcements_total') >= services, 60_000);
    // The first pauses are spread over the interval; announcing costs something too.
    await sleep(5_000);
    const [before, begin] = [await read(), performance.now()];
    await sleep(seconds * 1_000);
    const [after, took] = [await read(), (performance.now() - begin) / 1000];
    const rate = (name: string, labels = ''): number => (after.sum(name, labels) - before.sum(name, labels)) / took;
    return {
      probesPerSecond: rate('nerve_probes_total'),
      cpuPercent: rate('process_cpu_seconds_total') * 100,
      residentMegabytes: after.sum('process_resident_memory_bytes') / 1024 / 1024,
      worstLatenessSeconds: worst(before, after),
      failedProbes: after.sum('nerve_probes_total', 'fail') + after.sum('nerve_probes_total', 'timeout'),
      announced: after.sum('nerve_announcements_total', 'announce'),
      // At rest a transaction only reads: nerve reads its records now and then.
      writesPerSecond: rate('nerve_announcements_total'),
      readsPerSecond: rate('nerve_etcd_requests_total'),
      keepalivesPerSecond: rate('nerve_etcd_lease_renewals_total'),
    };
  } finally {
    await nerve.stop('SIGTERM', 20_000);
    server.close();
    server.closeAllConnections();
  }
}

interface Metrics {
  /** All samples of a metric whose labels contain a text. */
  sum(name: string, labels?: string): number;
}

function parse(text: string): Metrics {
  const samples = text.split('\n').flatMap((line) => {
    const match = /^(\w+)(\{.*\})? (\S+)$/.exec(line);
    return match === null ? [] : [{ name: match[1], labels: match[2] ?? '', value: Number(match[3]) }];
  });
  return {
    sum: (name, labels = '') =>
      samples
        .filter((sample) => sample.name === name && sample.labels.includes(labels))
        .reduce((total, { value }) => total + value, 0),
  };
}

/** The smallest bound that no probe in between exceeded; Infinity when one exceeded all of them. */
function worst(before: Metrics, after: Metrics): number {
  const counted = (le: string): number => {
    const name = 'nerve_probe_lateness_seconds_bucket';
    return after.sum(name, `le="${le}"`) - before.sum(name, `le="${le}"`);
  };
  const all = counted('+Inf');
  const bounds = ['0.001', '0.0025', '0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5', '1', '2.5'];
  return Number(bounds.find((bound) => counted(bound) >= all) ?? Number.POSITIVE_INFINITY);
}
