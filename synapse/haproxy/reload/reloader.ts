import { clock } from '../../../common/async/clock.ts';
import { type Log, reasonOf } from '../../../common/daemon/log.ts';
import type { Host } from '../../../common/host.ts';
import { firstOf } from '../../../common/wording.ts';
import type { ConfigFile } from '../configfile/config-file.ts';
import type { ConfigWriter } from '../configfile/config-writer.ts';
import type { HaproxyEvent } from '../events.ts';
import { reloadDuration, reloadsTotal } from '../metrics.ts';
import { type HaproxyConfig, isReloadedByOthers } from '../options/config.ts';
import type { HaproxyProcess } from '../runtime/process.ts';
import {
  configurationReason,
  distinctReasons,
  kindOfReload,
  membershipReason,
  type ReloadReason,
  socketReason,
  textsOf,
} from '../spec/reload-reason.ts';
import { attemptReload, longReload, longReloadMs, NotLoaded } from './attempt.ts';
import { DueReasons } from './due-reasons.ts';
import { LoadRefused } from './master.ts';
import { OldWorkers } from './old-workers.ts';
import { ReloadPacer } from './pacer.ts';

/** What {@link Reloader} needs. */
export interface ReloaderDeps {
  readonly log: Log;
  readonly emit: (event: HaproxyEvent) => void;
  readonly host: Pick<Host, 'exec' | 'connectUnix'>;
  readonly processes: readonly Pick<
    HaproxyProcess,
    'path' | 'inSync' | 'generation' | 'reloadReasons' | 'workersSeen' | 'refresh' | 'release'
  >[];
  readonly writer: Pick<ConfigWriter, 'accepted' | 'reason' | 'quarantined' | 'loaded' | 'rollBack' | 'helped'>;
  /** Undefined when files are not to be written. */
  readonly file: Pick<ConfigFile, 'text' | 'rewrite'> | undefined;
}

/** How long a runtime API may be away until a reload is tried to bring it back. */
const unreachableMs = 5_000;
/** Further changes of specs get no reason of their own. */
const mostSpecChanges = 100;
/** The most reasons that one log line or event lists. */
const mostListed = 10;
const mostTries = 2;

/** Reloads HAProxy when there is a reason, one reload at a time, and proves what runs afterwards. */
export class Reloader {
  readonly #config: HaproxyConfig;
  readonly #deps: ReloaderDeps;
  /** A program that watches the file reloads HAProxy. */
  readonly #isWatched: boolean;
  readonly #pacer: ReloadPacer;
  readonly #oldWorkers: OldWorkers;
  readonly #due: DueReasons;
  /** The changes that the next configuration brings, for people. */
  #specChanges: ReloadReason[] = [];
  /** The text that HAProxy is taken to run, where no runtime API says so. */
  #loadedText: string | undefined;
  #lastInSync = clock.now();
  /** How many workers had been seen when a reload failed. */
  #failedAt: number | undefined;
  #reason: string | null = null;
  /** When the reload that is under way began. */
  #beganAt: number | undefined;
  #lastReloadAt: Date | undefined;

  constructor(config: HaproxyConfig, deps: ReloaderDeps) {
    this.#config = config;
    this.#deps = deps;
    this.#isWatched = isReloadedByOthers(config);
    this.#pacer = new ReloadPacer(config);
    this.#oldWorkers = new OldWorkers(config, deps);
    this.#due = new DueReasons(config.service_reload_interval, deps.log);
  }

  /** Why a reload is due; empty when none is. */
  get reasons(): readonly ReloadReason[] {
    const { processes, writer } = this.#deps;
    // A reload brings what is in the file: it does not help without a file of ours.
    if (!this.#config.do_writes || writer.accepted === null) return [];
    if (processes.length === 0) return this.#fileReasons();
    const found: ReloadReason[] = [];
    for (const haproxy of processes) {
      if (!haproxy.inSync) continue;
      if (haproxy.generation === writer.accepted)
        found.push(...writer.helped([...haproxy.reloadReasons.values()].flat()));
      else if (this.#specChanges.length > 0) found.push(...this.#specChanges);
      else found.push(configurationReason(otherConfiguration(haproxy.generation)));
    }
    // A reload brings HAProxy what the file says; only a restart brings back a socket file that was removed.
    if (this.#isUnreachable() && this.#loadedText !== this.#text) {
      found.push(socketReason('the runtime API cannot be reached'));
    }
    return distinctReasons(found);
  }

  /** Services whose records want more reloads than `service_reload_interval` allows → ms until the next one. */
  get waiting(): ReadonlyMap<string, number> {
    return this.#due.waiting(this.reasons);
  }

  /** How many workers finish their connections; null where there is no master process to ask. */
  get oldWorkers(): number | null {
    return this.#oldWorkers.count ?? null;
  }

  /** Why the last reload failed, or that the present one hangs; null when it worked, or its reasons are gone. */
  get reason(): string | null {
    const isLong = this.#beganAt !== undefined && clock.now() - this.#beganAt > longReloadMs;
    return this.#reason ?? (isLong ? longReload : null);
  }

  /** When the last reload that worked ended. */
  get lastReloadAt(): Date | undefined {
    return this.#lastReloadAt;
  }

  /** The file has been read for the first time: without a runtime API, HAProxy is taken to run it. */
  fileRead(): void {
    if (this.#deps.processes.length === 0) this.#loadedText = this.#text;
  }

  /** A reload is to bring this change of the specs. */
  specChanged(reason: ReloadReason): void {
    // While HAProxy is away, the same changes happen again and again.
    const same = this.#specChanges.findIndex(({ text }) => text === reason.text);
    // A change of the configuration waits for no budget, whatever the records want of the same service.
    if (same >= 0 && reason.service === undefined) this.#specChanges[same] = reason;
    if (same < 0 && this.#specChanges.length < mostSpecChanges) this.#specChanges.push(reason);
  }

  /** Notes what HAProxy runs now. @returns milliseconds until a reload may begin; undefined when none is due */
  observe(): number | undefined {
    this.#observeProcesses();
    const { reasons } = this;
    if (reasons.length === 0) {
      this.#oldWorkers.observe(false);
      if (this.#deps.processes.some(({ inSync }) => inSync)) this.#settle();
      return undefined;
    }
    if (!this.#config.do_reloads) return undefined;
    const waitMs = this.#due.waitMs(reasons, this.#context());
    this.#oldWorkers.observe(waitMs === 0);
    // A new worker may succeed where its predecessor failed.
    if (this.#workersSeen() !== this.#failedAt) this.#pacer.forget();
    return waitMs === undefined ? undefined : Math.max(this.#oldWorkers.waitMs, this.#pacer.waitMs, waitMs);
  }

  /**
   * Reloads, with one retry when nothing is known of the first try. A configuration that HAProxy does not load is rolled
   * back. Never rejects.
   */
  async reload(signal: AbortSignal): Promise<void> {
    const { log, emit } = this.#deps;
    this.#observeProcesses();
    const { reasons } = this;
    this.#due.spend(reasons);
    const listed = listOf(reasons);
    log.info('reloading HAProxy', { reasons: listed });
    emit({ type: 'reloading', reasons: listed });
    const start = clock.now();
    this.#beganAt = start;
    const error = await this.#tryTwice(signal);
    this.#beganAt = undefined;
    if (error === undefined) this.#onWorked(reasons, Math.round(clock.now() - start), signal);
    else if (!signal.aborted) await this.#onFailed(reasons, error, signal);
  }

  /** Counts the workers that finish their connections, until `signal` aborts. */
  run(signal: AbortSignal): Promise<void> {
    return this.#oldWorkers.run(signal);
  }

  get #text(): string {
    return this.#deps.file?.text ?? '';
  }

  #fileReasons(): readonly ReloadReason[] {
    if (this.#isWatched || this.#loadedText === this.#text) return [];
    return [membershipReason('the file changed, and the runtime API is not used (do_socket)')];
  }

  #observeProcesses(): void {
    const { processes, writer } = this.#deps;
    if (processes.length === 0) return;
    if (processes.some(({ inSync }) => inSync)) {
      this.#lastInSync = clock.now();
      this.#loadedText = undefined;
    }
    const isLoaded = processes.every(({ inSync, generation }) => inSync && generation === writer.accepted);
    if (isLoaded) writer.loaded();
  }

  /** Nothing is left to reload for. */
  #settle(): void {
    const { writer } = this.#deps;
    this.#due.settle();
    this.#specChanges = [];
    // What could not be loaded is not wanted any more, or works now.
    if (writer.reason === null && Object.keys(writer.quarantined).length === 0) this.#reason = null;
  }

  /** @returns the error of the last try; undefined when one worked */
  async #tryTwice(signal: AbortSignal): Promise<Error | undefined> {
    let failure: Error | undefined;
    for (let count = 1; count <= mostTries; count++) {
      try {
        await this.#try(count > 1, signal);
        return undefined;
      } catch (error) {
        failure = error instanceof Error ? error : new Error(reasonOf(error));
        if (signal.aborted) return failure;
        this.#reason = reasonOf(error);
        // HAProxy has read the file: it would refuse it again.
        if (error instanceof LoadRefused) return failure;
      }
    }
    return failure;
  }

  async #try(again: boolean, signal: AbortSignal): Promise<void> {
    const { writer } = this.#deps;
    const deps = {
      ...this.#deps,
      config: this.#config,
      accepted: () => writer.accepted,
      isBlind: () => this.#isUnreachable(),
      onPoll: () => this.#observeProcesses(),
    };
    this.#loadedText = await attemptReload(deps, again, signal);
  }

  #onWorked(reasons: readonly ReloadReason[], milliseconds: number, signal: AbortSignal): void {
    const { log, emit, processes, writer } = this.#deps;
    log.info('HAProxy has reloaded', { milliseconds });
    reloadsTotal.inc({ reason: kindOfReload(reasons), result: 'done' });
    reloadDuration.observe(milliseconds / 1000);
    this.#reason = null;
    this.#lastReloadAt = clock.date();
    if (processes.length === 0 && this.#config.master_socket_path !== null) writer.loaded();
    this.#specChanges = [];
    this.#pacer.done(true, milliseconds);
    void this.#oldWorkers.refresh(signal);
    this.#observeProcesses();
    const left = this.reasons;
    this.#due.left(left, this.#context());
    if (left.length > 0) log.warn('reasons for a reload are left after the reload', { reasons: listOf(left) });
    emit({ type: 'reloaded', reasons: textsOf(reasons), milliseconds });
  }

  async #onFailed(reasons: readonly ReloadReason[], error: Error, signal: AbortSignal): Promise<void> {
    const { log, emit } = this.#deps;
    const reason = reasonOf(error);
    reloadsTotal.inc({ reason: kindOfReload(reasons), result: 'failed' });
    log.error('reloading HAProxy failed', { reason, reasons: listOf(reasons) });
    if (error instanceof LoadRefused || error instanceof NotLoaded) {
      // The quarantine waits now: other changes need not wait with it.
      this.#pacer.done(true);
      await this.#rollBack(error, signal);
    } else {
      this.#pacer.done(false);
      this.#failedAt = this.#workersSeen();
    }
    emit({ type: 'reload-failed', reasons: textsOf(reasons), reason });
  }

  async #rollBack(error: LoadRefused | NotLoaded, signal: AbortSignal): Promise<void> {
    const output = error instanceof LoadRefused ? error.output : '';
    try {
      await this.#deps.writer.rollBack({ message: error.message, output }, signal);
    } catch (failure) {
      this.#deps.log.error('the last good configuration cannot be put back', { reason: reasonOf(failure) });
    }
  }

  #isUnreachable(): boolean {
    return this.#deps.processes.every(({ inSync }) => !inSync) && clock.now() - this.#lastInSync > unreachableMs;
  }

  #workersSeen(): number {
    return this.#deps.processes.reduce((sum, { workersSeen }) => sum + workersSeen, 0);
  }

  /** Differs when the accepted configuration or the workers are others. */
  #context(): string {
    const { processes, writer } = this.#deps;
    return JSON.stringify([writer.accepted, processes.map(({ workersSeen }) => workersSeen)]);
  }
}

function otherConfiguration(generation: string | undefined): string {
  return `HAProxy runs ${generation === undefined ? 'a configuration that is not ours' : 'another configuration'}`;
}

function listOf(reasons: readonly ReloadReason[]): readonly string[] {
  return firstOf(textsOf(reasons), mostListed);
}
