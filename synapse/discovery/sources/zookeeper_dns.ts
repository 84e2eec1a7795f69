import { reasonOf } from '../../../common/daemon/log.ts';
import { type Instance, makeInstance } from '../../../common/instance.ts';
import { createResolver } from '../../../common/net/dns.ts';
import type { Source, SourceContext, SourcePlugin } from '../../source.ts';
import { InstanceSetBuilder } from '../instance-set-builder.ts';
import { Poll } from '../poll.ts';
import { lookUp } from './dns/lookup.ts';
import { type DnsLookupOptions, dnsLookupSchema, waitFor } from './dns/options.ts';
import {
  createZookeeperSource,
  type Stage,
  type ZookeeperOptions,
  zookeeperSchema,
  zookeeperWarnings,
} from './zookeeper/source.ts';

/** Options of `method: zookeeper_dns`. */
export type ZookeeperDnsOptions = ZookeeperOptions & DnsLookupOptions;

/** The source `zookeeper_dns`. */
export const source: SourcePlugin<ZookeeperDnsOptions> = {
  description: 'Follows ZooKeeper as zookeeper does, and resolves the host names there: each address is an instance.',
  schema: {
    ...zookeeperSchema,
    ...dnsLookupSchema,
  },
  example: { hosts: ['127.0.0.1:9'], path: '/smartstack/services/api' },
  create,
  warnings: zookeeperWarnings,
};

function create(options: ZookeeperDnsOptions, context: SourceContext): Source {
  return createZookeeperSource(options, context, resolving(options, context));
}

/** Replaces host names by their addresses. A name that cannot be resolved keeps its last addresses. */
function resolving(
  { nameserver, check_interval: interval, timeout }: ZookeeperDnsOptions,
  { log }: SourceContext,
): Stage {
  let named: InstanceSetBuilder | undefined;
  let addresses = new Map<string, Addresses>();
  let publishFound = (_: InstanceSetBuilder): void => {};
  /** Why a name could not be resolved last time. */
  let reason: string | null = null;

  const resolveAll = async (signal: AbortSignal): Promise<number> => {
    const current = named;
    if (current === undefined) return interval;
    const names = new Set(current.instances.map(({ host }) => host));
    const resolver = createResolver(nameserver, timeout, signal);
    const resolve = async (host: string): Promise<[string, Addresses]> => {
      try {
        const { records, ttlSeconds } = await lookUp(resolver, { host }, 'address');
        return [host, { known: records.map(({ address }) => address), ttlSeconds, reason: null }];
      } catch (error) {
        return [host, { known: addresses.get(host)?.known, ttlSeconds: 0, reason: reasonOf(error) }];
      }
    };
    const next = new Map(await Promise.all([...names].map(resolve)));
    signal.throwIfAborted();
    addresses = next;
    const all = [...next.values()];
    const failure = all.find((one) => one.reason !== null)?.reason ?? null;
    if (failure !== null && failure !== reason) {
      log.warn('a host name cannot be resolved, its last addresses stay', { reason: failure });
    }
    reason = failure;
    publishFound(withAddresses(current, addresses));
    return Math.min(interval, ...all.map(({ ttlSeconds }) => waitFor(ttlSeconds)));
  };
  const poll = new Poll(resolveAll, { what: 'the DNS', intervalMs: interval, timeoutMs: timeout + 1_000, log });

  return {
    start(publish, signal) {
      publishFound = publish;
      named = undefined;
      void poll.run(signal);
      return (found) => {
        named = found;
        poll.wake();
      };
    },
    leased: ({ name, port }) => !named?.instances.some((one) => nameOf(one) === name && one.port === port),
    reason: () => reason ?? poll.status().reason,
  };
}

/** The addresses of a name. */
interface Addresses {
  /** Undefined when the name was never resolved. */
  readonly known: readonly string[] | undefined;
  readonly ttlSeconds: number;
  /** Why the last lookup failed; null: it did not. */
  readonly reason: string | null;
}

function withAddresses(named: InstanceSetBuilder, addresses: ReadonlyMap<string, Addresses>): InstanceSetBuilder {
  const found = new InstanceSetBuilder();
  found.rejected.push(...named.rejected);
  for (const [index, instance] of named.instances.entries()) {
    const { known, reason } = addresses.get(instance.host) ?? {};
    if (known === undefined) found.reject(instance.id, `${instance.host}: ${reason}`);
    for (const host of known ?? []) {
      const { id: _, ...fields } = instance;
      found.add(instance.id, () => makeInstance({ ...fields, name: nameOf(instance), host }), named.sequence[index]);
    }
  }
  return found;
}

/** Instances at several addresses of a host have the same name and differ in the address. */
function nameOf({ name, host }: Instance): string {
  return name || host.replace(/\.$/, '');
}
