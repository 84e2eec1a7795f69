import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import { TroubleLog } from '../../../common/daemon/trouble-log.ts';
import { recordingLog } from '../../support/process/recording-log.ts';

const texts = { begins: 'begins', goesOn: 'goes on', ends: 'ends', counts: 'keys' };
type Step = number | readonly ['add' | 'remove', ...(readonly string[])];
const many = (count: number): readonly string[] => Array.from({ length: count }, (_, index) => `k${index}`);

/** Runs steps in virtual time; a number is milliseconds that pass. @returns the lines: message, keys, first */
function told(steps: readonly Step[]): readonly string[] {
  mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  const time = mock.method(performance, 'now', () => now);
  const { log, lines } = recordingLog();
  const trouble = new TroubleLog(texts, { log });
  for (const step of steps) {
    if (typeof step === 'number') {
      for (let left = step; left > 0; left -= 100) {
        now += 100;
        mock.timers.tick(100);
      }
      continue;
    }
    const [what, ...names] = step;
    for (const name of names) what === 'add' ? trouble.add(name, { reason: 'denied' }) : trouble.remove(name);
  }
  time.mock.restore();
  mock.timers.reset();
  return lines.map(({ message, fields }) =>
    [message, fields.keys, fields.first].filter((one) => one !== undefined).join(' '),
  );
}

describe('the log of a trouble', () => {
  const cases: readonly (readonly [title: string, steps: readonly Step[], lines: readonly string[]])[] = [
    ['one line begins it and one ends it', [['add', 'a'], 1_000, ['remove', 'a'], 20_000], ['begins 1 a', 'ends']],
    [
      'a hundred that get it together share the lines',
      [['add', ...many(100)], 5_000, ['remove', ...many(100)], 20_000],
      ['begins 100 k0', 'ends'],
    ],
    ['it goes on while one of many has it', [['add', 'a', 'b'], 500, ['remove', 'a'], 60_000], ['begins 2 a']],
    ['a failure that is over at once has no line', [['add', 'a'], 100, ['remove', 'a'], 60_000], []],
    [
      'it is told of again every five minutes',
      [['add', 'a'], 901_000],
      ['begins 1 a', 'goes on 1 a', 'goes on 1 a', 'goes on 1 a'],
    ],
    [
      'a trouble that comes and goes within ten seconds is one',
      [
        ...Array.from({ length: 20 }, (): readonly Step[] => [['add', 'a'], 4_000, ['remove', 'a'], 4_000]).flat(),
        20_000,
      ],
      ['begins 1 a', 'ends'],
    ],
    [
      'a trouble that comes back every half minute is soon one that lasts',
      Array.from({ length: 120 }, (): readonly Step[] => [['add', 'a'], 5_000, ['remove', 'a'], 25_000]).flat(),
      ['begins 1 a', 'ends', 'begins 1 a', 'ends', 'begins 1 a'],
    ],
    ['the end of a trouble that did not begin has no line', [['remove', 'a'], 60_000], []],
  ];
  for (const [title, steps, lines] of cases) it(title, () => assert.deepEqual(told(steps), lines));
});
