import type { Log } from '../../../common/daemon/log.ts';
import type { ReloadReason } from '../spec/reload-reason.ts';
import type { StuckServer } from './attempts.ts';
import type { HeldServer } from './plan.ts';

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
  readonly #reasons = new Map<string, ReloadReason[]>();
  /** The texts in each list of `#reasons`: a list may grow by thousands, one server after the other. */
  readonly #texts = new Map<string, Set<string>>();
  readonly #held = new Map<string, readonly HeldServer[]>();
  readonly #stuck = new Map<string, readonly StuckServer[]>();

  /** `onChange` is called when the reasons for a reload differ from before. */
  constructor(log: Log, onChange: () => void) {
    this.#log = log;
    this.#onChange = onChange;
  }

  /** Service → reasons for a reload, each text once. */
  get reloadReasons(): ReadonlyMap<string, readonly ReloadReason[]> {
    return this.#reasons;
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
    const before = this.#reasons.get(service) ?? [];
    this.#reasons.delete(service);
    this.#texts.delete(service);
    this.#append(service, reload);
    this.#hold(service, held);
    if (stuck.length === 0) this.#stuck.delete(service);
    else this.#stuck.set(service, stuck);
    const now = this.#reasons.get(service) ?? [];
    if (now.length !== before.length || now.some(({ text }, index) => text !== before[index]?.text)) this.#onChange();
  }

  /** Forgets the services that are not in `services`. */
  keepOnly(services: { has(service: string): boolean }): void {
    for (const map of [this.#reasons, this.#texts, this.#held, this.#stuck]) {
      for (const service of [...map.keys()]) if (!services.has(service)) map.delete(service);
    }
  }

  /** True when at least one reason is new. */
  #append(service: string, reload: readonly ReloadReason[]): boolean {
    if (reload.length === 0) return false;
    const list = this.#reasons.get(service) ?? [];
    const texts = this.#texts.get(service) ?? new Set();
    const before = list.length;
    for (const reason of reload) {
      if (texts.has(reason.text)) continue;
      texts.add(reason.text);
      list.push(reason);
    }
    this.#reasons.set(service, list);
    this.#texts.set(service, texts);
    return list.length > before;
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
