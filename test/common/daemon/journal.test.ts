import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Journal } from '../../../common/daemon/journal.ts';

interface Entry {
  readonly what: string;
}

function filled(count: number, size?: number): Journal<Entry> {
  const journal = new Journal<Entry>(size);
  for (let index = 1; index <= count; index++) journal.record({ what: `thing ${index}` });
  return journal;
}

const numbers = (entries: readonly { readonly seq: number }[]): readonly number[] => entries.map(({ seq }) => seq);

describe('a journal', () => {
  const cases: [name: string, count: number, since: number, expected: readonly number[]][] = [
    ['is empty at first', 0, 0, []],
    ['numbers its entries from 1', 2, 0, [1, 2]],
    ['returns the entries after a number', 3, 1, [2, 3]],
    ['returns nothing after the newest number', 3, 3, []],
    ['drops the oldest entries', 10, 0, [7, 8, 9, 10]],
    ['never returns more entries than its size', 6, 1, [3, 4, 5, 6]],
    ['returns all entries after a number of another process', 3, 99, [1, 2, 3]],
  ];
  for (const [name, count, since, expected] of cases) {
    it(name, () => assert.deepEqual(numbers(filled(count, 4).since(since)), expected));
  }

  it('calls a listener until its signal aborts', () => {
    const journal = filled(1);
    const end = new AbortController();
    const heard: number[] = [];
    journal.listen(({ seq }) => heard.push(seq), end.signal);
    journal.record({ what: 'heard' });
    end.abort();
    journal.record({ what: 'not heard' });
    assert.deepEqual(heard, [2]);
  });
});
