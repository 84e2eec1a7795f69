import { clock } from '../../../common/async/clock.ts';
import { Semaphore } from '../../../common/async/semaphore.ts';
import { reasonOf } from '../../../common/daemon/log.ts';
import { type Instance, makeInstance } from '../../../common/instance.ts';
import type { Source, SourceContext, SourcePlugin } from '../../source.ts';
import { InstanceSetBuilder } from '../instance-set-builder.ts';
import { Poll } from '../poll.ts';
import { lookUp, openNameSystem } from './dns/lookup.ts';
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

/** Lookups under way at the same time: nodes in ZooKeeper decide how many names there are. */
const concurrentLookups = 64;
/** Names that are looked up; further ones have no address. */
const mostNames = 20_000;
/** Milliseconds between two lookups of a name, for each name that there is: at most a hundred lookups in a second. */
const pausePerNameMs = 10;

/** Replaces host names by their addresses. A name that cannot be resolved keeps its last addresses. */
function resolving(
  { nameserver, check_interval: interval, timeout }: ZookeeperDnsOptions,
  { log }: SourceContext,
): Stage {
  let named: InstanceSetBuilder | undefined;
  const addresses = new Map<string, Addresses>();
  let publishFound = (_: InstanceSetBuilder): void => {};
  /** Why a name could not be resolved last time. */
  let reason: string | null = null;

  const resolveAll = async (signal: AbortSignal): Promise<number> => {
    const current = named;
    if (current === undefined) return interval;
    const names = new Set(current.instances.map(({ host }) => host).slice(0, mostNames));
    for (const host of addresses.keys()) if (!names.has(host)) addresses.delete(host);
    const begunAt = clock.now();
    const shortestMs = names.size * pausePerNameMs;
    const system = openNameSystem(nameserver, timeout, signal);
    const slots = new Semaphore(concurrentLookups);
    const resolve = async (host: string): Promise<void> => {
      // The names that are left have their turn in the next round: those that are known are published before.
      if (signal.aborted || clock.now() - begunAt > timeout / 2) return;
      const before = addresses.get(host);
      try {
        const { records, ttlSeconds } = await lookUp(system, { host }, 'address');
        const dueAt = clock.now() + Math.max(shortestMs, Math.min(interval, waitFor(ttlSeconds)));
        addresses.set(host, { known: records.map(({ address }) => address), dueAt, reason: null });
      } catch (error) {
        const dueAt = clock.now() + Math.max(shortestMs, waitFor(0));
        if (!signal.aborted) addresses.set(host, { known: before?.known, dueAt, reason: reasonOf(error) });
      }
    };
    const due = [...names].filter((host) => (addresses.get(host)?.dueAt ?? 0) <= begunAt);
    await Promise.all(due.map((host) => slots.run(() => resolve(host))));
    signal.throwIfAborted();
    const all = [...addresses.values()];
    const failure = all.find((one) => one.reason !== null)?.reason ?? null;
    if (failure !== null && failure !== reason) {
      log.warn('a host name cannot be resolved, its last addresses stay', { reason: failure });
    }
    reason = failure;
    publishFound(withAddresses(current, addresses));
    const now = clock.now();
    let waitMs = addresses.size < names.size ? waitFor(0) : interval;
    for (const { dueAt } of all) waitMs = Math.min(waitMs, Math.max(waitFor(0), dueAt - now));
    return waitMs;
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
  /** When to look it up again, in milliseconds of `clock.now()`. */
  readonly dueAt: number;
  /** Why the last lookup failed; null: it did not. */
  readonly reason: string | null;
}

function withAddresses(named: InstanceSetBuilder, addresses: ReadonlyMap<string, Addresses>): InstanceSetBuilder {
  const found = new InstanceSetBuilder();
  found.rejected.push(...named.rejected);
  for (const [index, instance] of named.instances.entries()) {
    const { known, reason } = addresses.get(instance.host) ?? {};
    if (known === undefined)
      found.reject(instance.id, `${instance.host}: ${reason ?? 'it has not been looked up yet'}`);
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
