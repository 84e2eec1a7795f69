import { clock, type Timer } from '../../../common/async/clock.ts';
import { type Log, reasonOf } from '../../../common/daemon/log.ts';
import type { DesiredService } from '../spec/desired-service.ts';
import type { ReloadReason } from '../spec/reload-reason.ts';
import type { Attempts, Touches } from './bookkeeping.ts';
import type { RuntimeConnection } from './connection.ts';
import { parseServersState, type ServerRow } from './parse.ts';
import type { Plan, ServerChange } from './plan.ts';
import type { Picture } from './server-state.ts';

/** Reads back what runs, compares it with what is desired, and has what differs put right. */
export interface Audit {
  /**
   * Reads back what commands have touched: after `delay` milliseconds; without it soon for small backends, and rarely for
   * large ones, which cost more to read.
   */
  schedule(delay?: number): void;
  /** Reads everything after `delay` milliseconds. */
  scheduleAll(delay: number): void;
  /** Reads everything now. Never rejects. */
  readAll(): Promise<void>;
  /** Something is in HAProxy that we did not know of, such as a number that an operator's server has. */
  surprised(): void;
  /** Nothing is read any more until the next {@link Audit.schedule}. */
  stop(): void;
}

export interface AuditDeps {
  readonly log: Log;
  readonly services: ReadonlyMap<string, DesiredService>;
  readonly picture: Picture;
  readonly touches: Touches;
  readonly attempts: Attempts;
  /** Undefined while there is none that has been read. */
  readonly connection: () => RuntimeConnection | undefined;
  readonly generation: () => string | undefined;
  /** Called when what surprised us was read, before anything is planned. */
  readonly onRead: () => void;
  readonly plan: (desired: DesiredService) => Plan;
  /** Told what stays wrong after one retry: it needs a reload. */
  readonly giveUp: (desired: DesiredService, reasons: readonly ReloadReason[]) => void;
  readonly execute: (changes: readonly ServerChange[]) => void;
}

/** Reading more backends than this one by one costs more than reading all at once. */
const mostNames = 8;

export function createAudit(deps: AuditDeps): Audit {
  const { log, services, picture, touches, attempts, connection: connected, plan, giveUp, execute } = deps;
  let timer: Timer | undefined;
  let surprised = false;

  const schedule = (delay: number | undefined, what: () => ReadonlySet<string> | undefined): void => {
    if (timer !== undefined && delay === undefined) return;
    clock.clearTimeout(timer);
    timer = clock.setTimeout(
      () => {
        timer = undefined;
        void read(what());
      },
      delay ?? Math.min(50 + picture.count(touches.unread), 5_000),
    );
  };
  const scheduleTouched = (delay?: number): void => schedule(delay, () => new Set(touches.unread));

  /** Reads backends, all when undefined. */
  const read = async (backends: ReadonlySet<string> | undefined): Promise<void> => {
    const connection = connected();
    if (connection === undefined) return;
    const asked = touches.moment();
    const names = backends === undefined || backends.size > mostNames ? undefined : [...backends];
    try {
      const commands = names?.map((name) => `show servers state ${name}`) ?? ['show servers state'];
      const replies = await connection.send(commands);
      if (connection !== connected()) return;
      const rows = replies.filter((reply) => reply.includes('# ')).flatMap(parseServersState);
      compare(rows, names, asked);
    } catch (error) {
      log.debug('reading back failed', { reason: reasonOf(error) });
    }
  };

  const compare = (
    rows: readonly ServerRow[],
    names: readonly string[] | undefined,
    { isStale: stale }: ReturnType<Touches['moment']>,
  ): void => {
    // A backend that had more commands since it was asked for is read again instead.
    const fresh = rows.filter(({ backend }) => !stale(backend));
    const known = [...(names ?? picture.running.keys())].filter((backend) => !stale(backend));
    for (const backend of known) touches.read(backend);
    picture.update(fresh, known, deps.generation());
    if (surprised) {
      surprised = false;
      deps.onRead();
    }
    const changes: ServerChange[] = [];
    for (const desired of services.values()) {
      const backend = desired.active?.backend;
      if (backend === undefined || stale(backend) || (names !== undefined && !names.includes(backend))) continue;
      const { again, given } = attempts.sort(backend, plan(desired).changes);
      changes.push(...again);
      if (given.length > 0) giveUp(desired, given);
    }
    execute(changes);
    if (touches.unread.size > 0) scheduleTouched();
  };

  return {
    schedule: scheduleTouched,
    scheduleAll: (delay) => schedule(delay, () => undefined),
    readAll: () => read(undefined),
    surprised() {
      surprised = true;
    },
    stop() {
      clock.clearTimeout(timer);
      timer = undefined;
    },
  };
}
