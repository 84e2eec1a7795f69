import { clock } from '../../common/async/clock.ts';
import { isObject } from '../../common/config/formats.ts';
import { type Log, reasonOf } from '../../common/daemon/log.ts';
import { removeUnfinished, writeFileAtomic } from '../../common/file.ts';
import type { Files } from '../../common/host.ts';
import { requireTrusted } from '../../common/trust.ts';

/** Which services an operator drains. */
export interface Drains {
  /** True when the state file was read: then it is right, and a record in etcd that contradicts it is out of date. */
  readonly remembered: boolean;
  /** Since when the service is drained, ISO 8601; undefined when it is not. */
  since(service: string): string | undefined;
  set(service: string, drained: boolean): void;
  /** Resolves when the last change is in the file: to null, or to the reason why it is not. */
  saved(): Promise<string | null>;
}

/** What the drain store needs from outside. */
export interface DrainStoreDeps {
  readonly log: Log;
  readonly files: Files;
}

/**
 * Keeps the drained services in a state file: an orderly restart removes their records from etcd, and nerve must know
 * them before etcd answers. When the file is new, lost or damaged, nerve believes the records that a killed
 * predecessor left in etcd, see {@link Drains.remembered}.
 */
export class DrainStore implements Drains {
  readonly #path: string | null;
  readonly #deps: DrainStoreDeps;
  readonly #drained: Map<string, string>;
  readonly remembered: boolean;
  /** Why the file does not have the last change. */
  #reason: string | null;
  #writing = Promise.resolve();

  private constructor(path: string | null, stored: ReadonlyMap<string, string> | undefined, deps: DrainStoreDeps) {
    this.#path = path;
    this.#deps = deps;
    this.#drained = new Map(stored);
    this.remembered = stored !== undefined;
    this.#reason = path === null ? 'there is no state file' : null;
  }

  /** Without a path nothing survives the process. Never rejects: a broken file must not stop nerve from announcing. */
  static async open(path: string | null, deps: DrainStoreDeps): Promise<DrainStore> {
    if (path === null) return new DrainStore(null, undefined, deps);
    await removeUnfinished(path, deps.files);
    return new DrainStore(path, await readDrained(path, deps), deps);
  }

  since(service: string): string | undefined {
    return this.#drained.get(service);
  }

  set(service: string, drained: boolean): void {
    if (drained === this.#drained.has(service)) return;
    if (drained) this.#drained.set(service, clock.date().toISOString());
    else this.#drained.delete(service);
    this.#writing = this.#writing.then(() => this.#write());
  }

  async saved(): Promise<string | null> {
    await this.#writing;
    return this.#reason;
  }

  async #write(): Promise<void> {
    if (this.#path === null) return;
    const { log, files } = this.#deps;
    const text = `${JSON.stringify({ drained: Object.fromEntries(this.#drained) })}\n`;
    try {
      await writeFileAtomic(this.#path, text, { mode: 0o600, files });
      this.#reason = null;
    } catch (error) {
      this.#reason = reasonOf(error);
      log.error('state file with the drained services cannot be written', { path: this.#path, reason: this.#reason });
    }
  }
}

/** The time of each drained service; undefined when the file is missing or damaged. */
async function readDrained(
  path: string,
  { log, files }: DrainStoreDeps,
): Promise<ReadonlyMap<string, string> | undefined> {
  try {
    await requireTrusted(path, 'remove it, or set state_file_path', files);
    const value: unknown = JSON.parse(await files.read(path));
    const drained = isObject(value) ? value.drained : undefined;
    if (!isObject(drained)) throw new Error('it has no list of drained services');
    return new Map(Object.entries(drained).map(([service, since]) => [service, String(since)]));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    log.error('state file with the drained services cannot be read, using the records in etcd', {
      path,
      reason: reasonOf(error),
    });
    return undefined;
  }
}
