import { type Backoff, backoffMs } from '../../../common/async/backoff.ts';
import { clock } from '../../../common/async/clock.ts';
import type { ServerChange } from './draft.ts';

/** A change is sent again this many times at once; then it is given up for a time. */
const maxRetries = 2;
/** A change that was given up is tried again after 1, 2, 4 and then every 5 minutes. */
const pause: Backoff = { baseMs: 60_000, maxMs: 300_000 };
/** A reload is to bring about what HAProxy does not do at run time. Where two did not help, a third would not. */
const mostReloads = 2;

/** One change of one server that had no effect so far. */
interface Attempt {
  /** What the change is to bring about, see {@link goalOf}. */
  readonly goal: string;
  /** Readings since the last pause that still asked for it. */
  readonly count: number;
  /** HAProxy's last refusal. */
  readonly message: string | undefined;
  /** How often it was given up. */
  readonly failures: number;
  /** When it may be tried again, by `clock.now()`; undefined while it is being tried. */
  readonly retryAt: number | undefined;
  /** False until the present worker has been found not to do it either. */
  readonly isReported: boolean;
}

/** A server that HAProxy does not change as it should. */
export interface StuckServer {
  readonly backend: string;
  readonly name: string;
  /** One sentence for people, without a full stop. */
  readonly reason: string;
}

/** The changes that a plan asks for, by what is to become of them. */
export interface ScreenedChanges {
  /** To be sent. */
  readonly send: readonly ServerChange[];
  /** What a reload is to bring about, because HAProxy does not do it at run time. */
  readonly reload: readonly StuckServer[];
  /** What HAProxy did not bring about after reloads either. It is tried again later. */
  readonly stuck: readonly StuckServer[];
}

/** Counts how often changes were sent without effect, so that none is sent for ever, whatever HAProxy answers. */
export class Attempts {
  readonly #now: () => number;
  /** Backend → server → its attempt. */
  readonly #attempts = new Map<string, Map<string, Attempt>>();

  constructor(now: () => number = () => clock.now()) {
    this.#now = now;
  }

  /** Records that HAProxy refused a change. `final`: it would refuse the same change again. */
  refused(change: ServerChange, message: string, final: boolean): void {
    const { backend, name } = change;
    const servers = this.#attempts.get(backend) ?? new Map<string, Attempt>();
    this.#attempts.set(backend, servers);
    const known = this.#of(change) ?? newAttempt(goalOf(change));
    // A refusal never lowers the count, or a change that is refused for ever would be tried for ever.
    servers.set(name, { ...known, count: Math.max(known.count, final ? maxRetries : 1), message });
  }

  /** Takes all changes that a backend still needs after it was read: each of them has had no effect so far. */
  observe(backend: string, changes: readonly ServerChange[]): void {
    if (changes.length === 0) {
      this.#attempts.delete(backend);
      return;
    }
    const servers = new Map<string, Attempt>();
    for (const change of changes) {
      const known = this.#of(change) ?? newAttempt(goalOf(change));
      servers.set(change.name, observed(known, this.#now()));
    }
    this.#attempts.set(backend, servers);
  }

  /** Decides which changes of a backend are sent now. Changes nothing. */
  screen(changes: readonly ServerChange[]): ScreenedChanges {
    if (this.#attempts.size === 0) return { send: changes, reload: [], stuck: [] };
    const send: ServerChange[] = [];
    const reload: StuckServer[] = [];
    const stuck: StuckServer[] = [];
    for (const change of changes) {
      const attempt = this.#of(change);
      if (attempt?.retryAt === undefined) send.push(change);
      if (attempt?.isReported) (attempt.failures > mostReloads ? stuck : reload).push(stuckServer(change, attempt));
    }
    return { send, reload, stuck };
  }

  /** Another worker has taken over. What its predecessor did not do is tried once with it. */
  nextWorker(): void {
    for (const [backend, servers] of [...this.#attempts]) {
      for (const [name, attempt] of [...servers]) {
        if (attempt.failures === 0) servers.delete(name);
        else servers.set(name, { ...attempt, count: maxRetries, retryAt: undefined, isReported: false });
      }
      if (servers.size === 0) this.#attempts.delete(backend);
    }
  }

  /** Forgets the backends that are not in `backends`. */
  keepOnly(backends: { has(backend: string): boolean }): void {
    for (const backend of [...this.#attempts.keys()]) if (!backends.has(backend)) this.#attempts.delete(backend);
  }

  /** The attempts at this change; undefined when there were none, or none at bringing about the same. */
  #of(change: ServerChange): Attempt | undefined {
    const attempt = this.#attempts.get(change.backend)?.get(change.name);
    return attempt === undefined || attempt.goal !== goalOf(change) ? undefined : attempt;
  }
}

function newAttempt(goal: string): Attempt {
  return { goal, count: 0, message: undefined, failures: 0, retryAt: undefined, isReported: false };
}

function observed(attempt: Attempt, now: number): Attempt {
  const { count, failures, retryAt } = attempt;
  if (retryAt !== undefined) return now < retryAt ? attempt : { ...attempt, count: maxRetries, retryAt: undefined };
  if (count < maxRetries) return { ...attempt, count: count + 1 };
  const nextAt = now + backoffMs(pause, failures);
  return { ...attempt, count: count + 1, failures: failures + 1, retryAt: nextAt, isReported: true };
}

/** What a change is to bring about. Without the server's number, which may be another one at each attempt. */
function goalOf({ action, after }: ServerChange): string {
  const { address, maintenance, drained, weight, maxconn, fixedWords } = after;
  return JSON.stringify([action, address, maintenance, drained, weight, maxconn, fixedWords]);
}

function stuckServer({ backend, name, action }: ServerChange, { message }: Attempt): StuckServer {
  const answer = message === undefined ? '' : `: ${message}`;
  return { backend, name, reason: `HAProxy does not ${action} ${backend}/${name} at run time${answer}` };
}
