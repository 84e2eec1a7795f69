import { sleep } from '../../common/async/sleep.ts';
import { supervise } from '../../common/async/supervise.ts';
import type { SectionContext } from '../../common/config/config.ts';
import type { Log } from '../../common/daemon/log.ts';
import type { EtcdOptions } from '../../common/etcd/client/options.ts';
import { goneInstances, prepare, rejectedRecords, sourceStarts } from '../metrics.ts';
import type { Events } from '../report/events.ts';
import type { Traces } from '../report/traces.ts';
import type { InstanceSet, LookAt, PartStatus, RegistryRecord, Source, SourceContext } from '../source.ts';
import { Shared } from './shared.ts';

/** How to find one service's instances: a source with its options, ready to be made. */
export interface Discovery {
  /** As in the configuration. */
  readonly method: string;
  readonly options: unknown;
  /** The port override is an option of the source, or of its parts: it must not be applied again to what is found. */
  readonly takesPorts?: boolean;
  create(context: SourceContext): Source;
  /** What the registry itself has now, where the source has one; see `SourcePlugin.look`. */
  look?(at: LookAt): Promise<readonly RegistryRecord[]>;
}

/** What a `discovery` section is read with. */
export interface DiscoveryFrom {
  readonly service: string;
  readonly etcd: EtcdOptions;
  /** Options `port` and `server_backup_port` of sources that take ports, where they have none of their own. */
  readonly ports?: { readonly port?: number; readonly server_backup_port?: unknown };
}

/** Reads a `discovery` section. Undefined when there are problems. */
export type ReadDiscovery = (value: unknown, at: SectionContext, from: DiscoveryFrom) => Promise<Discovery | undefined>;

/** A source at the moment of asking. */
export interface DiscoveryStatus {
  readonly method: string;
  /** Why its last set may be out of date; null while that is known to be current. */
  readonly reason: string | null;
  /** Milliseconds since the last proof that it is current; null when the source does not say. */
  readonly age: number | null;
  readonly parts?: readonly PartStatus[];
}

interface Running {
  readonly discovery: Discovery;
  readonly etcd: EtcdOptions;
  readonly end: AbortController;
  readonly source: Source;
  done: Promise<void>;
  answered: boolean;
  failure: string | null;
}

/** Keeps one source running for every service. One that fails is started again; the others do not notice. */
export class Discoverer {
  readonly #onSet: (service: string, set: InstanceSet) => void;
  readonly #log: Log;
  readonly #events: Events | undefined;
  readonly #traces: Traces | undefined;
  readonly #onOther: ((service: string) => void) | undefined;
  readonly #shared = new Shared();
  #running = new Map<string, Running>();
  #ended: Promise<void>[] = [];
  #onAnswer: () => void = () => {};

  /**
   * `onSet` is called synchronously from the source's own event; `onOther` before one starts that looks
   * elsewhere than the one before.
   */
  constructor(
    onSet: (service: string, set: InstanceSet) => void,
    deps: {
      readonly log: Log;
      readonly events?: Events;
      readonly traces?: Traces;
      readonly onOther?: (service: string) => void;
    },
  ) {
    this.#onSet = onSet;
    this.#log = deps.log;
    this.#events = deps.events;
    this.#traces = deps.traces;
    this.#onOther = deps.onOther;
  }

  /** Starts, restarts and stops sources so that each service has the one it is configured to have. Does no waiting. */
  configure(services: ReadonlyMap<string, { readonly discovery: Discovery }>, etcd: EtcdOptions): void {
    const before = this.#running;
    this.#running = new Map();
    for (const [name, { discovery }] of services) {
      const known = before.get(name);
      const keep = known?.discovery === discovery && known.etcd === etcd;
      // With other etcd options alone the same is looked for, and what is not there yet may well come.
      if (known !== undefined && known.discovery !== discovery) this.#onOther?.(name);
      this.#running.set(
        name,
        keep ? known : this.#start(name, discovery, { etcd, reason: known === undefined ? 'new' : 'changed' }),
      );
    }
    // Only now: what an old source shares with its successor stays open.
    for (const [name, known] of before) if (this.#running.get(name) !== known) this.#stop(known);
    this.#onAnswer();
  }

  status(service: string): DiscoveryStatus | undefined {
    const running = this.#running.get(service);
    if (running === undefined) return undefined;
    const { discovery, source, answered, failure } = running;
    const status = source.status?.();
    const reason = failure ?? status?.reason ?? (answered ? null : 'has not answered yet');
    const parts = status?.parts;
    return { method: discovery.method, reason, age: status?.age ?? null, ...(parts !== undefined && { parts }) };
  }

  /** Services whose source has not published anything yet. */
  unanswered(): readonly string[] {
    return [...this.#running].filter(([, { answered }]) => !answered).map(([name]) => name);
  }

  /** Waits until every source has published something, at most `limit` milliseconds. Returns those that have not. */
  async answers(limit: number, signal?: AbortSignal): Promise<readonly string[]> {
    const all = new AbortController();
    this.#onAnswer = () => {
      for (const { answered } of this.#running.values()) if (!answered) return;
      all.abort();
    };
    this.#onAnswer();
    await sleep(limit, signal === undefined ? all.signal : AbortSignal.any([signal, all.signal]));
    this.#onAnswer = () => {};
    return this.unanswered();
  }

  /** Stops all sources and waits until they have ended. */
  async end(): Promise<void> {
    for (const running of this.#running.values()) this.#stop(running);
    this.#running = new Map();
    await Promise.all(this.#ended);
  }

  #start(
    service: string,
    discovery: Discovery,
    { etcd, reason }: { readonly etcd: EtcdOptions; readonly reason: 'new' | 'changed' },
  ): Running {
    const end = new AbortController();
    const { signal } = end;
    const log = this.#log.child({ service, method: discovery.method });
    prepare(service);
    sourceStarts.inc({ service, reason });
    const source = discovery.create({
      service,
      log,
      etcd,
      rejected: (record) => {
        rejectedRecords.inc({ service });
        log.warn('a record cannot be used, skipped', { ...record });
        const { method: source } = discovery;
        this.#events?.record({ kind: 'record_rejected', level: 'warn', service, source, ...record });
      },
      gone: (id, how) => {
        goneInstances.inc({ service, how });
        log.debug('an instance is gone', { instance: id, how });
        this.#traces?.gone(service, id, how);
      },
      shared: (key, make) => this.#shared.get(end, key, (signal) => make(signal, this.#log)),
    });
    const running: Running = { discovery, etcd, end, source, done: Promise.resolve(), answered: false, failure: null };
    const publish = (set: InstanceSet): void => {
      if (signal.aborted) return;
      running.failure = null;
      this.#onSet(service, set);
      if (running.answered) return;
      running.answered = true;
      this.#onAnswer();
    };
    const onReason = (failure: string | null): void => {
      running.failure = failure;
      if (failure !== null) sourceStarts.inc({ service, reason: 'failed' });
    };
    running.done = supervise((stop) => source(publish, stop), { what: `source of ${service}`, log, onReason }, signal);
    return running;
  }

  #stop(running: Running): void {
    running.end.abort();
    const ended = running.done.finally(() => {
      this.#shared.release(running.end);
      this.#ended = this.#ended.filter((other) => other !== ended);
    });
    this.#ended.push(ended);
  }
}
