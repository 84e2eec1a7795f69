import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Instance, makeInstance } from '../../../common/instance.ts';
import { type ExpiryGuard, type GuardState, guardExpiry, holdEnd } from '../../../synapse/catalog/expiry-guard.ts';

const guard: ExpiryGuard = { share: 0.5, holdMs: 100_000 };

interface Step {
  /** Milliseconds. */
  readonly at?: number;
  /** Hosts; `-a` is in state `down`. */
  readonly say: string;
  readonly withdrawn?: string;
  /** Hosts in use afterwards; those in brackets are suspects. */
  readonly expect: string;
}

const cases: readonly [title: string, steps: readonly Step[]][] = [
  [
    'one alone is gone at once',
    [
      { say: 'a b c', expect: 'a b c' },
      { say: 'a b', expect: 'a b' },
    ],
  ],
  [
    'half of them are gone at once, because it takes more than half',
    [
      { say: 'a b c d', expect: 'a b c d' },
      { say: 'a b', expect: 'a b' },
    ],
  ],
  [
    'more than half stay as suspects, where they were',
    [
      { say: 'a b c d e', expect: 'a b c d e' },
      { say: 'b d', expect: '(a) b (c) d (e)' },
    ],
  ],
  [
    'all of them stay',
    [
      { say: 'a b c', expect: 'a b c' },
      { say: '', expect: '(a) (b) (c)' },
    ],
  ],
  [
    'of two, nobody can tell',
    [
      { say: 'a b', expect: 'a b' },
      { say: '', expect: '' },
    ],
  ],
  [
    'leases of one wave end one after the other: those that were let go come back',
    [
      { say: 'a b c d', expect: 'a b c d' },
      { at: 1_000, say: 'b c d', expect: 'b c d' },
      { at: 2_000, say: 'c d', expect: 'c d' },
      { at: 3_000, say: 'd', expect: '(c) d (a) (b)' },
      { at: 4_000, say: '', expect: '(c) (d) (a) (b)' },
    ],
  ],
  [
    'expiries far apart are no wave',
    [
      { say: 'a b c d', expect: 'a b c d' },
      { at: 40_000, say: 'b c d', expect: 'b c d' },
      { at: 80_000, say: 'c d', expect: 'c d' },
      { at: 120_000, say: 'd', expect: 'd' },
    ],
  ],
  [
    'what is withdrawn in order goes, however many',
    [
      { say: 'a b c', expect: 'a b c' },
      { say: '', withdrawn: 'a b c', expect: '' },
    ],
  ],
  [
    'what said down before goes, however many',
    [
      { say: 'a b c', expect: 'a b c' },
      { say: '-a -b -c', expect: 'a b c' },
      { say: '', expect: '' },
    ],
  ],
  [
    'one that returns is no suspect any more, and goes in order like any other',
    [
      { say: 'a b c', expect: 'a b c' },
      { say: 'c', expect: '(a) (b) c' },
      { at: 1_000, say: 'a c', expect: 'a (b) c' },
      { at: 2_000, say: 'c', withdrawn: 'a', expect: '(b) c' },
    ],
  ],
  [
    'a suspect that is withdrawn in order goes',
    [
      { say: 'a b c', expect: 'a b c' },
      { say: '', expect: '(a) (b) (c)' },
      { at: 1_000, say: '', withdrawn: 'b', expect: '(a) (c)' },
    ],
  ],
  [
    'suspects are given up after their time',
    [
      { say: 'a b c', expect: 'a b c' },
      { at: 1_000, say: 'c', expect: '(a) (b) c' },
      { at: 100_999, say: 'c', expect: '(a) (b) c' },
      { at: 101_000, say: 'c', expect: 'c' },
    ],
  ],
  [
    'new instances come beside suspects',
    [
      { say: 'a b c', expect: 'a b c' },
      { say: '', expect: '(a) (b) (c)' },
      { at: 1_000, say: 'd', expect: '(a) (b) (c) d' },
    ],
  ],
];

describe('expiry guard', () => {
  for (const [title, steps] of cases) {
    test(title, () => {
      let guarded: GuardState | undefined;
      for (const step of steps) {
        guarded = guardExpiry(guarded, setOf(step), { guard, now: step.at ?? 0 });
        assert.equal(shown(guarded), step.expect, `after ${JSON.stringify(step)}`);
      }
    });
  }

  test('is off when there is none', () => {
    const first = guardExpiry(undefined, setOf({ say: 'a b c' }), { guard: undefined, now: 0 });
    const raw = setOf({ say: '' });
    assert.equal(guardExpiry(first, raw, { guard: undefined, now: 0 }).set, raw);
  });

  test('says when the first suspect is given up', () => {
    const first = guardExpiry(undefined, setOf({ say: 'a b c' }), { guard, now: 0 });
    assert.equal(holdEnd(first, guard), undefined);
    const second = guardExpiry(first, setOf({ say: 'c' }), { guard, now: 1_000 });
    assert.equal(holdEnd(guardExpiry(second, setOf({ say: '' }), { guard, now: 5_000 }), guard), 101_000);
  });

  test('a suspect does not lead while another one is there', () => {
    const first = guardExpiry(undefined, { ...setOf({ say: 'a b c' }), sequence: [1, 2, 3] }, { guard, now: 0 });
    const { set } = guardExpiry(first, { ...setOf({ say: 'b' }), sequence: [2] }, { guard, now: 0 });
    assert.deepEqual(set.sequence, [Number.POSITIVE_INFINITY, 2, Number.POSITIVE_INFINITY]);
  });
});

const made = new Map<string, Instance>();

function instanceOf(word: string): Instance {
  const known = made.get(word);
  if (known !== undefined) return known;
  const down = word.startsWith('-');
  const instance = makeInstance({ host: word.replace('-', ''), port: 1, state: down ? 'down' : 'up' });
  made.set(word, instance);
  return instance;
}

function words(text: string): readonly string[] {
  return text.split(' ').filter((word) => word !== '');
}

function setOf({ say, withdrawn = '' }: Pick<Step, 'say' | 'withdrawn'>) {
  return {
    instances: words(say).map(instanceOf),
    withdrawn: new Set(words(withdrawn).map((word) => instanceOf(word).id)),
    rejected: [],
    seenAt: 0,
  };
}

function shown({ set, suspects }: GuardState): string {
  return set.instances.map(({ id, host }) => (suspects.has(id) ? `(${host})` : host)).join(' ');
}
