import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
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
    'drops a single expired instance at once',
    [
      { say: 'a b c', expect: 'a b c' },
      { say: 'a b', expect: 'a b' },
    ],
  ],
  [
    'drops half of the instances at once: it keeps only more than half',
    [
      { say: 'a b c d', expect: 'a b c d' },
      { say: 'a b', expect: 'a b' },
    ],
  ],
  [
    'keeps more than half of the instances as suspects, in their places',
    [
      { say: 'a b c d e', expect: 'a b c d e' },
      { say: 'b d', expect: '(a) b (c) d (e)' },
    ],
  ],
  [
    'keeps all instances as suspects',
    [
      { say: 'a b c', expect: 'a b c' },
      { say: '', expect: '(a) (b) (c)' },
    ],
  ],
  [
    'drops both instances of a service that has only two',
    [
      { say: 'a b', expect: 'a b' },
      { say: '', expect: '' },
    ],
  ],
  [
    'takes back dropped instances when more expiries make it a wave',
    [
      { say: 'a b c d', expect: 'a b c d' },
      { at: 1_000, say: 'b c d', expect: 'b c d' },
      { at: 2_000, say: 'c d', expect: 'c d' },
      { at: 3_000, say: 'd', expect: '(c) d (a) (b)' },
      { at: 4_000, say: '', expect: '(c) (d) (a) (b)' },
    ],
  ],
  [
    'does not take expiries far apart as a wave',
    [
      { say: 'a b c d', expect: 'a b c d' },
      { at: 40_000, say: 'b c d', expect: 'b c d' },
      { at: 80_000, say: 'c d', expect: 'c d' },
      { at: 120_000, say: 'd', expect: 'd' },
    ],
  ],
  [
    'drops any number of withdrawn instances',
    [
      { say: 'a b c', expect: 'a b c' },
      { say: '', withdrawn: 'a b c', expect: '' },
    ],
  ],
  [
    'drops any number of instances that were down before',
    [
      { say: 'a b c', expect: 'a b c' },
      { say: '-a -b -c', expect: 'a b c' },
      { say: '', expect: '' },
    ],
  ],
  [
    'treats a suspect that returns as an ordinary instance',
    [
      { say: 'a b c', expect: 'a b c' },
      { say: 'c', expect: '(a) (b) c' },
      { at: 1_000, say: 'a c', expect: 'a (b) c' },
      { at: 2_000, say: 'c', withdrawn: 'a', expect: '(b) c' },
    ],
  ],
  [
    'drops a suspect that is withdrawn',
    [
      { say: 'a b c', expect: 'a b c' },
      { say: '', expect: '(a) (b) (c)' },
      { at: 1_000, say: '', withdrawn: 'b', expect: '(a) (c)' },
    ],
  ],
  [
    'drops suspects after their time',
    [
      { say: 'a b c', expect: 'a b c' },
      { at: 1_000, say: 'c', expect: '(a) (b) c' },
      { at: 100_999, say: 'c', expect: '(a) (b) c' },
      { at: 101_000, say: 'c', expect: 'c' },
    ],
  ],
  [
    'takes new instances beside suspects',
    [
      { say: 'a b c', expect: 'a b c' },
      { say: '', expect: '(a) (b) (c)' },
      { at: 1_000, say: 'd', expect: '(a) (b) (c) d' },
    ],
  ],
];

describe('the expiry guard', () => {
  for (const [title, steps] of cases) {
    it(title, () => {
      let guarded: GuardState | undefined;
      for (const step of steps) {
        guarded = guardExpiry(guarded, setOf(step), { guard, now: step.at ?? 0 });
        assert.equal(shown(guarded), step.expect, `after ${JSON.stringify(step)}`);
      }
    });
  }

  it('keeps nothing when it is off', () => {
    const first = guardExpiry(undefined, setOf({ say: 'a b c' }), { guard: undefined, now: 0 });
    const raw = setOf({ say: '' });
    assert.equal(guardExpiry(first, raw, { guard: undefined, now: 0 }).set, raw);
  });

  it('says when the hold of the first suspect ends', () => {
    const first = guardExpiry(undefined, setOf({ say: 'a b c' }), { guard, now: 0 });
    assert.equal(holdEnd(first, guard), undefined);
    const second = guardExpiry(first, setOf({ say: 'c' }), { guard, now: 1_000 });
    assert.equal(holdEnd(guardExpiry(second, setOf({ say: '' }), { guard, now: 5_000 }), guard), 101_000);
  });

  it('puts suspects last in the order of leaders', () => {
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
