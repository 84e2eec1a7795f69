import { linkAbort } from '../../common/async/abort.ts';
import { sleep } from '../../common/async/sleep.ts';
import { supervise } from '../../common/async/supervise.ts';
import type { SectionContext } from '../../common/config/config.ts';
import { LimitedLog } from '../../common/daemon/limited-log.ts';
import { type Log, silentLog } from '../../common/daemon/log.ts';
import type { EtcdOptions } from '../../common/etcd/client/options.ts';
import { type RecordOrigin, writtenAs } from '../../common/etcd/records/record-origin.ts';
import { droppedFields, goneInstances, prepare, rejectedRecords, sourceStarts } from '../metrics.ts';
import type {
  Departure,
  EtcdPlace,
  InspectRequest,
  InstanceSet,
  OpenEtcd,
  PartStatus,
  RegistryRecord,
  Rejected,
  Source,
  SourceContext,
} from '../source.ts';
import { type EtcdConnection, sharedConnection } from './etcd-connection.ts';
import { Shared } from './shared.ts';

/** How to find one service's instances: a source with its options, ready to be created. */
export interface Discovery {
  /** As in the configuration. */
  readonly method: string;
  readonly options: unknown;
  /** The source, or its parts, apply the port override themselves: it must not be applied again to their instances. */
  readonly takesPorts?: boolean;
  create(context: SourceContext): Source;
  /** What the registry itself has now, where the source has one; see `SourcePlugin.inspect`. */
  inspect?(request: InspectRequest): Promise<readonly RegistryRecord[]>;
}

/** What the service around a `discovery` section gives to it. */
export interface DiscoveryFrom {
  readonly service: string;
  readonly etcd: EtcdOptions;
  /** Defaults for the options `port` and `server_backup_port` of sources that take ports. */
  readonly ports?: { readonly port?: number; readonly server_backup_port?: unknown };
}

/** Reads a `discovery` section. Undefined when there are problems. */
export type ReadDiscovery = (value: unknown, at: SectionContext, from: DiscoveryFrom) => Promise<Discovery | undefined>;

/** The state of a service's source at this moment. */
export interface DiscoveryStatus {
  readonly method: string;
  /** Why its last set may be out of date; null while that is known to be current. */
  readonly reason: string | null;
  /** Milliseconds since the last proof that it is current; null when the source does not say. */
  readonly age: number | null;
  readonly parts?: readonly PartStatus[];
  /** The folders of keys in etcd that it follows now. */
  readonly paths?: readonly string[];
}

/** Learns what the sources find. Each method is called synchronously from the source's own event. */
export interface DiscoveryListener {
  /** A source published the whole set of its service. */
  onSet(service: string, set: InstanceSet): void;
  /** Another source is about to start for a service: what it does not find was not lost. */
  onReplaced?(service: string): void;
  /** A record of a registry cannot be used. */
  onRejected?(service: string, record: Rejected & { readonly source: string }, origin?: RecordOrigin): void;
  /** An instance left its registry; the set without it follows. */
  onGone?(service: string, id: string, how: Departure, origin?: RecordOrigin): void;
}

/** One service's source while it runs. */
interface RunningSource {
  readonly discovery: Discovery;
  readonly etcd: EtcdOptions;
  readonly end: AbortController;
  readonly source: Source;
  done: Promise<void>;
  answered: boolean;
  /** Why its present run failed; null while it has not. */
  failure: string | null;
}

/** Keeps one source running for every service. A source that fails is started again; the other services do not notice. */
export class Discoverer {
  readonly #listener: DiscoveryListener;
  readonly #log: Log;
  readonly #openEtcd: OpenEtcd;
  readonly #shared = new Shared();
  #running = new Map<string, RunningSource>();
  /** Sources that were told to stop and have not ended yet. */
  #ending = new Set<Promise<void>>();
  #onAnswer: () => void = () => {};

  constructor(listener: DiscoveryListener, deps: { readonly log: Log; readonly openEtcd: OpenEtcd }) {
    this.#listener = listener;
    this.#log = deps.log;
    this.#openEtcd = deps.openEtcd;
  }

  /** Starts, restarts and stops sources so that each service has the one in its configuration. Returns at once. */
  configure(services: ReadonlyMap<string, { readonly discovery: Discovery }>, etcd: EtcdOptions): void {
    const before = this.#running;
    this.#running = new Map();
    for (const [name, { discovery }] of services) {
      const known = before.get(name);
      const keep = known?.discovery === discovery && known.etcd === etcd;
      // Other etcd options alone still look for the same instances, and those that are not found yet may well come.
      if (known !== undefined && known.discovery !== discovery) this.#listener.onReplaced?.(name);
      const reason = known === undefined ? 'new' : 'changed';
      this.#running.set(name, keep ? known : this.#start(name, discovery, { etcd, reason }));
    }
    // Only now: what an old source shares with its successor stays open.
    for (const [name, known] of before) if (this.#running.get(name) !== known) this.#stop(known);
    this.#onAnswer();
  }

  /** Undefined when there is no such service. */
  status(service: string): DiscoveryStatus | undefined {
    const running = this.#running.get(service);
    if (running === undefined) return undefined;
    const { discovery, source, answered, failure } = running;
    const status = source.status?.();
    const reason = failure ?? status?.reason ?? (answered ? null : 'has not answered yet');
    const parts = status?.parts;
    const paths = this.places(service).map(({ path }) => path);
    return {
      method: discovery.method,
      reason,
      age: status?.age ?? null,
      ...(parts !== undefined && { parts }),
      ...(paths.length > 0 && { paths }),
    };
  }

  /** The folders of keys in etcd that the source of a service follows now. */
  places(service: string): readonly EtcdPlace[] {
    return this.#running.get(service)?.source.places?.() ?? [];
  }

  /** The connection to a cluster that the sources share. `user` holds it until {@link releaseEtcd}. */
  etcd(options: EtcdOptions, user: object): EtcdConnection {
    return sharedConnection(options, {
      openEtcd: this.#openEtcd,
      shared: (key, make) => this.#shared.get(user, key, (signal) => make(signal, this.#log)),
    });
  }

  /** Ends what `user` holds, unless a source uses it. */
  releaseEtcd(user: object): void {
    this.#shared.release(user);
  }

  /** Services whose source has not published anything yet. */
  unanswered(): readonly string[] {
    return [...this.#running].filter(([, { answered }]) => !answered).map(([name]) => name);
  }

  /** Waits until every source has published something, at most `limitMs` milliseconds. Returns those that have not. */
  async answers(limitMs: number, signal: AbortSignal = new AbortController().signal): Promise<readonly string[]> {
    const all = linkAbort(signal);
    this.#onAnswer = () => {
      for (const { answered } of this.#running.values()) if (!answered) return;
      all.abort();
    };
    this.#onAnswer();
    await sleep(limitMs, all.signal);
    all.release();
    this.#onAnswer = () => {};
    return this.unanswered();
  }

  /** Stops all sources and waits until they have ended. */
  async end(): Promise<void> {
    for (const running of this.#running.values()) this.#stop(running);
    this.#running = new Map();
    await Promise.all(this.#ending);
  }

  #start(
    service: string,
    discovery: Discovery,
    { etcd, reason }: { readonly etcd: EtcdOptions; readonly reason: 'new' | 'changed' },
  ): RunningSource {
    const end = new AbortController();
    const log = this.#log.child({ service, method: discovery.method });
    prepare(service);
    sourceStarts.inc({ service, reason });
    const source = discovery.create(this.#contextOf(service, discovery, { etcd, end, log }));
    const running: RunningSource = {
      discovery,
      etcd,
      end,
      source,
      done: Promise.resolve(),
      answered: false,
      failure: null,
    };
    const publish = (set: InstanceSet): void => this.#take(service, running, set);
    const onReason = (failure: string | null): void => {
      running.failure = failure;
      if (failure !== null) sourceStarts.inc({ service, reason: 'failed' });
    };
    const what = `source of ${service}`;
    running.done = supervise((stop) => source(publish, stop), { what, log, onReason }, end.signal);
    return running;
  }

  #contextOf(
    service: string,
    { method }: Discovery,
    { etcd, end, log }: { readonly etcd: EtcdOptions; readonly end: AbortController; readonly log: Log },
  ): SourceContext {
    // The number of these lines is up to the writers of the registry.
    const limited = new LimitedLog(log);
    return {
      service,
      log,
      etcd,
      openEtcd: this.#openEtcd,
      rejected: (record, origin) => {
        rejectedRecords.inc({ service });
        limited.warn('a record cannot be used, skipped', { ...record, ...(origin && writtenAs(origin)) });
        this.#listener.onRejected?.(service, { source: method, ...record }, origin);
      },
      dropped: (record, origin) => {
        droppedFields.inc();
        const fields = { ...record, ...(origin && writtenAs(origin)) };
        limited.warn('fields of a record cannot be used, the rest is used', fields);
      },
      gone: (id, how, origin) => {
        goneInstances.inc({ service, how });
        log.debug('an instance is gone', { instance: id, how });
        this.#listener.onGone?.(service, id, how, origin);
      },
      shared: (key, make) => this.#shared.get(end, key, (signal) => make(signal, this.#log)),
    };
  }

  #take(service: string, running: RunningSource, set: InstanceSet): void {
    // A late set of a source that was replaced.
    if (running.end.signal.aborted) return;
    running.failure = null;
    this.#listener.onSet(service, set);
    if (running.answered) return;
    running.answered = true;
    this.#onAnswer();
  }

  #stop(running: RunningSource): void {
    running.end.abort();
    const ended = running.done.finally(() => {
      this.#shared.release(running.end);
      this.#ending.delete(ended);
    });
    this.#ending.add(ended);
  }
}

/** The folders of keys in etcd that the source of a service begins with; does no I/O. Empty when its options are wrong. */
export function etcdPlaces(discovery: Discovery, service: string, etcd: EtcdOptions): readonly EtcdPlace[] {
  const idle = (): never => {
    throw new Error('this source does not run');
  };
  const ignored = (): void => {};
  try {
    const context = { service, etcd, log: silentLog, rejected: ignored, dropped: ignored, gone: ignored };
    return discovery.create({ ...context, openEtcd: idle, shared: idle }).places?.() ?? [];
  } catch {
    return [];
  }
}
