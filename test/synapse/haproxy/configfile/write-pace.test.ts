import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nextWriteAt } from '../../../../synapse/haproxy/configfile/write-pace.ts';
import type { FileUse } from '../../../../synapse/haproxy/options/config.ts';

const never = { at: Number.NEGATIVE_INFINITY, tookMs: 0 };
const cases: readonly [what: string, FileUse, urgent: boolean, last: { at: number; tookMs: number }, at: number][] = [
  ['changes that are live already are merged for 300 ms', 'merged', false, never, 100_300],
  [
    'a change that only the file can bring about is written at once',
    'merged',
    true,
    { at: 99_999, tookMs: 0 },
    100_000,
  ],
  [
    'a file whose check takes 2 s is not written again for 6 s',
    'merged',
    false,
    { at: 100_000, tookMs: 2_000 },
    106_000,
  ],
  ['without the runtime API, a change is written at once', 'only', false, never, 100_000],
  ['without the runtime API, a second write comes a second later', 'only', true, { at: 99_900, tookMs: 10 }, 100_900],
  ['where each write reloads, changes that are live already wait for 30 s', 'watched', false, never, 130_000],
  ['where each write reloads, a new service does not wait', 'watched', true, never, 100_000],
  [
    'where each write reloads, a second write comes a second later',
    'watched',
    true,
    { at: 99_900, tookMs: 10 },
    100_900,
  ],
];

describe('the time of a write', () => {
  for (const [what, use, last, at] of [
    ['is at once when somebody waits for the file', 'merged', { at: 99_900, tookMs: 10 }, 100_000],
    ['still keeps to three times the last duration', 'merged', { at: 99_900, tookMs: 100 }, 100_200],
    ['is no later than for others where each write reloads', 'watched', { at: 0, tookMs: 10 }, 100_000],
  ] as const) {
    it(what, () => assert.equal(nextWriteAt(use, { since: 100_000, urgent: false, awaited: true }, last), at));
  }

  for (const [what, use, urgent, last, at] of cases) {
    it(what, () => assert.equal(nextWriteAt(use, { since: 100_000, urgent }, last), at));
  }
});
