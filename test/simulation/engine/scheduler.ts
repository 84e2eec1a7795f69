import { type Clock, type Timer, useClock } from '../../../common/async/clock.ts';
import { seededRandom } from '../../support/random.ts';

/** A program of the simulation: what it started is dropped when it is killed, and waits while it is frozen. */
export interface SimulatedProcess {
  readonly name: string;
  /** False once it was killed: nothing happens to it any more. */
  readonly alive: boolean;
  readonly frozen: boolean;
  /** When it was started or thawed last, in virtual milliseconds. */
  readonly runsSince: number;
  /** Timers that have not fired. */
  readonly timers: number;
  /** Timers that keep the process from ending by itself: those without `unref`. */
  readonly timersThatHold: number;
  /** Stops it at once, as SIGKILL does. */
  kill(): void;
  /** Stops it until {@link SimulatedProcess.thaw}, as SIGSTOP does. */
  freeze(): void;
  thaw(): void;
}

interface Task {
  readonly at: number;
  readonly order: number;
  readonly owner: Owner | undefined;
  readonly isTimer: boolean;
  /** Set by `unref`. */
  isUnref: boolean;
  run: (() => void) | undefined;
}

class Owner implements SimulatedProcess {
  readonly name: string;
  alive = true;
  frozen = false;
  runsSince: number;
  timers = 0;
  timersThatHold = 0;
  /** What came due while it was frozen, in order. */
  readonly held: Task[] = [];
  /** Goes on with what came due, and says what time it is. */
  readonly #resume: (tasks: readonly Task[]) => number;

  constructor(name: string, startedAt: number, resume: (tasks: readonly Task[]) => number) {
    this.name = name;
    this.runsSince = startedAt;
    this.#resume = resume;
  }

  kill(): void {
    this.alive = false;
    this.held.length = 0;
  }

  freeze(): void {
    this.frozen = true;
  }

  thaw(): void {
    if (!this.frozen) return;
    this.frozen = false;
    this.runsSince = this.#resume(this.held.splice(0));
  }
}

/**
 * Virtual time. Everything that happens is a task at a time; tasks of one time run in the order in which they were made.
 * Between two tasks all promises settle, so that a run depends on its seed alone. Real I/O must not happen meanwhile.
 */
export class Scheduler implements Clock {
  readonly random: () => number;
  readonly #tasks: Task[] = [];
  #now = 0;
  #order = 0;
  #current: Owner | undefined;
  /** Wall-clock time of virtual time 0, milliseconds. */
  readonly #epoch = Date.UTC(2026, 0, 1);
  /** How many tasks have run. */
  steps = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  now(): number {
    return this.#now;
  }

  randomId(): string {
    return Buffer.from(Array.from({ length: 16 }, () => Math.floor(this.random() * 256))).toString('base64url');
  }

  wallTime(): number {
    return this.#epoch + this.#now;
  }

  /** The process whose code runs now; undefined for the simulation itself. */
  get current(): SimulatedProcess | undefined {
    return this.#current;
  }

  /** Makes a process. Its code runs when `run` is called through {@link Scheduler.enter}. */
  process(name: string): SimulatedProcess {
    return new Owner(name, this.#now, (tasks) => {
      // After what came due at the same time for others, still in order.
      for (const { run, owner, isTimer } of tasks) if (run) this.#push(this.#now, run, owner, isTimer);
      return this.#now;
    });
  }

  /** Calls `run` at once, as code of `owner`. */
  enter<T>(owner: SimulatedProcess, run: () => T): T {
    const before = this.#current;
    this.#current = owner as Owner;
    try {
      return run();
    } finally {
      this.#current = before;
    }
  }

  /** Has `run` called after `delayMs`, as code of `owner`: dropped when that was killed, held while it is frozen. */
  at(delayMs: number, run: () => void, owner?: SimulatedProcess): void {
    this.#push(this.#now + Math.max(0, delayMs), run, owner as Owner | undefined, false);
  }

  setTimeout(run: () => void, delayMs: number): Timer {
    const owner = this.#current;
    if (owner !== undefined) {
      owner.timers += 1;
      owner.timersThatHold += 1;
    }
    // As Node does: whole milliseconds, at least one.
    return this.#push(this.#now + Math.max(1, Math.trunc(delayMs) || 1), run, owner, true) as unknown as Timer;
  }

  clearTimeout(timer: Timer | undefined): void {
    const task = timer as unknown as Task | undefined;
    if (task?.run === undefined) return;
    task.run = undefined;
    forget(task);
  }

  setInterval(run: () => void, intervalMs: number): Timer {
    let timer: Timer;
    let over = false;
    let isUnref = false;
    const again = (): void => {
      timer = this.setTimeout(() => {
        again();
        run();
      }, intervalMs);
      if (isUnref) timer.unref();
    };
    again();
    const self = {
      unref: () => {
        isUnref = true;
        timer.unref();
        return self;
      },
      get run() {
        return over ? undefined : run;
      },
      cancel: () => {
        over = true;
        this.clearTimeout(timer);
      },
    };
    return self;
  }

  clearInterval(timer: Timer | undefined): void {
    (timer as { cancel?: () => void } | undefined)?.cancel?.();
  }

  /** Lets time pass until `untilMs`, task by task. Promises settle before it begins and after each task. */
  async run(untilMs: number, afterEach: () => void = () => {}): Promise<void> {
    const restore = useClock(this);
    try {
      await settle();
      for (;;) {
        const task = this.#tasks[0];
        if (task === undefined || task.at > untilMs) break;
        this.#pop();
        if (task.run === undefined || task.owner?.alive === false) continue;
        this.#now = Math.max(this.#now, task.at);
        if (task.owner?.frozen) {
          task.owner.held.push(task);
          continue;
        }
        const { run } = task;
        task.run = undefined;
        forget(task);
        this.steps += 1;
        this.#current = task.owner;
        run();
        await settle();
        this.#current = undefined;
        afterEach();
      }
      this.#now = Math.max(this.#now, untilMs);
    } finally {
      this.#current = undefined;
      restore();
    }
  }

  #push(at: number, run: () => void, owner: Owner | undefined, isTimer: boolean): Task {
    const task: Task & { unref: () => unknown } = {
      at,
      order: this.#order++,
      owner,
      isTimer,
      isUnref: false,
      run,
      unref: () => {
        if (task.run !== undefined && !task.isUnref && owner !== undefined) owner.timersThatHold -= 1;
        task.isUnref = true;
        return task;
      },
    };
    const heap = this.#tasks;
    let index = heap.push(task) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent] as Task;
      if (before(above, task)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = task;
    return task;
  }

  #pop(): void {
    const heap = this.#tasks;
    const last = heap.pop() as Task;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Task, heap[child] as Task)) child += 1;
      if (before(last, heap[child] as Task)) break;
      heap[index] = heap[child] as Task;
      index = child;
    }
    heap[index] = last;
  }
}

/** A timer has fired, or was cleared. */
function forget({ owner, isTimer, isUnref }: Task): void {
  if (!isTimer || owner === undefined) return;
  owner.timers -= 1;
  if (!isUnref) owner.timersThatHold -= 1;
}

function before(a: Task, b: Task): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** All promises and `process.nextTick` calls run before the event loop comes to its next phase. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
