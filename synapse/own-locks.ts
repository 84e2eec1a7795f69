import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import { clock } from '../common/async/clock.ts';
import { sleep } from '../common/async/sleep.ts';
import type { FileLock, LockFile } from '../common/daemon/file-lock.ts';
import { type Log, reasonOf } from '../common/daemon/log.ts';
import type { Files } from '../common/host.ts';
import type { SynapseConfig } from './config/config.ts';
import { makePrivateFolder } from './haproxy/configfile/staging.ts';
import { socketPaths } from './haproxy/options/config.ts';

/** What {@link OwnLocks} needs. */
export interface OwnLocksDeps {
  readonly log: Log;
  readonly files: Files;
  readonly lockFile: LockFile;
  /** The configuration file, for the note that a second synapse shows. */
  readonly configFile: string;
}

/** A file or socket that only one synapse may use. */
interface Owned {
  /** The option that names it. */
  readonly key: string;
  readonly path: string;
}

/** How long a synapse that is being replaced may take to end, in milliseconds. */
const patienceMs = 5_000;
const pauseMs = 100;

/**
 * Two synapses with one HAProxy, file or state file would undo each other's work for ever. Each takes a lock beside each of them,
 * in the folder `.synapse`; the lock ends with its process.
 */
export class OwnLocks {
  readonly #deps: OwnLocksDeps;
  /** Path of the file or socket → its lock. */
  readonly #held = new Map<string, FileLock>();

  constructor(deps: OwnLocksDeps) {
    this.#deps = deps;
  }

  /**
   * Takes the locks for a configuration that are not held yet, and waits a few seconds for a synapse that is just ending.
   * @throws naming the option and the other synapse, when it does not end; no new lock is held then
   */
  async take(config: Pick<SynapseConfig, 'haproxy' | 'stateFile'>, signal: AbortSignal): Promise<void> {
    const taken: string[] = [];
    const deadline = clock.now() + patienceMs;
    try {
      for (const owned of ownedBy(config)) {
        if (this.#held.has(owned.path)) continue;
        const lock = await this.#lock(owned, deadline, signal);
        if (lock === undefined) continue;
        this.#held.set(owned.path, lock);
        taken.push(owned.path);
      }
    } catch (error) {
      for (const path of taken) await this.#release(path);
      throw error;
    }
  }

  /** Gives up the locks that a configuration does not need. */
  async keepOnly(config: Pick<SynapseConfig, 'haproxy' | 'stateFile'>): Promise<void> {
    const needed = new Set(ownedBy(config).map(({ path }) => path));
    for (const path of [...this.#held.keys()]) if (!needed.has(path)) await this.#release(path);
  }

  async #lock({ key, path }: Owned, deadline: number, signal: AbortSignal): Promise<FileLock | undefined> {
    const { log, files, lockFile, configFile } = this.#deps;
    let at: string;
    try {
      at = join(await makePrivateFolder(path, files), `${basename(path)}.lock`);
    } catch (error) {
      this.#cannot({ key, path }, reasonOf(error));
      return undefined;
    }
    const note = `process ${process.pid} on ${hostname()}, configuration ${configFile}`;
    let hasSaid = false;
    for (;;) {
      const found = await lockFile(at, note);
      if (found.result === 'locked') return found.lock;
      if (found.result === 'unavailable') {
        this.#cannot({ key, path }, found.reason);
        return undefined;
      }
      if (clock.now() >= deadline || signal.aborted) throw new Error(refusal({ key, path }, found.holder));
      if (!hasSaid) log.warn('another synapse uses the same file or HAProxy, waiting for it to end', { key, path });
      hasSaid = true;
      await sleep(pauseMs, signal);
    }
  }

  /** A folder of sockets is often not ours to write to, and the lock of haproxy.cfg says the same. */
  #cannot({ key, path }: Owned, reason: string): void {
    const { log } = this.#deps;
    const message = 'a second synapse with the same file would not be noticed: it cannot be locked';
    if (key === 'haproxy.socket_file_path') log.debug(message, { key, path, reason });
    else log.warn(message, { key, path, reason });
  }

  async #release(path: string): Promise<void> {
    const lock = this.#held.get(path);
    this.#held.delete(path);
    await lock?.release().catch(() => {});
  }
}

function ownedBy({ haproxy, stateFile }: Pick<SynapseConfig, 'haproxy' | 'stateFile'>): readonly Owned[] {
  const { do_writes, do_socket, config_file_path: file } = haproxy;
  return [
    ...(do_writes && file !== null ? [{ key: 'haproxy.config_file_path', path: file }] : []),
    ...(do_socket ? socketPaths(haproxy).map((path) => ({ key: 'haproxy.socket_file_path', path })) : []),
    ...(stateFile === undefined ? [] : [{ key: 'state_file_path', path: stateFile.path }]),
  ];
}

function refusal({ key, path }: Owned, holder: string): string {
  const what = key === 'haproxy.socket_file_path' ? 'the HAProxy at' : 'the file';
  return `${key}: another synapse uses ${what} ${path} (${holder}): stop it, or give this one a HAProxy and files of its own`;
}
