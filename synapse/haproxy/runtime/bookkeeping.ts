import type { Log } from '../../../common/daemon/log.ts';
import { keyOfReason, type ReloadReason } from '../spec/reload-reason.ts';
import type { StuckServer } from './attempts.ts';
import type { HeldServer } from './draft.ts';

/** What a plan for a whole service could not settle. */
export interface ServiceIssues {
  readonly reload: readonly ReloadReason[];
  readonly held: readonly HeldServer[];
  readonly stuck: readonly StuckServer[];
}

/**
 * What plans could not settle, by service: reasons for a reload, servers that an operator has changed, and servers that HAProxy
 * does not change.
 */
export class OpenIssues {
  readonly #log: Log;
  readonly #onChange: () => void;
  /** Service → text → reason: there may be thousands, added one server after the other. */
  readonly #reasons = new Map<string, Map<string, ReloadReason>>();
  readonly #held = new Map<string, readonly HeldServer[]>();
  readonly #stuck = new Map<string, readonly StuckServer[]>();

  /** `onChange` is called when the reasons for a reload differ from before. */
  constructor(log: Log, onChange: () => void) {
    this.#log = log;
    this.#onChange = onChange;
  }

  /** Service → reasons for a reload, each text once. */
  get reloadReasons(): ReadonlyMap<string, readonly ReloadReason[]> {
    return new Map([...this.#reasons].map(([service, reasons]) => [service, [...reasons.values()]]));
  }

  get held(): readonly HeldServer[] {
    return [...this.#held.values()].flat();
  }

  get stuck(): readonly StuckServer[] {
    return [...this.#stuck.values()].flat();
  }

  /** Adds the reasons of a plan for some servers of a service. */
  add(service: string, reload: readonly ReloadReason[]): void {
    if (this.#append(service, reload)) this.#onChange();
  }

  /** Takes a plan for a whole service: its issues are all there are. */
  replace(service: string, { reload, held, stuck }: ServiceIssues): void {
    const before = this.#reasons.get(service) ?? noReasons;
    this.#reasons.delete(service);
    this.#append(service, reload);
    this.#hold(service, held);
    if (stuck.length === 0) this.#stuck.delete(service);
    else this.#stuck.set(service, stuck);
    const now = [...(this.#reasons.get(service) ?? noReasons).values()].map(keyOfReason);
    const then = [...before.values()].map(keyOfReason);
    if (now.length !== then.length || now.some((key, index) => key !== then[index])) this.#onChange();
  }

  /** Forgets the services that are not in `services`. */
  keepOnly(services: { has(service: string): boolean }): void {
    for (const map of [this.#reasons, this.#held, this.#stuck]) {
      for (const service of [...map.keys()]) if (!services.has(service)) map.delete(service);
    }
  }

  /** True when at least one reason is new. */
  #append(service: string, reload: readonly ReloadReason[]): boolean {
    if (reload.length === 0) return false;
    const reasons = this.#reasons.get(service) ?? new Map<string, ReloadReason>();
    this.#reasons.set(service, reasons);
    let isNew = false;
    for (const reason of reload) {
      const known = reasons.get(reason.text);
      isNew ||= known === undefined || keyOfReason(known) !== keyOfReason(reason);
      reasons.set(reason.text, reason);
    }
    return isNew;
  }

  #hold(service: string, held: readonly HeldServer[]): void {
    const before = this.#held.get(service) ?? [];
    for (const server of held) {
      if (before.some((other) => other.name === server.name && other.held === server.held)) continue;
      this.#log.warn('a server was changed by hand and stays so', { ...server });
    }
    this.#held.set(service, held);
  }
}

const noReasons: ReadonlyMap<string, ReloadReason> = new Map();

/** The moment at which a reading was asked for. */
export interface ReadingMoment {
  /** True when the backend has had commands since: what is read may be from before them. */
  isStale(backend: string): boolean;
}

/** The backends that have had commands since they were last read. */
export class DirtyBackends {
  /** Backend → how many times it was marked. Only grows, so two counts tell whether anything happened between them. */
  readonly #counts = new Map<string, number>();
  readonly #unread = new Set<string>();

  /** Backends that have to be read. */
  get unread(): ReadonlySet<string> {
    return this.#unread;
  }

  /** Commands for the backend are on their way. */
  mark(backend: string): void {
    this.#counts.set(backend, (this.#counts.get(backend) ?? 0) + 1);
    this.#unread.add(backend);
  }

  /** The backend has been read. */
  markRead(backend: string): void {
    this.#unread.delete(backend);
  }

  /** To be called when a reading is asked for. */
  moment(): ReadingMoment {
    const counts = new Map(this.#counts);
    return { isStale: (backend) => this.#counts.get(backend) !== counts.get(backend) };
  }

  /** Forgets everything: all backends have been read. */
  clear(): void {
    this.#counts.clear();
    this.#unread.clear();
  }
}
