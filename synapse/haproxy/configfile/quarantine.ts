import { clock } from '../../../common/async/clock.ts';
import type { Log } from '../../../common/daemon/log.ts';
import type { Instance } from '../../../common/instance.ts';
import { quarantined } from '../metrics.ts';

/** What HAProxy judged: a service's options as a whole, or the options of some of its servers. */
export interface Unit {
  readonly service: string;
  /** Absent: the service's new options. */
  readonly shape?: string | undefined;
}

/** What a service asked for when it was judged: it is tried again when that changes. */
export interface Asked {
  readonly fingerprint: string;
  readonly instances: readonly Instance[] | undefined;
}

/** Parts of the configuration that HAProxy refuses, kept out so that all others go live. */
export interface Quarantine {
  /** Nothing is held. */
  readonly isEmpty: boolean;
  /** True when this service's new options are to be left out. */
  holds(service: string): boolean;
  /** True when servers of this shape are to be left out. */
  refuses(shape: string): boolean;
  /** `load`: the check accepted it and HAProxy failed to load it, so that trying again costs a reload. True when it is news. */
  add(unit: Unit, asked: Asked, why: { readonly message: string; readonly by: 'check' | 'load' }): boolean;
  /**
   * Lets those go that are to be tried again: what is asked for has changed (undefined: nothing is), or its time has
   * come. Of those that need a reload, one at a time. True when anything was let go.
   */
  release(asked: (unit: Unit) => Asked | undefined): boolean;
  /** What was let go has passed the check, or has been loaded, too. */
  passed(by: 'check' | 'load'): void;
  /** Service → why, for people. */
  readonly reasons: Readonly<Record<string, string>>;
}

interface Entry {
  readonly unit: Unit;
  readonly asked: Asked;
  readonly message: string;
  readonly by: 'check' | 'load';
  readonly failures: number;
  readonly retryAt: number;
  /** Let go to be tried again, and remembered in case that it fails again. */
  readonly released: boolean;
}

/** What was refused for a cause outside of the configuration, such as a missing certificate, heals by itself. Milliseconds. */
const firstWait = { check: 60_000, load: 5_000 } as const;
const longestWait = 300_000;

export function createQuarantine(log: Log, now: () => number = () => clock.now()): Quarantine {
  const entries = new Map<string, Entry>();
  const keyOf = ({ service, shape }: Unit): string => JSON.stringify([service, shape ?? null]);
  const count = (): void => quarantined.set(new Set([...entries.values()].map(({ unit }) => unit.service)).size);
  count();

  const forget = (key: string): void => {
    entries.delete(key);
    count();
  };

  return {
    get isEmpty() {
      return entries.size === 0;
    },
    holds(service) {
      return entries.get(keyOf({ service }))?.released === false;
    },
    refuses(shape) {
      for (const { unit, released } of entries.values()) if (unit.shape === shape && !released) return true;
      return false;
    },
    add(unit, asked, { message, by }) {
      const known = entries.get(keyOf(unit));
      const failures = (known?.asked.fingerprint === asked.fingerprint ? known.failures : 0) + 1;
      const wait = Math.min(firstWait[by] * 2 ** (failures - 1), longestWait);
      entries.set(keyOf(unit), { unit, asked, message, by, failures, retryAt: now() + wait, released: false });
      count();
      const what =
        unit.shape === undefined
          ? 'a service was quarantined, the others go on'
          : 'servers were quarantined because of their options';
      if (failures === 1) log.error(what, { service: unit.service, reason: message });
      else log.debug(what, { service: unit.service, reason: message, failures });
      return failures === 1;
    },
    release(askedOf) {
      let found = false;
      const due: [string, Entry][] = [];
      for (const [key, entry] of [...entries]) {
        const asked = askedOf(entry.unit);
        if (asked?.fingerprint !== entry.asked.fingerprint) {
          forget(key);
          found = true;
        } else if (!entry.released) {
          const changed =
            entry.by === 'check' && entry.unit.shape === undefined && asked.instances !== entry.asked.instances;
          if (changed || entry.retryAt <= now()) due.push([key, entry]);
        }
      }
      const oldest = due
        .filter(([, { by }]) => by === 'load')
        .sort(([, a], [, b]) => a.retryAt - b.retryAt)
        .at(0);
      for (const [key, entry] of due) {
        if (entry.by === 'load' && key !== oldest?.[0]) continue;
        entries.set(key, { ...entry, released: true });
        found = true;
      }
      return found;
    },
    passed(by) {
      for (const [key, entry] of [...entries]) {
        if (!entry.released || (by === 'check' && entry.by === 'load')) continue;
        log.info('what was quarantined is accepted now', { service: entry.unit.service });
        forget(key);
      }
    },
    get reasons() {
      const reasons: Record<string, string> = {};
      for (const { unit, message, by } of entries.values()) {
        const what = unit.shape === undefined ? 'its new options' : 'options of its servers';
        reasons[unit.service] = `HAProxy ${by === 'check' ? 'refuses' : 'cannot load'} ${what}: ${message}`;
      }
      return reasons;
    },
  };
}
