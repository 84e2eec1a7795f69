import { clock } from '../../common/async/clock.ts';
import { isObject } from '../../common/config/formats.ts';
import { type Log, reasonOf } from '../../common/daemon/log.ts';
import { removeUnfinished, writeFileAtomic } from '../../common/file.ts';
import type { Files } from '../../common/host.ts';
import { readWeight } from '../../common/instance-fields.ts';
import { requireTrusted } from '../../common/trust.ts';

/** What an operator has changed about the services: which are drained, and their weights. */
export interface OperatorChanges {
  /** True when the state file was read: then it is right, and a record in etcd that contradicts it is out of date. */
  readonly remembered: boolean;
  /** Since when the service is drained, ISO 8601; undefined when it is not. */
  drainedSince(service: string): string | undefined;
  setDrained(service: string, drained: boolean): void;
  /** The weight that the service has in place of that in the configuration; undefined for none. */
  weightOf(service: string): number | undefined;
  setWeight(service: string, weight: number | undefined): void;
  /** Resolves when the last change is in the file: to null, or to the reason why it is not. */
  saved(): Promise<string | null>;
}

/** What the store needs from outside. */
export interface OperatorStoreDeps {
  readonly log: Log;
  readonly files: Files;
}

/** What the state file has. */
interface Stored {
  readonly drained: ReadonlyMap<string, string>;
  readonly weights: ReadonlyMap<string, number>;
}

/**
 * Keeps what an operator changed in a state file: an orderly restart removes the records from etcd, and nerve must know the
 * drained services before etcd answers. When the file is new, lost or damaged, nerve believes the draining records that a killed
 * predecessor left in etcd, see {@link OperatorChanges.remembered}; weights are then those of the configuration.
 */
export class OperatorStore implements OperatorChanges {
  readonly #path: string | null;
  readonly #deps: OperatorStoreDeps;
  readonly #drained: Map<string, string>;
  readonly #weights: Map<string, number>;
  readonly remembered: boolean;
  /** Why the file does not have the last change. */
  #reason: string | null;
  #writing = Promise.resolve();

  private constructor(path: string | null, stored: Stored | undefined, deps: OperatorStoreDeps) {
    this.#path = path;
    this.#deps = deps;
    this.#drained = new Map(stored?.drained);
    this.#weights = new Map(stored?.weights);
    this.remembered = stored !== undefined;
    this.#reason = path === null ? 'there is no state file' : null;
  }

  /** Without a path nothing survives the process. Never rejects: a broken file must not stop nerve from announcing. */
  static async open(path: string | null, deps: OperatorStoreDeps): Promise<OperatorStore> {
    if (path === null) return new OperatorStore(null, undefined, deps);
    await removeUnfinished(path, deps.files);
    return new OperatorStore(path, await readStored(path, deps), deps);
  }

  drainedSince(service: string): string | undefined {
    return this.#drained.get(service);
  }

  setDrained(service: string, drained: boolean): void {
    if (drained === this.#drained.has(service)) return;
    if (drained) this.#drained.set(service, clock.date().toISOString());
    else this.#drained.delete(service);
    this.#save();
  }

  weightOf(service: string): number | undefined {
    return this.#weights.get(service);
  }

  setWeight(service: string, weight: number | undefined): void {
    if (weight === this.#weights.get(service)) return;
    if (weight === undefined) this.#weights.delete(service);
    else this.#weights.set(service, weight);
    this.#save();
  }

  async saved(): Promise<string | null> {
    await this.#writing;
    return this.#reason;
  }

  #save(): void {
    this.#writing = this.#writing.then(() => this.#write());
  }

  async #write(): Promise<void> {
    if (this.#path === null) return;
    const { log, files } = this.#deps;
    const weights = this.#weights.size === 0 ? {} : { weights: Object.fromEntries(this.#weights) };
    const text = `${JSON.stringify({ drained: Object.fromEntries(this.#drained), ...weights })}\n`;
    try {
      await writeFileAtomic(this.#path, text, { mode: 0o600, files });
      this.#reason = null;
    } catch (error) {
      this.#reason = reasonOf(error);
      log.error('state file with the drained services cannot be written', { path: this.#path, reason: this.#reason });
    }
  }
}

/** What the file has; undefined when it is missing or damaged. A weight that is none is left out, and logged. */
async function readStored(path: string, { log, files }: OperatorStoreDeps): Promise<Stored | undefined> {
  try {
    await requireTrusted(path, 'remove it, or set state_file_path', files);
    const value: unknown = JSON.parse(await files.read(path));
    const { drained, weights = {} } = isObject(value) ? value : {};
    if (!isObject(drained)) throw new Error('it has no list of drained services');
    return {
      drained: new Map(Object.entries(drained).map(([service, since]) => [service, String(since)])),
      weights: readWeights(weights, { path, log }),
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    log.error('state file with the drained services cannot be read, using the records in etcd', {
      path,
      reason: reasonOf(error),
    });
    return undefined;
  }
}

function readWeights(
  value: unknown,
  { path, log }: { readonly path: string; readonly log: Log },
): ReadonlyMap<string, number> {
  const weights = new Map<string, number>();
  for (const [service, weight] of Object.entries(isObject(value) ? value : {})) {
    try {
      weights.set(service, readWeight(weight));
    } catch (error) {
      log.error('state file has a weight that cannot be used', { path, service, reason: reasonOf(error) });
    }
  }
  return weights;
}
