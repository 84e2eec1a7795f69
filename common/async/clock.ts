import { randomBytes } from 'node:crypto';

/** A timer that was started; `unref` lets the process end before it fires. */
export interface Timer {
  unref(): unknown;
}

/** Time and chance. The daemons take both from here only, so that a simulation can run them in virtual time. */
export interface Clock {
  /** Milliseconds since an arbitrary start. Never goes back: for durations and deadlines. */
  now(): number;
  /** Milliseconds since 1970 by this host's clock, which may be wrong and may jump: for people and records. */
  wallTime(): number;
  /** Calls `run` once after `delayMs`. */
  setTimeout(run: () => void, delayMs: number): Timer;
  clearTimeout(timer: Timer | undefined): void;
  /** Calls `run` every `intervalMs`. */
  setInterval(run: () => void, intervalMs: number): Timer;
  clearInterval(timer: Timer | undefined): void;
  /** From 0 up to, not including, 1. For jitter, not for secrets. */
  random(): number;
  /** 128 bits in base64url that no other process has or can guess. */
  randomId(): string;
}

/** The process's own time. Globals are looked up at each call, so that a test's fake timers count too. */
const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  setTimeout: (run, delayMs) => globalThis.setTimeout(run, delayMs),
  clearTimeout: (timer) => globalThis.clearTimeout(timer as NodeJS.Timeout | undefined),
  setInterval: (run, intervalMs) => globalThis.setInterval(run, intervalMs),
  clearInterval: (timer) => globalThis.clearInterval(timer as NodeJS.Timeout | undefined),
  random: () => Math.random(),
  randomId: () => randomBytes(16).toString('base64url'),
};

let current = systemClock;

/** The clock in use. */
export const clock: Clock & {
  /** The wall clock's time as a date. */
  date(): Date;
} = {
  now: () => current.now(),
  wallTime: () => current.wallTime(),
  setTimeout: (run, delayMs) => current.setTimeout(run, delayMs),
  clearTimeout: (timer) => current.clearTimeout(timer),
  setInterval: (run, intervalMs) => current.setInterval(run, intervalMs),
  clearInterval: (timer) => current.clearInterval(timer),
  random: () => current.random(),
  randomId: () => current.randomId(),
  date: () => new Date(current.wallTime()),
};

/** Puts another clock in place for the whole process. @returns a function that puts the former one back */
export function useClock(replacement: Clock): () => void {
  const former = current;
  current = replacement;
  return () => {
    current = former;
  };
}
