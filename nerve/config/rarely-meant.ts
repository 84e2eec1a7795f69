import { joinPath, type Problem } from '../../common/config/config.ts';
import { isObject } from '../../common/config/formats.ts';
import { isTlsUsed } from '../../common/config/tls-files.ts';
import { type EtcdOptions, parseHosts, plaintextWarning } from '../../common/etcd/client/options.ts';
import { usualRecordBytes } from '../../common/etcd/records/record-rules.ts';
import { formatInstance } from '../../common/instance.ts';
import { isLoopbackHost } from '../../common/net/ip-words.ts';
import { formatDuration } from '../../common/wording.ts';
import type { ServiceConfig } from './service-config.ts';

type Services = ReadonlyMap<string, ServiceConfig>;

/** Warnings for what is allowed and rarely meant. `section`: `services` as it was read. */
export function rarelyMeant(
  { services, etcd }: { readonly services: Services; readonly etcd: EtcdOptions },
  section: unknown,
): readonly Problem[] {
  const problems: Problem[] = [];
  warnOfOmissions(services, problems);
  warnOfLargeRecords(services, problems);
  warnOfPlaintext(services, etcd, problems);
  warnOfLoopback(services, etcd, problems);
  for (const [path, options] of sectionsIn(section)) {
    warnOfMilliseconds(path, options, problems);
    warnOfUnusedTls(path, options, problems);
  }
  return problems;
}

/** Services that are announced without a check, or none at all. */
function warnOfOmissions(services: Services, problems: Problem[]): void {
  if (services.size === 0) {
    problems.push({ path: 'services', message: 'has no services: nothing is announced', severity: 'warning' });
  }
  const unchecked = [...services.values()].filter(({ checks, mocked }) => checks.length === 0 && !mocked);
  for (const service of new Set(unchecked.map(({ service }) => service))) {
    const message = 'is empty: the service is announced whatever its state is; [{type: noop}] says that this is meant';
    problems.push({ path: joinPath(joinPath('services', service), 'checks'), message, severity: 'warning' });
  }
}

/** Records that synapse does not read unless its services have a larger `max_record_bytes`. */
function warnOfLargeRecords(services: Services, problems: Problem[]): void {
  for (const { service, instance } of services.values()) {
    // The time that nerve adds takes as many bytes as any other.
    const bytes = Buffer.byteLength(formatInstance(instance, new Date(0).toISOString()));
    if (bytes <= usualRecordBytes) continue;
    const message =
      `the record of ${instance.id} has ${bytes} bytes, and synapse reads at most ${usualRecordBytes}: ` +
      'shorten the labels, or raise discovery.max_record_bytes of the service in synapse';
    problems.push({ path: joinPath('services', service), message, severity: 'warning' });
  }
}

/** The members in `etcd_host` of services get the password of the `etcd` section too, and without encryption. */
function warnOfPlaintext(services: Services, etcd: EtcdOptions, problems: Problem[]): void {
  for (const { service, etcdHosts } of services.values()) {
    const message = etcdHosts === null ? null : plaintextWarning({ ...etcd, hosts: etcdHosts });
    const path = joinPath(joinPath('services', service), 'etcd_host');
    if (message !== null && !problems.some((problem) => problem.path === path)) {
      problems.push({ path, message, severity: 'warning' });
    }
  }
}

/** Other hosts take a loopback address for their own. With etcd on this host alone, there may be no other hosts. */
function warnOfLoopback(services: Services, etcd: EtcdOptions, problems: Problem[]): void {
  for (const { service, instance, etcdHosts } of services.values()) {
    const isAlone = parseHosts(etcdHosts ?? etcd.hosts).every(({ url }) => isLoopbackHost(hostOf(url)));
    if (isAlone || !isLoopbackHost(instance.host)) continue;
    const path = joinPath(joinPath('services', service), 'host');
    const message =
      `${instance.host} is announced, and on every other host that is the other host itself: write auto, or an address ` +
      'of this host, and host: 127.0.0.1 in the checks';
    if (!problems.some((problem) => problem.path === path)) problems.push({ path, message, severity: 'warning' });
  }
}

/** Times of services and checks that are seconds, and look like milliseconds. */
const paces = ['check_interval', 'interval', 'fast_interval', 'timeout'] as const;
const longestUsualSeconds = 100;

function warnOfMilliseconds(at: string, options: Options, problems: Problem[]): void {
  for (const key of paces) {
    const value = options[key];
    const seconds = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
    if (typeof seconds !== 'number' || seconds < longestUsualSeconds) continue;
    const message = `${seconds} are seconds: write "${seconds}ms" for milliseconds, or "${formatDuration(seconds * 1000)}" if it is meant`;
    problems.push({ path: joinPath(at, key), message, severity: 'warning' });
  }
}

/** Options that a check ignores while it speaks no TLS. */
function warnOfUnusedTls(at: string, options: Options, problems: Problem[]): void {
  if (isTlsUsed(options)) return;
  for (const [key, value] of Object.entries(options)) {
    // A time limit protects nothing.
    if (!key.startsWith('ssl_') || key === 'ssl_timeout' || value === null) continue;
    problems.push({ path: joinPath(at, key), message: 'has no effect without ssl: true', severity: 'warning' });
  }
}

type Options = Readonly<Record<string, unknown>>;

/** The services, their instances and their checks. The options of a user's module mean what it says. */
function* sectionsIn(services: unknown): Iterable<readonly [path: string, options: Options]> {
  for (const [name, service] of isObject(services) ? Object.entries(services) : []) {
    yield* sectionAt(service, joinPath('services', name));
  }
}

function* sectionAt(value: unknown, path: string): Iterable<readonly [path: string, options: Options]> {
  if (!isObject(value) || value.type === 'module') return;
  yield [path, value];
  for (const key of ['instances', 'checks']) {
    const list = value[key];
    for (const [index, item] of Array.isArray(list) ? list.entries() : []) {
      yield* sectionAt(item, joinPath(joinPath(path, key), index));
    }
  }
}

function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, '');
}
