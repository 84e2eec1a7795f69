import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type FollowedRequest, followed, isSettled, take } from '../../../synapse/fleet/followed-request.ts';
import type { Verdict, VerdictState } from '../../../synapse/fleet/judge.ts';

const request = followed(
  'request',
  { kind: 'instance', by: 'a test', revision: 3, path: '/a', key: '/a/b', expect: 'drained' },
  { revision: 5, seenAt: 0 },
);

type Step = readonly [at: number, state: VerdictState, more?: Partial<Verdict>];

/** What was written, one after the other. */
function written(steps: readonly Step[]): readonly string[] {
  const said: string[] = [];
  let now: FollowedRequest = request;
  for (const [at, state, more] of steps) {
    const verdict: Verdict = {
      ...{ state, reason: null, connections: 0, queued: 0 },
      oldWorkers: 0,
      oldWorkersUnasked: 0,
      ...more,
    };
    const { request: next, write } = take(now, verdict, at);
    now = next;
    if (write !== undefined) said.push(`${at} ${write.result}${write.reason === null ? '' : ` ${write.reason}`}`);
  }
  return said;
}

const cases: readonly [what: string, steps: readonly Step[], said: readonly string[]][] = [
  [
    'is written once when it is quiet at once',
    [
      [1, 'unknown'],
      [2, 'not-yet'],
      [5, 'quiet'],
      [1_000, 'quiet'],
    ],
    ['5 quiet'],
  ],
  [
    'is written when applied and again when quiet',
    [
      [1, 'applied'],
      [50, 'applied'],
      [90, 'quiet'],
    ],
    ['1 applied', '90 quiet'],
  ],
  [
    'says why not only when that lasts',
    [
      [0, 'not-yet', { reason: 'a' }],
      [1_999, 'not-yet', { reason: 'a' }],
      [2_000, 'not-yet', { reason: 'b' }],
    ],
    ['2000 cannot b'],
  ],
  [
    'says once what it cannot find out',
    [
      [0, 'unknown', { reason: 'a' }],
      [2_000, 'unknown', { reason: 'a' }],
      [9_000, 'unknown', { reason: 'a' }],
    ],
    ['2000 cannot a'],
  ],
  [
    'names another reason, but not all the time',
    [
      [0, 'cannot', { reason: 'a' }],
      [5_000, 'cannot', { reason: 'b' }],
      [10_000, 'cannot', { reason: 'c' }],
    ],
    ['0 cannot a', '10000 cannot c'],
  ],
  [
    'is corrected at once when it is no longer so',
    [
      [1, 'quiet'],
      [500, 'not-yet', { reason: 'by hand' }],
    ],
    ['1 quiet', '500 cannot by hand'],
  ],
  [
    'stands while it cannot be found out for a moment',
    [
      [1, 'quiet'],
      [500, 'unknown'],
      [2_400, 'unknown'],
      [2_450, 'quiet'],
    ],
    ['1 quiet'],
  ],
  [
    'is withdrawn when it cannot be found out for long',
    [
      [1, 'quiet'],
      [500, 'unknown'],
      [2_500, 'unknown', { reason: 'frozen' }],
    ],
    ['1 quiet', '2500 cannot frozen'],
  ],
  [
    'comes back after a correction',
    [
      [1, 'quiet'],
      [500, 'not-yet'],
      [600, 'quiet'],
    ],
    ['1 quiet', '500 cannot', '600 quiet'],
  ],
  [
    'says that connections came back',
    [
      [1, 'quiet'],
      [500, 'applied', { connections: 1 }],
    ],
    ['1 quiet', '500 applied'],
  ],
  [
    'is written again when fewer old workers cannot be asked',
    [
      [1, 'quiet', { oldWorkersUnasked: 1 }],
      [9, 'quiet'],
    ],
    ['1 quiet', '9 quiet'],
  ],
];

describe('an acknowledgement', () => {
  for (const [what, steps, said] of cases) it(what, () => assert.deepEqual(written(steps), said));

  for (const [state, unasked, settled] of [
    ['applied', 0, false],
    ['quiet', 0, true],
    ['quiet', 1, false],
    ['unused', 0, true],
    ['cannot', 0, false],
    ['not-yet', 0, false],
  ] as const) {
    it(`that is ${state} with ${unasked} old workers unasked ${settled ? 'needs no' : 'needs'} further reading`, () => {
      const verdict = {
        ...{ state, reason: null, connections: 0, queued: 0 },
        oldWorkers: unasked,
        oldWorkersUnasked: unasked,
      };
      assert.equal(isSettled({ ...request, verdict }), settled);
    });
  }
});
