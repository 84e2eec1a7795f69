/** After this time, and again each time that it has passed, the user is told what the demo waits for. */
export const slowMs = 10_000;

/** How long the demo waits for one thing, in milliseconds. Generous, because the machine may be busy: it says what it waits for. */
export const longestWaitMs = 300_000;

/** What a user can do while a step takes long. */
export const busyAdvice = 'a busy machine is slow: wait, or press Ctrl-C';

/** What the demo waits for. */
export interface Wait {
  readonly what: string;
  /** Where to look, and what to do. */
  readonly advice: string;
}

/** `still waiting for etcd after 10 s; …` */
export function slowLine({ what, advice }: Wait, seconds: number): string {
  return `still waiting for ${what} after ${seconds} s; ${advice}`;
}

/** Waits for something, and calls `onSlow` with a line each time that {@link slowMs} have passed. */
export async function noteWhileSlow<T>(
  start: () => Promise<T>,
  wait: Wait,
  onSlow: (line: string) => void,
): Promise<T> {
  const since = performance.now();
  const timer = setInterval(() => onSlow(slowLine(wait, Math.round((performance.now() - since) / 1000))), slowMs);
  try {
    return await start();
  } finally {
    clearInterval(timer);
  }
}
