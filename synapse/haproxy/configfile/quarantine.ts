import { clock } from '../../../common/async/clock.ts';
import type { Log } from '../../../common/daemon/log.ts';
import type { Instance } from '../../../common/instance.ts';
import { quarantined } from '../metrics.ts';
import { type RefusedBy, retryDelayMs } from './config-lifecycle.ts';

/** What is quarantined: the new options of a service, or the options of some of its servers. */
export interface QuarantineUnit {
  readonly service: string;
  /** The shape of the servers; undefined for the options of the service. */
  readonly shape?: string | undefined;
}

/** What was wanted of a service when HAProxy refused it: when that changes, it is tried again. */
export interface WantedThen {
  readonly fingerprint: string;
  readonly instances: readonly Instance[] | undefined;
}

interface Entry {
  readonly unit: QuarantineUnit;
  readonly wanted: WantedThen;
  readonly message: string;
  readonly by: RefusedBy;
  readonly failures: number;
  /** By `clock.now()`. */
  readonly retryAt: number;
  /** Let out to be tried again, and remembered in case that HAProxy refuses it again. */
  readonly isOut: boolean;
}

/** The parts of the configuration that HAProxy refuses: they are left out so that all others go live. */
export class Quarantine {
  readonly #log: Log;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();

  constructor(log: Log, now: () => number = () => clock.now()) {
    this.#log = log;
    this.#now = now;
    this.#count();
  }

  /** True when there are no entries. */
  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  /** Service → why it is in quarantine, for people. */
  get reasons(): Readonly<Record<string, string>> {
    const reasons: Record<string, string> = {};
    for (const { unit, message, by } of this.#entries.values()) {
      const what = unit.shape === undefined ? 'its new options' : 'options of its servers';
      reasons[unit.service] = `HAProxy ${by === 'check' ? 'refuses' : 'cannot load'} ${what}: ${message}`;
    }
    return reasons;
  }

  /** True when the new options of this service are left out. */
  holds(service: string): boolean {
    return this.#entries.get(keyOf({ service }))?.isOut === false;
  }

  /** True when servers of this shape are left out. */
  refuses(shape: string): boolean {
    for (const { unit, isOut } of this.#entries.values()) if (unit.shape === shape && !isOut) return true;
    return false;
  }

  /** Adds a unit that HAProxy refuses. @returns true when it was not refused before */
  add(unit: QuarantineUnit, wanted: WantedThen, why: { readonly message: string; readonly by: RefusedBy }): boolean {
    const { message, by } = why;
    const known = this.#entries.get(keyOf(unit));
    const failures = (known?.wanted.fingerprint === wanted.fingerprint ? known.failures : 0) + 1;
    const retryAt = this.#now() + retryDelayMs(by, failures);
    this.#entries.set(keyOf(unit), { unit, wanted, message, by, failures, retryAt, isOut: false });
    this.#count();
    const what =
      unit.shape === undefined
        ? 'a service was quarantined, the others go on'
        : 'servers were quarantined because of their options';
    if (failures === 1) this.#log.error(what, { service: unit.service, reason: message });
    else this.#log.debug(what, { service: unit.service, reason: message, failures });
    return failures === 1;
  }

  /**
   * Lets out the units that are to be tried again: their options or instances changed (`wantedOf` answers undefined when
   * nothing is wanted of them any more), or it is time. Of the units that cost a reload, one at a time.
   * @returns true when any unit was let out
   */
  release(wantedOf: (unit: QuarantineUnit) => WantedThen | undefined): boolean {
    const due: [key: string, entry: Entry][] = [];
    let changed = false;
    for (const [key, entry] of [...this.#entries]) {
      const wanted = wantedOf(entry.unit);
      if (wanted?.fingerprint !== entry.wanted.fingerprint) {
        this.#forget(key);
        changed = true;
      } else if (!entry.isOut && (hasOtherInstances(entry, wanted) || entry.retryAt <= this.#now())) {
        due.push([key, entry]);
      }
    }
    const [first] = due.filter(([, { by }]) => by === 'load').sort(([, a], [, b]) => a.retryAt - b.retryAt);
    for (const [key, entry] of due) {
      if (entry.by === 'load' && key !== first?.[0]) continue;
      this.#entries.set(key, { ...entry, isOut: true });
      changed = true;
    }
    return changed;
  }

  /** Forgets the units that were let out and are accepted now: those that a check refused, or with `load` all of them. */
  passed(by: RefusedBy): void {
    for (const [key, entry] of [...this.#entries]) {
      if (!entry.isOut || (by === 'check' && entry.by === 'load')) continue;
      this.#log.info('HAProxy accepts now what was quarantined', { service: entry.unit.service });
      this.#forget(key);
    }
  }

  #forget(key: string): void {
    this.#entries.delete(key);
    this.#count();
  }

  #count(): void {
    quarantined.set(new Set([...this.#entries.values()].map(({ unit }) => unit.service)).size);
  }
}

/** The check may refuse a service's options because of its instances; loading does not depend on them. */
function hasOtherInstances({ unit, by, wanted }: Entry, now: WantedThen): boolean {
  return by === 'check' && unit.shape === undefined && now.instances !== wanted.instances;
}

function keyOf({ service, shape }: QuarantineUnit): string {
  return JSON.stringify([service, shape ?? null]);
}
