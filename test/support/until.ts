import assert from 'node:assert/strict';
import { eventually } from './eventually.ts';

/** Waits until a condition holds, as {@link eventually} does. @throws with the condition's text, or what it last threw */
export function until(condition: () => unknown, timeoutMs?: number): Promise<void> {
  return eventually(async () => assert.ok(await condition(), `not so: ${condition}`), timeoutMs);
}
