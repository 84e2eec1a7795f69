import { clock } from '../../common/async/clock.ts';
import { type Rest, restMs } from '../../common/async/rest.ts';
import { sleep } from '../../common/async/sleep.ts';
import type { Log } from '../../common/daemon/log.ts';
import type { EventKind } from './event-shape.ts';
import { about, type Events } from './events.ts';
import { beginningKeys } from './found-problem.ts';
import type { ProblemKind } from './problem-kinds.ts';
import { findProblems } from './problems.ts';
import type { Problem, SynapseState } from './status-shape.ts';
import { summaryOf } from './summary.ts';

/** What is watched, and where it is told. */
export interface ProblemWatchDeps {
  readonly log: Log;
  readonly events: Events;
  readonly synapse: { state(names?: readonly string[]): SynapseState; ready(): string | null };
}

/** Looking takes 1 % of the time at most. */
const rest: Rest = { leastMs: 2_000, factor: 100, mostMs: 60_000 };

/** Problems that no other event tells of, with the events of their beginning and their end. */
const told: Readonly<Partial<Record<ProblemKind, readonly [begun: EventKind, ended: EventKind]>>> = {
  no_server_usable: ['servers_unusable', 'servers_usable'],
  requests_fail: ['requests_fail', 'requests_succeed'],
};

/** Remembers since when each problem is there, and records the problems of which nothing else tells. */
export class ProblemWatch {
  readonly #deps: ProblemWatchDeps;
  /** Key of the problem → when it was first seen, ISO 8601. */
  #since: ReadonlyMap<string, string> = new Map();
  /** Kind → the services that have the problem. */
  readonly #affected = new Map<ProblemKind, ReadonlySet<string>>();

  constructor(deps: ProblemWatchDeps) {
    this.#deps = deps;
  }

  /** The state of synapse, with the beginnings of its problems; the whole state is a look too. */
  state(names?: readonly string[]): SynapseState {
    const state = this.#deps.synapse.state(names);
    if (names === undefined) this.#compare(state);
    return { ...state, since: Object.fromEntries(this.#since) };
  }

  /** Looks until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const start = clock.now();
      this.#compare(this.#deps.synapse.state());
      await sleep(restMs(rest, clock.now() - start), signal);
    }
  }

  /** Compares the problems of this state with those of the last look. */
  #compare(state: SynapseState): void {
    const problems = findProblems(summaryOf(state), this.#deps.synapse.ready());
    const now = clock.date().toISOString();
    const keys = problems.flatMap(beginningKeys);
    this.#since = new Map(keys.map((key) => [key, this.#since.get(key) ?? now]));
    for (const kind of Object.keys(told) as ProblemKind[]) this.#tell(kind, problems);
  }

  #tell(kind: ProblemKind, problems: readonly Problem[]): void {
    const found = problems.filter((problem) => problem.kind === kind);
    const now = new Set(found.flatMap(({ subjects }) => subjects));
    const before = this.#affected.get(kind) ?? new Set();
    this.#affected.set(kind, now);
    const [begun, ended] = told[kind] ?? [];
    const { log, events } = this.#deps;
    const news = [...now].filter((service) => !before.has(service));
    if (begun !== undefined && news.length > 0) {
      const reason = found[0]?.reason ?? '';
      events.record({ kind: begun, level: 'error', ...about(news), reason });
      log.error(found[0]?.title ?? '', { services: news, reason });
    }
    const over = [...before].filter((service) => !now.has(service));
    if (ended !== undefined && over.length > 0) events.record({ kind: ended, level: 'info', ...about(over) });
  }
}
