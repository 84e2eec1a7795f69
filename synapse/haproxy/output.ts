import { clock } from '../../common/async/clock.ts';
import { supervise } from '../../common/async/supervise.ts';
import { type Log, reasonOf } from '../../common/daemon/log.ts';
import type { Host } from '../../common/host.ts';
import type { Instance } from '../../common/instance.ts';
import type { Output, Snapshot } from '../output.ts';
import { createUpkeep } from './apply-loop.ts';
import { createConfigFile } from './configfile/config-file.ts';
import { createPersist } from './configfile/config-writer.ts';
import type { HaproxyEvent } from './events.ts';
import { applyDuration } from './metrics.ts';
import { fileUse, type HaproxyConfig, socketPaths } from './options/config.ts';
import { createPlacement, createSlotKeeper, type Placement, type SlotKeeper } from './ports/port-assignment.ts';
import { createReloading } from './reload/reloader.ts';
import type { Sent } from './runtime/command-log.ts';
import { HaproxyProcess } from './runtime/process.ts';
import { createBackendSpecs } from './spec/backends.ts';
import { reportLines } from './spec/build-backend.ts';
import {
  backendOf,
  createDesiredService,
  type DesiredService,
  nameInUse,
  takeInstances,
} from './spec/desired-service.ts';
import { type ParsedConfig, parseConfig } from './spec/parse-config.ts';
import { configurationReason } from './spec/reload-reason.ts';
import type { BackendSpec } from './spec/types.ts';
import { type HaproxyStatus, statusOf } from './status.ts';
import { decideByVersion } from './version.ts';

/** Keeps HAProxy right: its live state first, then its file, then a reload if nothing else helps. */
export interface HaproxyOutput extends Omit<Output, 'reason'> {
  /**
   * Holds the connections, writes the file, reloads. `apply` waits until this has started. Runs until `signal` aborts;
   * writes what is pending then, and leaves HAProxy as it is.
   */
  run(signal: AbortSignal): Promise<void>;
  readonly status: HaproxyStatus;
  /** With `reload_free_services`: service → its backend. */
  readonly slots: Readonly<Record<string, string>>;
  /** What was sent last about one server, to each HAProxy. */
  sent(backend: string, name: string): readonly Sent[];
}

export interface HaproxyDeps {
  readonly log: Log;
  readonly host: Host;
  readonly onEvent?: (event: HaproxyEvent) => void;
}

/** Does no I/O until `run`. Ends when `signal` aborts. */
export function createHaproxyOutput(config: HaproxyConfig, deps: HaproxyDeps, signal: AbortSignal): HaproxyOutput {
  const log = deps.log.child({ component: 'haproxy' });
  const emit = deps.onEvent ?? (() => {});
  const services = new Map<string, DesiredService>();
  let existing: ParsedConfig = parseConfig('');
  let named = config;
  const structures = createBackendSpecs(log, () => named);
  /** Made when the names are decided. */
  let slots: SlotKeeper | undefined;
  let placement: Placement | undefined;
  let started: () => void = () => {};
  const loading = new Promise<void>((resolve) => {
    started = resolve;
  });
  let loaded = false;

  const file =
    config.do_writes && config.config_file_path !== null
      ? createConfigFile({ ...config, config_file_path: config.config_file_path }, log)
      : undefined;
  /** Sockets that answered when last heard of. */
  const connected = new Set<string>();
  const latestFile = (): ParsedConfig => {
    if (file !== undefined && file.text !== existing.text) existing = parseConfig(file.text);
    return existing;
  };
  const processes: readonly HaproxyProcess[] = (config.do_socket ? socketPaths(config) : []).map(
    (path) =>
      new HaproxyProcess(path, {
        log,
        host: deps.host,
        services,
        config,
        file: latestFile,
        onRead: (haproxy) => {
          if (haproxy === processes[0]) for (const desired of services.values()) number(desired);
        },
        onDeleted: ({ active, ids }, name) => {
          if (!processes.some(({ running }) => running.get(active?.backend ?? '')?.has(name))) ids.release(name);
        },
        onSync: (haproxy, commands) => {
          connected.add(path);
          emit({ type: 'synced', socket: path, pid: haproxy.worker?.pid ?? 0, commands });
          upkeep.touch();
        },
        onChange: () => {
          // A reload ends our connection too: that is not a loss.
          const reason = processes.find((haproxy) => haproxy.path === path)?.reason ?? null;
          if (reason !== null && connected.delete(path)) emit({ type: 'lost', socket: path, reason });
          upkeep.wake();
        },
      }),
  );
  const persist = createPersist(config, { log, emit, services, processes, file, existing: latestFile });
  const reloading = createReloading(config, {
    log,
    emit,
    processes,
    persist,
    text: () => file?.text ?? '',
    rewrite: async () => file?.rewrite(),
  });
  const upkeep = createUpkeep({ log, processes, persist, reloading, use: fileUse(config) });

  /** Servers keep the numbers they run with, or else those of the file. */
  const number = (desired: DesiredService): void => {
    const backend = backendOf(desired);
    if (backend === undefined) return;
    const known: [string, number][] = [];
    for (const { name, id } of processes[0]?.running.get(backend)?.values() ?? []) known.push([name, id]);
    for (const { name, id } of latestFile().backends.get(backend)?.values() ?? []) {
      if (id !== undefined) known.push([name, id]);
    }
    desired.ids.reset(known);
    desired.numbering += 1;
  };

  /** True when the change needs another file before it can be anything else. */
  const restructure = (desired: DesiredService, structure: BackendSpec | undefined): boolean => {
    const { service, wanted } = desired;
    if (wanted?.fingerprint === structure?.fingerprint) {
      // Another service in a slot: the same for HAProxy.
      if (desired.active === wanted) desired.active = structure;
      desired.wanted = structure;
      return false;
    }
    desired.wanted = structure;
    structures.own(service, wanted, structure);
    if (wanted === undefined) number(desired);
    const what = wanted === undefined ? 'is new' : structure === undefined ? 'was removed' : 'has other options';
    const inSlot = (wanted ?? structure)?.slot !== undefined;
    persist.invalidate();
    reloading.restructured(
      configurationReason(inSlot ? 'the ports of reload_free_services changed' : `service ${service} ${what}`),
    );
    return true;
  };

  /** Keeps our map in the order of the configuration; services that left it stay until the file has been without them. */
  const reorder = (snapshot: Snapshot): void => {
    const kept = new Set(
      [...snapshot.keys()].map((name) => services.get(name)).filter((desired) => desired !== undefined),
    );
    const inSlots = (slots?.all ?? []).filter(({ service }) => services.has(service));
    for (const desired of inSlots) kept.delete(desired);
    const left = [...services.values()].filter((desired) => !kept.has(desired) && !inSlots.includes(desired));
    services.clear();
    for (const desired of [...kept, ...left, ...inSlots]) services.set(desired.service, desired);
  };

  const expire = (desired: DesiredService, name: string, deadline: number): void => {
    const timer = clock.setTimeout(
      () => {
        if (signal.aborted || desired.leaving.get(name) !== deadline) return;
        desired.leaving.delete(name);
        for (const haproxy of processes) void haproxy.change(desired, [{ name, server: undefined }]);
      },
      Math.max(0, deadline - clock.now()),
    );
    timer.unref();
  };

  return {
    async apply(snapshot, dirty) {
      // Not `await` when it is there: commands have to be on their way when this function first yields.
      if (!loaded) await loading;
      let restructured = false;
      const sent: { desired: DesiredService; results: Promise<{ commands: number; failed: number }>[] }[] = [];
      /** Sends what takes one service to these instances; all of it is looked at when it may have become another one. */
      const send = (
        desired: DesiredService,
        instances: readonly Instance[] | undefined,
        seenAt: number,
        all: boolean,
      ) => {
        const current = desired.active ?? desired.wanted;
        if (instances === undefined || current === undefined) return;
        const whole = all || desired.instances === undefined;
        const leaving = new Set(desired.leaving.keys());
        const changes = takeInstances(desired, current, instances, config.drain_timeout);
        desired.seenAt = seenAt;
        sent.push({
          desired,
          results: processes.map((haproxy) => (whole ? haproxy.replan([desired]) : haproxy.change(desired, changes))),
        });
        for (const [server, deadline] of desired.leaving) if (!leaving.has(server)) expire(desired, server, deadline);
      };

      const moved = placement?.assign(snapshot, dirty) ?? [];
      for (const { desired, structure, occupant } of moved) {
        services.set(desired.service, desired);
        restructured = restructure(desired, structure) || restructured;
        const state = occupant === undefined ? undefined : snapshot.get(occupant);
        const instances = occupant === undefined ? [] : state?.instances;
        send(desired, instances, state?.seenAt ?? clock.now(), true);
      }
      for (const name of dirty) {
        const state = snapshot.get(name);
        const slot = slots?.of(name);
        let desired = services.get(name);
        if (state === undefined || slot !== undefined) {
          if (desired !== undefined && !isSlot(desired)) restructured = restructure(desired, undefined) || restructured;
          if (state !== undefined && slot !== undefined && !moved.some((change) => change.desired === slot)) {
            send(slot, state.instances, state.seenAt, false);
          }
          continue;
        }
        const refused = slots?.refused.has(name) ?? false;
        const structure = refused ? undefined : structures.unlessTaken(name, structures.of(name, state.config));
        if (desired === undefined) {
          if (structure === undefined) continue;
          desired = createDesiredService(name, config.max_server_id);
          services.set(name, desired);
        }
        restructured = restructure(desired, structure) || restructured;
        send(desired, state.instances, state.seenAt, false);
      }
      if (restructured) {
        reorder(snapshot);
        // After a restart of synapse, nothing has changed as a rule: then nothing has to be checked before it counts.
        if (persist.adopt()) for (const haproxy of processes) void haproxy.replan();
      }
      upkeep.touch(restructured);
      for (const { desired, results } of sent) {
        let commands = 0;
        let failed = 0;
        for (const result of results) {
          const done = await result;
          commands += done.commands;
          failed += done.failed;
        }
        if (commands === 0) continue;
        const milliseconds = clock.now() - desired.seenAt;
        applyDuration.observe(milliseconds / 1000);
        emit({ type: 'applied', service: nameInUse(desired), commands, failed, milliseconds });
      }
    },

    async run(runSignal) {
      const scope = AbortSignal.any([signal, runSignal]);
      reportLines(config, log);
      await supervise(
        async () => {
          // A file that cannot be read does not keep us from the running HAProxy.
          await file
            ?.read()
            .catch((error) => log.error('the present file cannot be read', { reason: reasonOf(error) }));
          if (!loaded) {
            named = await decideByVersion(config, deps.host, scope);
            slots = createSlotKeeper(named);
            placement = createPlacement(slots, structures, log);
            reloading.begin();
          }
          loaded = true;
          started();
          await Promise.all([...processes.map((haproxy) => haproxy.run(scope)), keepUp(scope)]);
        },
        { what: 'HAProxy output', log },
        scope,
      );
      await upkeep.flush();
    },

    get status() {
      const { problems } = structures;
      return statusOf({ services, processes, persist, reloading, unwritten: upkeep.failure, slots, problems });
    },

    get slots() {
      return slots?.backends ?? {};
    },

    sent: (backend, name) =>
      processes.map((haproxy) => haproxy.commandLog.of(backend, name)).filter((sent) => sent !== undefined),
  };

  async function keepUp(scope: AbortSignal): Promise<void> {
    await supervise(
      (each) => upkeep.run(each),
      { what: 'writing and reloading HAProxy', log, healthyAfterMs: 2_000 },
      scope,
    );
  }
}

function isSlot({ wanted, active }: DesiredService): boolean {
  return (wanted ?? active)?.slot !== undefined;
}
