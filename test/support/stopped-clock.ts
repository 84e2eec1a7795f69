import { useClock } from '../../common/async/clock.ts';

/** A clock that stands still. */
export interface StoppedClock {
  /** Milliseconds, of `now` and of the wall; a test sets it. */
  now: number;
  /** The delays of the timers that were started, milliseconds. */
  readonly delays: readonly number[];
  /** Puts the former clock back. */
  restore(): void;
}

/** Stops the clock of this process at 0. Its timers never fire. */
export function stopClock(): StoppedClock {
  const timer = { unref() {} };
  const delays: number[] = [];
  const stopped: StoppedClock = {
    now: 0,
    delays,
    restore: useClock({
      now: () => stopped.now,
      wallTime: () => stopped.now,
      setTimeout: (_, delayMs) => {
        delays.push(delayMs);
        return timer;
      },
      clearTimeout() {},
      setInterval: () => timer,
      clearInterval() {},
      random: () => 0,
      randomId: () => 'A'.repeat(22),
    }),
  };
  return stopped;
}
