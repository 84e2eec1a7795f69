import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nextWriteAt } from '../../../../synapse/haproxy/configfile/write-pace.ts';
import type { FileUse } from '../../../../synapse/haproxy/options/config.ts';

const never = { at: Number.NEGATIVE_INFINITY, tookMs: 0 };
const cases: readonly [what: string, FileUse, urgent: boolean, last: { at: number; tookMs: number }, at: number][] = [
  ['membership that is live already is merged for a moment', 'merged', false, never, 100_300],
  ['what only the file can bring is written at once', 'merged', true, { at: 99_999, tookMs: 0 }, 100_000],
  ['a file that takes 2 s to check rests for 6 s', 'merged', false, { at: 100_000, tookMs: 2_000 }, 106_000],
  ['without the runtime API, a change is written at once', 'only', false, never, 100_000],
  ['without the runtime API, a second write comes a second later', 'only', true, { at: 99_900, tookMs: 10 }, 100_900],
  ['where each write reloads, membership that is live waits', 'watched', false, never, 130_000],
  ['where each write reloads, a new service does not wait', 'watched', true, never, 100_000],
  ['where each write reloads, writes keep a distance', 'watched', true, { at: 99_900, tookMs: 10 }, 100_900],
];

describe('the time of a write', () => {
  for (const [what, use, urgent, last, at] of cases) {
    it(what, () => assert.equal(nextWriteAt(use, { since: 100_000, urgent }, last), at));
  }
});
