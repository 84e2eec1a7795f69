import { sleep } from '../../common/async/sleep.ts';

/**
 * How long a test waits for anything. It bounds a hang and measures nothing: a machine with other heavy work on it may
 * be ten times slower than an idle one.
 */
export const patienceMs = 180_000;

/**
 * Repeats an assertion until it holds.
 * @throws the last failure, once `timeoutMs` have passed
 */
export async function eventually(assertion: () => void | Promise<void>, timeoutMs = patienceMs): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await assertion();
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await sleep(20);
  }
}
