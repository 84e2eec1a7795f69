import { clock, type Timer } from '../common/async/clock.ts';
import { coalesce, type MarkDirty } from '../common/async/coalesce.ts';
import { sleep } from '../common/async/sleep.ts';
import { type Log, reasonOf } from '../common/daemon/log.ts';
import { pruneLater } from '../common/daemon/metrics.ts';
import type { Instance } from '../common/instance.ts';
import { Catalog } from './catalog/catalog.ts';
import { type Cache, createCache, readCache } from './catalog/state-file.ts';
import type { SynapseConfig } from './config/config.ts';
import { keepEqual } from './config/keep-equal.ts';
import { Discoverer } from './discovery/discoverer.ts';
import { watchFreshness } from './discovery/freshness.ts';
import { createFileWriting, type FilesNow, type FileWriting } from './file-output.ts';
import type { RunningHaproxy } from './haproxy/haproxy.ts';
import type { HaproxyConfig } from './haproxy/options/config.ts';
import type { Sent } from './haproxy/runtime/command-log.ts';
import type { ServicesStatistics } from './haproxy/statistics/counters.ts';
import { applies, guardedInstances, observe, refusedConfigs } from './metrics.ts';
import type { ServersOf, Snapshot } from './output.ts';
import { Events } from './report/events.ts';
import { report } from './report/report.ts';
import { observed, remembered, stateOf } from './report/state.ts';
import type { SynapseState } from './report/status-shape.ts';
import type { Trace } from './report/trace-shape.ts';
import { Traces } from './report/traces.ts';

export interface SynapseDeps {
  readonly log: Log;
  /** Where what happens is written down; one of its own when not given. */
  readonly events?: Events;
  createHaproxy(config: HaproxyConfig, signal: AbortSignal): RunningHaproxy;
}

/** The daemon without its process: sources in, outputs out. */
export interface Synapse {
  /** Runs until `signal` aborts; the world stays as it is then, and everything pending is on disk. */
  run(signal: AbortSignal): Promise<void>;
  /** Takes a new configuration and touches only what changed. */
  reconfigure(config: SynapseConfig): void;
  /** Null when every service is known and the output has it; otherwise the reason. */
  ready(): string | null;
  /** Of all services, or of those named. */
  state(names?: readonly string[]): SynapseState;
  /** What HAProxy itself says, see {@link RunningHaproxy.view}. @throws when it cannot be asked */
  view(of?: ServersOf): Promise<ServicesStatistics>;
  /** How the newest change of each instance of a service went, as far as it is remembered; by id. */
  traces(service: string): Readonly<Record<string, Trace>>;
  /** What was sent to HAProxy last about one instance. */
  sent(service: string, id: string): readonly Sent[];
}

/** Stands for every service among the names of changed ones. */
const all = Symbol('all services');

/** Makes it; does no I/O. */
export function createSynapse(initial: SynapseConfig, deps: SynapseDeps): Synapse {
  const { log, events = new Events() } = deps;
  const traces = new Traces();
  let config = initial;
  const catalog = new Catalog();
  let output: OpenOutput | undefined;
  let cache: Cache | undefined;
  /** Until the gate opens, changes are only remembered: the first write has all of them. */
  let gateOpen = false;
  let files: FileWriting | undefined;
  let applied: Snapshot = new Map();
  let everApplied = false;
  let touch: MarkDirty<string | typeof all> = () => {};
  let ending = false;
  /** By service: when its first suspect is given up. */
  const timers = new Map<string, Timer>();

  const discoverer = new Discoverer(
    (service, set) => {
      const known = catalog.recall(service);
      const before = known?.guarded?.suspects.size ?? 0;
      const refusedBefore = known?.refused ?? null;
      if (catalog.update(service, set)) touch(service);
      cache?.touch();
      watchSuspects(service, before);
      const refused = catalog.recall(service)?.refused ?? null;
      if (refused === refusedBefore || refused === null) return;
      refusedConfigs.inc({ service });
      log.error('a published configuration is refused', { service, reason: refused });
      events.record({ kind: 'published_refused', level: 'error', service, reason: refused });
    },
    { log, events, traces, onOther: (service) => catalog.otherSource(service) },
  );

  const forgetTimer = (service: string): void => {
    clock.clearTimeout(timers.get(service));
    timers.delete(service);
  };

  /** Says so when suspects are more or none any more, and gives them up in time. */
  const watchSuspects = (service: string, before: number): void => {
    const suspects = catalog.recall(service)?.guarded?.suspects ?? new Map();
    if (suspects.size > before) {
      guardedInstances.inc({ service }, suspects.size - before);
      log.warn('instances whose leases expired together are kept as suspects', { service, suspects: suspects.size });
      const reason = `${suspects.size} instances whose leases expired together are kept as suspects`;
      events.record({ kind: 'guard_in_force', level: 'warn', service, instances: suspects.size, reason });
    } else if (suspects.size === 0 && before > 0) {
      log.info('no instance is suspect any more', { service });
      events.record({ kind: 'guard_lifted', level: 'info', service });
    }
    forgetTimer(service);
    const at = catalog.refreshAt(service);
    if (at === undefined || ending) return;
    const giveUp = (): void => {
      if (catalog.refresh(service)) touch(service);
      cache?.touch();
      watchSuspects(service, suspects.size);
    };
    timers.set(service, clock.setTimeout(giveUp, Math.max(1, Math.ceil(at - clock.now()))));
  };

  const filesNow = (): FilesNow | undefined => {
    if (config.fileOutput === undefined) return undefined;
    const services = new Map<string, readonly Instance[] | undefined>();
    for (const [name, { hasFile = true }] of config.services) {
      if (hasFile) services.set(name, catalog.state(name)?.instances);
    }
    return { folder: config.fileOutput.output_directory, services };
  };

  const origin = (service: string): { source?: string; revision?: string } => {
    const source = discoverer.status(service)?.method;
    const revision = catalog.recall(service)?.set?.revision;
    return { ...(source !== undefined && { source }), ...(revision !== undefined && { revision }) };
  };

  const apply = async (dirty: ReadonlySet<string | typeof all>, signal: AbortSignal): Promise<void> => {
    let names: Set<string> | undefined = new Set();
    for (const name of dirty) {
      if (name === all) names = undefined;
      else names?.add(name);
    }
    try {
      if (output?.config !== config.haproxy) {
        // A new output knows nothing yet, and must hear everything even if this is tried again.
        names = undefined;
        await output?.close();
        if (signal.aborted) return;
        output = openOutput(config.haproxy, deps);
      }
      const snapshot = catalog.snapshot();
      // At the same time: neither waits for the other.
      files?.touch(names);
      // Those that were removed meanwhile are named too.
      await output.output.apply(snapshot, names ?? new Set([...applied.keys(), ...snapshot.keys()]));
      report({ before: applied, after: snapshot }, names, { log, events, traces, origin });
      applied = snapshot;
      everApplied = true;
      applies.inc({ result: 'ok' });
    } catch (error) {
      applies.inc({ result: 'failed' });
      log.error('a snapshot could not be applied, trying again', { reason: reasonOf(error) });
      const again: Iterable<string | typeof all> = names ?? [all];
      void sleep(1_000, signal).then(() => {
        for (const name of again) touch(name);
      });
    }
  };

  return {
    async run(signal) {
      const { stateFile } = config;
      const restored = stateFile && (await readCache(stateFile, { log }));
      catalog.configure(config.services);
      for (const [name, known] of restored ?? []) catalog.restore(name, known);
      discoverer.configure(config.services, config.etcd);
      observe(() => observed(catalog, discoverer));
      let saving: Promise<void> | undefined;
      if (stateFile !== undefined) {
        cache = createCache(stateFile, () => remembered(catalog, discoverer), { log, ...(restored && { restored }) });
        saving = cache.run(signal);
      }

      const waiting = await discoverer.answers(config.initialWait, signal);
      if (waiting.length > 0 && !signal.aborted) {
        const cached = waiting.filter((name) => catalog.recall(name)?.good !== undefined);
        log.warn('starting without the answer of some sources', { waiting, cached });
      }
      files = createFileWriting(filesNow, { log }, signal);
      touch = coalesce((dirty) => apply(dirty, signal), signal);
      gateOpen = true;
      touch(all);
      void watchFreshness(
        () => [...catalog.names()].map((name) => [name, discoverer.status(name)] as const),
        events,
        signal,
      );

      await aborted(signal);
      ending = true;
      for (const timer of timers.values()) clock.clearTimeout(timer);
      // Not waiting for an apply under way: what it waits for may be what is away.
      await Promise.all([saving, output?.close()]);
      // Last: while they run, the state file knows what is current.
      await discoverer.end();
    },

    reconfigure(next) {
      config = keepEqual(config, next);
      const suspects = [...timers.keys()].map(
        (name) => [name, catalog.recall(name)?.guarded?.suspects.size ?? 0] as const,
      );
      for (const name of catalog.configure(config.services)) touch(name);
      for (const [name, before] of suspects) {
        // Another guard may have given them up, or gives them up at another time.
        if (config.services.has(name)) watchSuspects(name, before);
        else forgetTimer(name);
      }
      discoverer.configure(config.services, config.etcd);
      pruneLater((service) => config.services.has(service));
      if (output !== undefined && output.config !== config.haproxy) touch(all);
      files?.touch(undefined);
      cache?.touch();
    },

    ready() {
      if (!gateOpen) return `waiting for the first answer of ${shorten(discoverer.unanswered())}`;
      const unknown = [...catalog.snapshot().values()].filter(({ instances }) => instances === undefined);
      if (unknown.length > 0) return `no answer and nothing cached for ${shorten(unknown.map(({ name }) => name))}`;
      if (!everApplied) return 'the first snapshot has not been applied yet';
      return output?.output.reason ?? null;
    },

    async view(of) {
      if (output === undefined) throw new Error('there is no HAProxy to ask yet');
      return output.output.view(of);
    },

    traces: (service) => traces.of(service),
    sent: (service, id) => output?.output.sent(service, id) ?? [],

    state: (names) => ({
      ...stateOf(catalog, discoverer, output?.output.status ?? null, names),
      ...(config.fileOutput !== undefined && {
        file_output: { directory: config.fileOutput.output_directory, reason: files?.trouble ?? null },
      }),
    }),
  };
}

interface OpenOutput {
  readonly config: HaproxyConfig;
  readonly output: RunningHaproxy;
  close(): Promise<void>;
}

function openOutput(config: HaproxyConfig, deps: SynapseDeps): OpenOutput {
  const end = new AbortController();
  const output = deps.createHaproxy(config, end.signal);
  const done = output.run(end.signal).catch((error) => {
    deps.log.error('the output ended with an error', { reason: reasonOf(error) });
  });
  const close = (): Promise<void> => {
    end.abort();
    return done;
  };
  return { config, output, close };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function shorten(names: readonly string[]): string {
  const more = names.length - 5;
  return more > 0 ? `${names.slice(0, 5).join(', ')} and ${more} more` : names.join(', ');
}
