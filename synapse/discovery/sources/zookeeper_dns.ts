import { reasonOf } from '../../../common/daemon/log.ts';
import { type Instance, makeInstance } from '../../../common/instance.ts';
import type { Source, SourceContext, SourcePlugin } from '../../source.ts';
import { Findings } from '../instance-set-builder.ts';
import { createPoll } from '../poll.ts';
import { createResolver, lookUp } from './dns/lookup.ts';
import { type DnsLookupOptions, dnsLookupSchema, waitFor } from './dns/options.ts';
import { createZookeeperSource, type Stage, type ZookeeperOptions, zookeeperSchema } from './zookeeper/source.ts';

/** Options of `method: zookeeper_dns`. */
export type ZookeeperDnsOptions = ZookeeperOptions & DnsLookupOptions;

export const source: SourcePlugin<ZookeeperDnsOptions> = {
  description: 'Follows ZooKeeper as zookeeper does, and resolves the host names in it: an instance for each address.',
  schema: {
    ...zookeeperSchema,
    ...dnsLookupSchema,
  },
  example: { hosts: ['127.0.0.1:9'], path: '/smartstack/services/api' },
  create,
};

function create(options: ZookeeperDnsOptions, context: SourceContext): Source {
  return createZookeeperSource(options, context, resolving(options, context));
}

/** Puts addresses in the place of host names. A name that cannot be resolved keeps the addresses it had. */
function resolving(
  { nameserver, check_interval: interval, timeout }: ZookeeperDnsOptions,
  { log }: SourceContext,
): Stage {
  let named: Findings | undefined;
  let addresses = new Map<string, Addresses>();
  let hand = (_: Findings): void => {};
  let trouble: string | null = null;

  const look = async (signal: AbortSignal): Promise<number> => {
    const current = named;
    if (current === undefined) return interval;
    const names = new Set(current.instances.map(({ host }) => host));
    const resolver = createResolver(nameserver, timeout, signal);
    const ask = async (host: string): Promise<[string, Addresses]> => {
      try {
        const { records, ttl } = await lookUp(resolver, { host }, 'address');
        return [host, { known: records.map(({ address }) => address), ttl, reason: null }];
      } catch (error) {
        return [host, { known: addresses.get(host)?.known, ttl: 0, reason: reasonOf(error) }];
      }
    };
    const next = new Map(await Promise.all([...names].map(ask)));
    signal.throwIfAborted();
    addresses = next;
    const all = [...next.values()];
    const failed = all.find(({ reason }) => reason !== null)?.reason ?? null;
    if (failed !== null && failed !== trouble) {
      log.warn('a host name cannot be resolved, the addresses it had stand', { reason: failed });
    }
    trouble = failed;
    hand(withAddresses(current, addresses));
    return Math.min(interval, ...all.map(({ ttl }) => waitFor(ttl)));
  };
  const poll = createPoll(look, { what: 'the DNS', interval, timeout: timeout + 1_000, log });

  return {
    start(publish, signal) {
      hand = publish;
      named = undefined;
      void poll.run(signal);
      return (found) => {
        named = found;
        poll.wake();
      };
    },
    leased: ({ name, port }) => !named?.instances.some((one) => nameOf(one) === name && one.port === port),
    reason: () => trouble ?? poll.status().reason,
  };
}

/** What a name stands for. */
interface Addresses {
  /** Undefined: it was never resolved. */
  readonly known: readonly string[] | undefined;
  /** For how long they are good, seconds. */
  readonly ttl: number;
  /** Why it could not be resolved this time. */
  readonly reason: string | null;
}

function withAddresses(named: Findings, addresses: ReadonlyMap<string, Addresses>): Findings {
  const found = new Findings();
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

/** Instances at several addresses of one name are told apart by the address; without a name, by that of the host. */
function nameOf({ name, host }: Instance): string {
  return name || host.replace(/\.$/, '');
}
