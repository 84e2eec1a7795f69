import { sleep } from '../../common/async/supervise.ts';

/**
 * Repeats an assertion until it holds. The deadline is generous on purpose: it bounds a hang, it measures nothing.
 * @throws the last failure, once `timeout` milliseconds have passed
 */
export async function eventually(assertion: () => void | Promise<void>, timeout = 30_000): Promise<void> {
  const deadline = performance.now() + timeout;
  for (;;) {
    try {
      return await assertion();
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await sleep(20);
  }
}
