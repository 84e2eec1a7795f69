import type { EtcdRecorder } from './etcd-recorder.ts';
import type { History } from './history.ts';
import type { SoakInstance } from './instance.ts';

/** From this revision on, an instance may be announced, or not. */
interface Intent {
  readonly kind: 'in' | 'out';
  /** What etcd had before the instance was changed: whatever nerve writes because of the change comes later. */
  readonly after: number;
}

/** Which instances ought to be announced, by revisions of etcd: a late write must not bring one back. */
export class Intents {
  readonly #recorder: EtcdRecorder;
  readonly #intents = new Map<string, Intent[]>();
  readonly #reasons = new Map<string, Set<string>>();

  constructor(recorder: EtcdRecorder) {
    this.#recorder = recorder;
  }

  /** To be called before the instances are taken out for this reason. */
  async out(instances: readonly SoakInstance[], reason: string, signal: AbortSignal): Promise<void> {
    const after = await this.#recorder.now(signal);
    for (const { key } of instances) {
      const reasons = this.#reasons.get(key) ?? new Set();
      this.#reasons.set(key, reasons.add(reason));
      if (reasons.size === 1) this.#add(key, { kind: 'out', after });
    }
  }

  /** To be called before the reason ends. */
  async in(instances: readonly SoakInstance[], reason: string, signal: AbortSignal): Promise<void> {
    const after = await this.#recorder.now(signal);
    for (const { key } of instances) {
      const reasons = this.#reasons.get(key);
      if (reasons?.delete(reason) && reasons.size === 0) this.#add(key, { kind: 'in', after });
    }
  }

  /** Compares the whole history of etcd with them. */
  check(history: History): void {
    for (const [key, intents] of this.#intents) {
      let withdrawnAt: number | undefined;
      for (const { state, revision } of this.#recorder.of(key)) {
        if (state === 'down') withdrawnAt = revision;
        if (state !== 'up' || withdrawnAt === undefined) continue;
        const last = intents.findLast(({ after }) => after < revision);
        if (last?.kind === 'out' && last.after < withdrawnAt) {
          history.violated(`etcd ${revision}: ${key} is announced again, although it was withdrawn at ${withdrawnAt}`);
        }
        withdrawnAt = undefined;
      }
    }
  }

  #add(key: string, intent: Intent): void {
    this.#intents.set(key, [...(this.#intents.get(key) ?? []), intent]);
  }
}
