import type { Log } from '../../../common/daemon/log.ts';
import { type ReloadReason, serverReason } from '../spec/reload-reason.ts';
import type { HeldServer, Plan, ServerChange } from './plan.ts';

/** A change is sent this many times; if HAProxy still does not show its effect, a reload is needed. */
const maxTries = 2;

interface Tries {
  readonly count: number;
  /** HAProxy's last refusal. */
  readonly message: string | undefined;
}

/** The changes that a plan asks for after reading, by what becomes of them. */
export interface SortedChanges {
  /** To be sent, perhaps once more. */
  readonly retry: readonly ServerChange[];
  /** Why a reload is needed for the others. */
  readonly reload: readonly ReloadReason[];
}

/** Counts how often a change was sent to a server without effect. */
export class RetryCounts {
  /** Backend → server → its tries. */
  readonly #tries = new Map<string, Map<string, Tries>>();

  /** Records that HAProxy refused a change. `final`: the same change would be refused again. */
  refused({ backend, name }: Pick<ServerChange, 'backend' | 'name'>, message: string, final: boolean): void {
    const servers = this.#tries.get(backend) ?? new Map<string, Tries>();
    this.#tries.set(backend, servers);
    // A refusal never lowers the count, or a change that is refused for ever would be tried for ever.
    const tried = servers.get(name)?.count ?? 0;
    servers.set(name, { count: final ? maxTries : Math.max(1, tried), message });
  }

  /** Takes all changes that a backend still needs after it was read, and decides which of them are sent again. */
  sort(backend: string, changes: readonly ServerChange[]): SortedChanges {
    const before = this.#tries.get(backend);
    this.#tries.delete(backend);
    if (changes.length === 0) return { retry: [], reload: [] };
    const servers = new Map<string, Tries>();
    this.#tries.set(backend, servers);
    const retry: ServerChange[] = [];
    const reload: ReloadReason[] = [];
    for (const change of changes) {
      const { name } = change;
      const { count, message } = before?.get(name) ?? { count: 0, message: undefined };
      servers.set(name, { count: count + 1, message });
      if (count < maxTries) {
        retry.push(change);
        continue;
      }
      const answer = message === undefined ? '' : `: ${message}`;
      reload.push(serverReason(`HAProxy does not ${change.action} ${backend}/${name} at run time${answer}`));
    }
    return { retry, reload };
  }

  /** Forgets everything: all servers have just been read. */
  clear(): void {
    this.#tries.clear();
  }
}

/** What plans could not settle, by service: reasons for a reload, and servers that an operator has changed. */
export class OpenIssues {
  readonly #log: Log;
  readonly #onChange: () => void;
  readonly #reasons = new Map<string, ReloadReason[]>();
  /** The texts in each list of `#reasons`: a list may grow by thousands, one server after the other. */
  readonly #texts = new Map<string, Set<string>>();
  readonly #held = new Map<string, readonly HeldServer[]>();

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

  /** Adds the reasons of a plan for some servers of a service. */
  add(service: string, reload: readonly ReloadReason[]): void {
    if (this.#append(service, reload)) this.#onChange();
  }

  /** Takes a plan for a whole service: its issues are all there are. */
  replace(service: string, { reload, held }: Pick<Plan, 'reload' | 'held'>): void {
    const before = this.#reasons.get(service) ?? [];
    this.#reasons.delete(service);
    this.#texts.delete(service);
    this.#append(service, reload);
    this.#hold(service, held);
    const now = this.#reasons.get(service) ?? [];
    if (now.length !== before.length || now.some(({ text }, index) => text !== before[index]?.text)) this.#onChange();
  }

  /** Forgets the services that are not in `services`. */
  keepOnly(services: { has(service: string): boolean }): void {
    for (const map of [this.#reasons, this.#texts, this.#held]) {
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
