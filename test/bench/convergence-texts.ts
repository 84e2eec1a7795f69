import { availableParallelism, loadavg } from 'node:os';
import type { LocalCluster } from '../../etcd-cluster/members/local-cluster.ts';
import { measureConvergence } from './convergence.ts';
import { measureLargeFleet } from './large-fleet.ts';
import { formatTable, quantile } from './statistics.ts';

/** How many hosts have real HAProxies. */
export const realHosts = 3;

/** What `npm run bench -- convergence` prints: a fleet of three hosts, with real HAProxies and requests. */
export async function convergenceText(
  { etcdHosts }: { readonly etcdHosts: readonly string[] },
  rounds: number,
): Promise<string> {
  const { plain, idleWait, late, requests, failures } = await measureConvergence(etcdHosts, rounds);
  const table = formatTable([
    ['', ...titles],
    row('a drain reaches all HAProxy processes', plain),
    row('the fleet has acknowledged a drain of an idle instance', idleWait),
    row('it is known after the end of the last request', late),
  ]);
  const deploys = `${requests} requests during ${rounds} deploys, ${failures.length} failed`;
  return `Three hosts, ${rounds} rounds, milliseconds\n${table}\n${deploys}; ${loadText()}\n\n`;
}

/** What `npm run bench -- convergence --proxies 200` prints: what a question costs a fleet of that size, and etcd. */
export async function largeFleetText(
  { folder, etcd }: { readonly folder: string; readonly etcd: LocalCluster },
  { proxies, rounds }: { readonly proxies: number; readonly rounds: number },
): Promise<string> {
  const found = await measureLargeFleet({ folder, cluster: etcd, proxies, rounds });
  const table = formatTable([
    ['', ...titles],
    row(`the last of ${proxies} bare watchers has seen a change, ms`, found.fanOut),
    ['processor time of etcd for that, ms, on average', '', mean(found.fanOutCpu).toFixed(1), ''],
    row('all have acknowledged a drain, ms', found.asked),
    row('revisions of etcd that one question took, its removal included', found.writes),
    row('processor time of etcd for one question, ms', found.cpu),
  ]);
  const rest = `etcd at rest with this fleet: ${found.restCpuPercent.toFixed(1)} % of one core`;
  return `${proxies} proxies, three members of etcd, ${rounds} rounds\n${table}\n${rest}; ${loadText()}\n\n`;
}

const titles = ['p10', 'p50', 'p90'];

function row(what: string, samples: readonly number[]): string[] {
  return [what, ...[0.1, 0.5, 0.9].map((share) => quantile(samples, share).toFixed(1))];
}

function mean(samples: readonly number[]): number {
  return samples.reduce((sum, one) => sum + one, 0) / samples.length;
}

/** How busy the machine is: others may use it too. */
function loadText(): string {
  const loads = loadavg().map((load) => load.toFixed(1));
  return `load average ${loads.join(' ')} on ${availableParallelism()} processors`;
}
