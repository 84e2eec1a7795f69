import { aborted } from '../common/async/abort.ts';
import { coalesce, type MarkDirty } from '../common/async/coalesce.ts';
import { sleep } from '../common/async/sleep.ts';
import { limitEachMessage } from '../common/daemon/limited-log.ts';
import { type Log, reasonOf } from '../common/daemon/log.ts';
import { pruneLater } from '../common/daemon/metrics.ts';
import type { Host } from '../common/host.ts';
import { listed } from '../common/wording.ts';
import { Catalog } from './catalog/catalog.ts';
import type { CatalogChange } from './catalog/catalog-entry.ts';
import { Departures, type DeparturesTaken } from './catalog/departures.ts';
import { readStateFile, StateFileWriter } from './catalog/state-file.ts';
import type { SynapseConfig } from './config/config.ts';
import { keepEqual } from './config/keep-equal.ts';
import { Discoverer } from './discovery/discoverer.ts';
import { FileOutput, fileTargetOf } from './file-output.ts';
import { FleetRun } from './fleet-run.ts';
import type { SentCommands } from './haproxy/runtime/command-log.ts';
import type { ServicesStatistics } from './haproxy/statistics/counters.ts';
import { type CreateHaproxy, HaproxyRun } from './haproxy-run.ts';
import { InstanceAddresses } from './instance-addresses.ts';
import { LostWatch } from './lost-watch.ts';
import { applies, observe } from './metrics.ts';
import type { ServersOf, Snapshot } from './output.ts';
import { type Applied, recordApplied } from './report/applied-events.ts';
import { recordCatalogChange } from './report/catalog-events.ts';
import { Events } from './report/events.ts';
import { NameEvents } from './report/name-events.ts';
import { originsIn } from './report/origins.ts';
import { recordOf } from './report/records.ts';
import { InstanceReturns } from './report/returns.ts';
import { watchFreshness } from './report/source-freshness.ts';
import { observed, stateOf } from './report/state.ts';
import type { SynapseState } from './report/status-shape.ts';
import type { Trace } from './report/trace-shape.ts';
import { Traces } from './report/traces.ts';
import { unknownReason } from './report/unknown-services.ts';
import { setsToSave } from './sets-to-save.ts';
import type { OpenEtcd } from './source.ts';

/** What a synapse uses of its surroundings. */
export interface SynapseDeps {
  readonly log: Log;
  /** Where events are recorded; by default a journal that only this synapse knows. */
  readonly events?: Events;
  /** The files of the state file and of `file_output`; looks at lost instances; host names. */
  readonly host: Pick<Host, 'files' | 'tryConnect' | 'lookUpName' | 'ownAddresses'>;
  readonly openEtcd: OpenEtcd;
  readonly createHaproxy: CreateHaproxy;
}

/**
 * - `waiting`: for the first answers of the sources. Changes are only remembered; the first apply has all of them.
 * - `running`: each change is applied.
 * - `stopping`: what is pending is written to disk, and nothing is applied any more.
 */
type Phase = 'waiting' | 'running' | 'stopping';

/** Stands for all services among the names of changed ones. */
const all = Symbol('all services');

/** Milliseconds until an apply that failed is tried again. */
const retryMs = 1_000;

/** The daemon without its process: sources → catalog → outputs. The constructor does no I/O. */
export class Synapse {
  readonly #deps: SynapseDeps;
  readonly #log: Log;
  readonly #events: Events;
  readonly #traces = new Traces();
  readonly #returns = new InstanceReturns();
  readonly #addresses: InstanceAddresses;
  readonly #catalog: Catalog;
  readonly #departures = new Departures();
  readonly #lostWatch: LostWatch;
  readonly #discoverer: Discoverer;
  readonly #fileOutput: FileOutput;
  /** The part of this synapse in the fleet: others only inquire. */
  readonly fleet: FleetRun;
  #config: SynapseConfig;
  #configRefused: string | null = null;
  #phase: Phase = 'waiting';
  #haproxy: HaproxyRun | undefined;
  readonly #health = (service: string) => this.#haproxy?.haproxy.health(service);
  #stateFile: StateFileWriter | undefined;
  /** The last snapshot that was applied; undefined before the first. */
  #applied: Snapshot | undefined;
  /** Has a service, or all, applied soon. */
  #touch: MarkDirty<string | typeof all> = () => {};

  constructor(config: SynapseConfig, deps: SynapseDeps) {
    const { openEtcd, events = new Events() } = deps;
    this.#config = config;
    this.#log = limitEachMessage(deps.log);
    this.#deps = { ...deps, log: this.#log };
    this.#events = events;
    this.#addresses = new InstanceAddresses(config, {
      host: deps.host,
      services: () => this.#catalog.configs(),
      onChange: (names) => this.#take(this.#catalog.placeAgain(names)),
      nameEvents: new NameEvents(this.#log, events),
    });
    this.#catalog = new Catalog(this.#addresses.addressing);
    this.#fileOutput = new FileOutput(fileTargetOf(this.#config), { log: this.#log, files: deps.host.files });
    this.#discoverer = new Discoverer(
      {
        onSet: (service, set) => this.#take(this.#catalog.update(service, set)),
        onReplaced: (service) => this.#catalog.sourceReplaced(service),
        onGone: (service, id, how, origin) => this.#departures.add(service, id, { how, ...(origin && { origin }) }),
        onRejected: (service, record, origin) => {
          const records = origin && { records: [recordOf({ id: record.where, name: '' }, origin)] };
          events.record({ kind: 'record_rejected', level: 'warn', service, ...record, ...records });
        },
      },
      { log: this.#log, openEtcd },
    );
    this.fleet = new FleetRun({
      ...{ log: this.#log, catalog: this.#catalog, discoverer: this.#discoverer },
      ...{ applied: () => this.#applied, run: () => this.#haproxy },
    });
    this.#lostWatch = new LostWatch(this.#catalog, {
      host: deps.host,
      resolve: (name) => this.#addresses.look(name)?.address,
      statistics: (service) => this.statistics({ service }),
      take: (changes) => this.#take(changes),
    });
  }

  /** Runs until `signal` aborts; then everything pending is written to disk, and HAProxy is left running as it is. */
  async run(signal: AbortSignal): Promise<void> {
    const saving = await this.#start(signal);
    await this.#awaitFirstAnswers(signal);
    this.#applyChanges(signal);
    await aborted(signal);
    await this.#stop(saving);
  }

  /** Takes a new configuration and touches only what changed. */
  reconfigure(next: SynapseConfig): void {
    this.#config = keepEqual(this.#config, next);
    const { services, etcd, haproxy } = this.#config;
    this.#addresses.configure(this.#config);
    this.#take(this.#catalog.configure(services));
    this.#discoverer.configure(services, etcd);
    this.fleet.configure(this.#config);
    pruneLater((service) => services.has(service));
    if (this.#haproxy && this.#haproxy.config !== haproxy) this.#touch(all);
    this.#fileOutput.configure(fileTargetOf(this.#config), this.#catalog.snapshot());
    this.#stateFile?.touch();
  }

  /** Why the configuration file cannot be used since it was read last; null when it can. The state shows it. */
  noteRefused(reason: string | null): void {
    this.#configRefused = reason;
  }

  /** Null when every service is known and HAProxy runs what was applied; otherwise the reason. */
  ready(): string | null {
    if (this.#phase === 'waiting')
      return `waiting for the sources of ${listed(this.#discoverer.unanswered(), 5)} to answer`;
    const unknown = unknownReason(this.#catalog.snapshot());
    if (unknown !== null) return unknown;
    if (this.#applied === undefined) return 'the first snapshot has not been applied yet';
    return this.#haproxy?.haproxy.reason ?? null;
  }

  /** All services, or the named ones. */
  state(names?: readonly string[]): SynapseState {
    const { status: haproxy = null } = this.#haproxy?.haproxy ?? {};
    const facts = { haproxy, health: this.#health, look: this.#addresses.look, returns: this.#returns, names };
    return {
      ...stateOf(this.#catalog, this.#discoverer, facts),
      ...(this.#fileOutput.status && { file_output: this.#fileOutput.status }),
      ...(this.#stateFile && { state_file: this.#stateFile.status }),
      ...(this.#configRefused !== null && { config_refused: this.#configRefused }),
      ...this.fleet.report,
    };
  }

  /** HAProxy's own counters. @throws when HAProxy cannot be asked */
  async statistics(of?: ServersOf): Promise<ServicesStatistics> {
    if (this.#haproxy === undefined) throw new Error('there is no HAProxy to ask yet');
    return this.#haproxy.haproxy.statistics(of);
  }

  /** The newest changes of a service's instances, as far as they are remembered, by id. */
  traces(service: string): Readonly<Record<string, Trace>> {
    return this.#traces.of(service);
  }

  /** The last commands that were sent to HAProxy about one instance. */
  sent(service: string, id: string): readonly SentCommands[] {
    return this.#haproxy?.haproxy.sent(service, id) ?? [];
  }

  /** Restores what a previous process knew and starts the sources. Returns what to wait for at the end. */
  async #start(signal: AbortSignal): Promise<Promise<void>[]> {
    const [{ files }, { stateFile }] = [this.#deps.host, this.#config];
    await this.#addresses.start(signal);
    const restored = stateFile && (await readStateFile(stateFile, { log: this.#log, files }));
    const { services, etcd } = this.#config;
    this.#addresses.take(this.#catalog.configure(services));
    for (const [name, saved] of restored ?? []) this.#addresses.take(this.#catalog.restore(name, saved));
    this.#discoverer.configure(services, etcd);
    this.fleet.configure(this.#config);
    observe(() => observed(this.#catalog, this.#discoverer, this.#health));
    if (stateFile === undefined) return [];
    const deps = {
      ...{ log: this.#log, files },
      read: () => setsToSave(this.#catalog, this.#discoverer),
      ...(restored && { restored }),
    };
    this.#stateFile = new StateFileWriter(stateFile, deps);
    return [this.#stateFile.run(signal)];
  }

  async #awaitFirstAnswers(signal: AbortSignal): Promise<void> {
    const waiting = await this.#discoverer.answers(this.#config.initialWaitMs, signal);
    await this.#addresses.firstNames(signal);
    if (waiting.length === 0 || signal.aborted) return;
    const cached = waiting.filter((name) => this.#catalog.entry(name)?.lastGood !== undefined);
    this.#log.warn('some sources have not answered; starting without them', { waiting, cached });
  }

  #applyChanges(signal: AbortSignal): void {
    void this.#fileOutput.run(signal);
    this.#touch = coalesce((dirty) => this.#apply(dirty, signal), signal);
    this.#phase = 'running';
    this.#touch(all);
    const statuses = () => [...this.#catalog.names()].map((name) => [name, this.#discoverer.status(name)] as const);
    void watchFreshness(statuses, this.#events, signal);
  }

  async #stop(saving: readonly Promise<void>[]): Promise<void> {
    this.#phase = 'stopping';
    this.#lostWatch.end();
    // An apply that is under way is not waited for: it may wait for a HAProxy that is down.
    await Promise.all([...saving, this.#haproxy?.close(), this.fleet.close()]);
    // Last: while the sources run, the state file can tell which sets are current.
    await this.#discoverer.end();
  }

  /** Acts on what a call changed in the catalog. */
  #take(changes: readonly CatalogChange[]): void {
    if (this.#phase !== 'stopping') this.#addresses.take(changes);
    for (const change of changes) {
      const { service, stateChanged, ended } = change;
      if (stateChanged) this.#touch(service);
      for (const { lost, how } of ended) this.#departures.add(service, lost.instance.id, { how });
      if (!this.#config.services.has(service)) continue;
      const to = { log: this.#log, events: this.#events };
      this.#returns.note(change, to);
      recordCatalogChange(change, to);
    }
    if (changes.length > 0) this.#stateFile?.touch();
    if (this.#phase !== 'stopping') this.#lostWatch.take(changes);
  }

  async #apply(dirty: ReadonlySet<string | typeof all>, signal: AbortSignal): Promise<void> {
    const isNew = this.#haproxy?.config !== this.#config.haproxy;
    // A new output knows nothing yet and must be given everything, also when this is tried again.
    const names = isNew || dirty.has(all) ? undefined : (dirty as ReadonlySet<string>);
    let departures: DeparturesTaken = new Map();
    try {
      if (isNew) await this.#replaceHaproxy(signal);
      if (this.#haproxy === undefined || signal.aborted) return;
      departures = this.#departures.take(names);
      const before: Snapshot = this.#applied ?? new Map();
      const after = this.#catalog.snapshot();
      // Services that were removed since the last apply are named too.
      const changed = names ?? new Set([...before.keys(), ...after.keys()]);
      void this.#fileOutput.apply(after, changed);
      const services = await this.#haproxy.haproxy.apply(after, changed);
      this.#report({ before, after, changed: names, services, departures });
      this.#applied = after;
      this.fleet.wake();
      applies.inc({ result: 'ok' });
    } catch (error) {
      applies.inc({ result: 'failed' });
      this.#departures.putBack(departures);
      this.#log.error('a snapshot could not be applied, trying again', { reason: reasonOf(error) });
      void sleep(retryMs, signal).then(() => {
        for (const name of names ?? new Set([all] as const)) this.#touch(name);
      });
    }
  }

  /** Ends the output with the former configuration, if there is one, and starts another. */
  async #replaceHaproxy(signal: AbortSignal): Promise<void> {
    await this.#haproxy?.close();
    if (signal.aborted) return;
    this.#haproxy = new HaproxyRun(this.#config.haproxy, this.#deps);
    this.#haproxy.haproxy.listen(() => this.fleet.wake());
  }

  #report(applied: Applied): void {
    const origins = originsIn(this.#catalog, this.#discoverer);
    recordApplied(applied, { log: this.#log, events: this.#events, traces: this.#traces, ...origins });
  }
}
