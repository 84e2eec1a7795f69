import { setTimeout as delay } from 'node:timers/promises';

/** Waits until `condition` holds. @throws after `limit` milliseconds (default 15 s) with what it last threw, if anything */
export async function until(condition: () => unknown, limit = 15_000): Promise<void> {
  const deadline = performance.now() + limit;
  let last: unknown;
  for (;;) {
    try {
      if (await condition()) return;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) throw new Error(`not so after ${limit} ms: ${condition}`, { cause: last });
    await delay(5);
  }
}
