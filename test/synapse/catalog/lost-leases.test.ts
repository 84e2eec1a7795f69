import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Instance, makeInstance } from '../../../common/instance.ts';
import { AnnouncedIndex, recordsIn } from '../../../synapse/catalog/announced.ts';
import { type ExpiryGuard, keptOf, type Look, withKept } from '../../../synapse/catalog/lost-instance.ts';
import { reduceLost } from '../../../synapse/catalog/lost-leases.ts';
import {
  type LostEffect,
  type LostFacts,
  type LostState,
  nextDue,
  nothingLost,
} from '../../../synapse/catalog/lost-state.ts';
import { isToStartDown } from '../../../synapse/output.ts';
import type { InstanceSet } from '../../../synapse/source.ts';

const guard: ExpiryGuard = { share: 0.5, holdMs: 5_000, suspectMs: 300_000 };

/** Looks by the word that a story uses for them. */
const looks: Readonly<Record<string, Look>> = {
  answers: { answer: 'answers', isBlind: false, server: 'unknown' },
  refused: { answer: 'refused', isBlind: false, server: 'unknown' },
  silent: { answer: 'silent', isBlind: false, server: 'unknown' },
  blind: { answer: 'silent', isBlind: true, server: 'unknown' },
  'blind-up': { answer: 'silent', isBlind: true, server: 'up' },
  'blind-down': { answer: 'silent', isBlind: true, server: 'down' },
  'haproxy-down': { answer: 'answers', isBlind: false, server: 'down' },
};

/**
 * One step of a story. Instances are written `name@lease`; `name:port@lease` for another port than 1, `other=name@lease`
 * for an announcer `other` at the address of `name`, and `-name@lease` for a record that says `down`. The higher lease
 * appeared later.
 */
interface Step {
  /** Seconds. */
  readonly at?: number;
  /** The newest set of a service, default `api`. */
  readonly say?: string;
  readonly of?: string;
  readonly withdrawn?: string;
  /** `name answer`: the result of a look in the same service. */
  readonly look?: string;
  /** Only time passes. */
  readonly wait?: true;
  /** What outputs have afterwards: `(name)` is held or being looked at, `[name]` is a suspect. */
  readonly expect: string;
  /** Names that are to be looked at now. */
  readonly looks?: string;
  /** Reasons of what is no longer kept. */
  readonly ended?: readonly string[];
}

const full = 'a@1 b@2 c@3 d@4';

const stories: readonly [title: string, steps: readonly Step[]][] = [
  [
    'announcements that make a service larger hide that most of its former instances were lost',
    [
      { say: full, expect: 'a b c d' },
      { at: 1, say: `${full} e@5 f@6 g@7 h@8`, expect: 'a b c d e f g h' },
      { at: 2, say: 'd@4 e@5 f@6 g@7 h@8', expect: '(a) (b) (c) d e f g h', looks: 'a b c' },
      ...['a', 'b', 'c'].map((name) => ({ at: 2.1, look: `${name} answers`, expect: '(a) (b) (c) d e f g h' })),
      {
        at: 7,
        wait: true,
        expect: 'd e f g h',
        ended: new Array(3).fill('its lease is gone, and no wave of lost leases followed'),
      },
    ],
  ],
  [
    'a withdrawn instance is gone at once',
    [
      { say: full, expect: 'a b c d' },
      { at: 1, say: 'b@2 c@3 d@4', withdrawn: 'a', expect: 'b c d', looks: '' },
    ],
  ],
  [
    'instances that are withdrawn one by one are no wave, however many',
    [
      { say: full, expect: 'a b c d' },
      { at: 1, say: 'd@4', withdrawn: 'a b c', expect: 'd' },
      { at: 2, say: '', withdrawn: 'd', expect: '' },
    ],
  ],
  [
    'an instance that is withdrawn in the middle of a wave is gone at once, and does not come back',
    [
      { say: full, expect: 'a b c d' },
      { at: 1, say: 'd@4', expect: '(a) (b) (c) d', looks: 'a b c' },
      { at: 1.1, look: 'a answers', expect: '[a] (b) (c) d' },
      { at: 1.1, look: 'b answers', expect: '[a] [b] (c) d' },
      { at: 2, say: '', withdrawn: 'd', expect: '[a] [b] (c)' },
      { at: 3, say: '', withdrawn: 'a', expect: '[b] (c)', ended: ['it was withdrawn'] },
    ],
  ],
  [
    'a record that says down ends a suspect',
    [
      { say: 'a@1 b@2', expect: 'a b' },
      { at: 1, say: '', expect: '(a) (b)', looks: 'a b' },
      { at: 1.1, look: 'a answers', expect: '[a] (b)' },
      { at: 2, say: '-a@9', expect: '-a (b)' },
      { at: 3, say: '', withdrawn: 'a', expect: '(b)' },
    ],
  ],
  [
    'a lost instance that refuses connections is gone after the first look',
    [
      { say: full, expect: 'a b c d' },
      { at: 1, say: 'b@2 c@3 d@4', expect: '(a) b c d', looks: 'a' },
      { at: 1.1, look: 'a refused', expect: 'b c d', ended: ['it refuses connections'] },
    ],
  ],
  [
    'a lost instance that does not answer is gone after the first look',
    [
      { say: full, expect: 'a b c d' },
      { at: 1, say: 'b@2 c@3 d@4', expect: '(a) b c d', looks: 'a' },
      { at: 2, look: 'a silent', expect: 'b c d', ended: ['it does not answer'] },
    ],
  ],
  [
    'a lost instance that is DOWN in HAProxy is gone, although it accepts connections',
    [
      { say: full, expect: 'a b c d' },
      { at: 1, say: 'b@2 c@3 d@4', expect: '(a) b c d', looks: 'a' },
      { at: 1.1, look: 'a haproxy-down', expect: 'b c d', ended: ["HAProxy's own check says DOWN"] },
    ],
  ],
  [
    'a lost instance that answers is held, and gone when no wave follows',
    [
      { say: full, expect: 'a b c d' },
      { at: 1, say: 'b@2 c@3 d@4', expect: '(a) b c d', looks: 'a' },
      { at: 1.1, look: 'a answers', expect: '(a) b c d' },
      { at: 5.9, wait: true, expect: '(a) b c d' },
      { at: 6, wait: true, expect: 'b c d', ended: ['its lease is gone, and no wave of lost leases followed'] },
    ],
  ],
  [
    'an instance that is announced again while it is held was never gone',
    [
      { say: full, expect: 'a b c d' },
      { at: 1, say: 'b@2 c@3 d@4', expect: '(a) b c d', looks: 'a' },
      { at: 2, say: 'a@5 b@2 c@3 d@4', expect: 'a b c d', looks: '' },
      { at: 9, wait: true, expect: 'a b c d' },
    ],
  ],
  [
    'one lease is no wave, whatever it carries',
    [
      { say: 'a@1 b@1 c@1 d@1 e@1 f@1 g@2 h@3', expect: 'a b c d e f g h' },
      { at: 1, say: 'g@2 h@3', expect: '(a) (b) (c) (d) (e) (f) g h', looks: 'a b c d e f' },
      ...'abcdef'.split('').map((name, index): Step => {
        const held = 'abcdef'.split('').map((one) => `(${one})`);
        return { at: 1.1 + index / 10, look: `${name} answers`, expect: `${held.join(' ')} g h` };
      }),
      {
        at: 6,
        wait: true,
        expect: 'g h',
        ended: new Array(6).fill('its lease is gone, and no wave of lost leases followed'),
      },
    ],
  ],
  [
    'two leases that are more than half of a service are a wave, also in a service of two',
    [
      { say: 'a@1 b@2', expect: 'a b' },
      { at: 1, say: 'b@2', expect: '(a) b', looks: 'a' },
      { at: 1.1, look: 'a answers', expect: '(a) b' },
      { at: 3, say: '', expect: '[a] (b)', looks: 'b' },
      { at: 3.1, look: 'b answers', expect: '[a] [b]' },
      { at: 60, wait: true, expect: '[a] [b]', looks: 'a b' },
    ],
  ],
  [
    'an instance that has left comes back with a wave only after it has answered',
    [
      { say: 'a@1 b@2 c@3', expect: 'a b c' },
      { at: 1, say: 'b@2 c@3', expect: '(a) b c', looks: 'a' },
      { at: 1.1, look: 'a answers', expect: '(a) b c' },
      { at: 6, wait: true, expect: 'b c', ended: ['its lease is gone, and no wave of lost leases followed'] },
      { at: 8, say: 'c@3', expect: '(b) c', looks: 'a b' },
      { at: 8.1, look: 'b answers', expect: '[b] c' },
      { at: 8.2, look: 'a answers', expect: '[b] c [a]' },
    ],
  ],
  [
    'a host that died does not come back when another one dies',
    [
      { say: 'a@1 b@2 c@3', expect: 'a b c' },
      { at: 1, say: 'b@2 c@3', expect: '(a) b c', looks: 'a' },
      { at: 2, look: 'a silent', expect: 'b c', ended: ['it does not answer'] },
      { at: 23, say: 'c@3', expect: '(b) c', looks: 'a b' },
      { at: 24, look: 'a silent', expect: '(b) c' },
      { at: 24, look: 'b silent', expect: 'c', ended: ['it does not answer'] },
    ],
  ],
  [
    'leases that are lost far apart are no wave',
    [
      { say: 'a@1 b@2 c@3', expect: 'a b c' },
      { at: 1, say: 'b@2 c@3', expect: '(a) b c', looks: 'a' },
      { at: 1.1, look: 'a answers', expect: '(a) b c' },
      { at: 6, wait: true, expect: 'b c', ended: ['its lease is gone, and no wave of lost leases followed'] },
      { at: 40, say: 'c@3', expect: '(b) c', looks: 'b' },
      { at: 40.1, look: 'b answers', expect: '(b) c' },
      { at: 45, wait: true, expect: 'c', ended: ['its lease is gone, and no wave of lost leases followed'] },
    ],
  ],
  [
    'more than half of all leases are a wave also for a service that loses one of them',
    [
      { say: 'a@1', of: 'web', expect: 'a' },
      { say: 'a@1 b@2', expect: 'a b' },
      { at: 1, say: '', of: 'web', expect: '(a)', looks: 'a' },
      { at: 1, say: 'b@2', expect: '(a) b', looks: 'a' },
      { at: 2, say: '', expect: '(a) (b)', looks: 'b' },
      { at: 2.1, look: 'a answers', of: 'web', expect: '[a]' },
    ],
  ],
  [
    'a suspect is gone when it fails two looks in a row',
    [
      { say: 'a@1 b@2', expect: 'a b' },
      { at: 1, say: '', expect: '(a) (b)', looks: 'a b' },
      { at: 1.1, look: 'a answers', expect: '[a] (b)' },
      { at: 1.1, look: 'b answers', expect: '[a] [b]' },
      { at: 4.1, wait: true, expect: '[a] [b]', looks: 'b a' },
      { at: 5, look: 'a refused', expect: '[a] [b]' },
      { at: 6, look: 'a answers', expect: '[a] [b]' },
      { at: 7, look: 'a refused', expect: '[a] [b]' },
      { at: 8, look: 'a refused', expect: '[b]', ended: ['it refuses connections'] },
    ],
  ],
  [
    'a suspect is gone as soon as it is DOWN in HAProxy',
    [
      { say: 'a@1 b@2', expect: 'a b' },
      { at: 1, say: '', expect: '(a) (b)', looks: 'a b' },
      { at: 1.1, look: 'a answers', expect: '[a] (b)' },
      { at: 5, look: 'a haproxy-down', expect: '(b)', looks: '', ended: ["HAProxy's own check says DOWN"] },
    ],
  ],
  [
    'a suspect is gone when another announcer has its address, also in another service',
    [
      { say: 'a@1 b@2', expect: 'a b' },
      { at: 1, say: '', expect: '(a) (b)', looks: 'a b' },
      { at: 1.1, look: 'a answers', expect: '[a] (b)' },
      { at: 2, say: 'x=a@9', of: 'web', expect: 'x' },
      { at: 2, wait: true, expect: '(b)' },
    ],
  ],
  [
    'a lost instance whose address belongs to another announcer already is gone at once',
    [
      { say: 'a@1 b@2 c@3', expect: 'a b c' },
      { say: 'x=a@9', of: 'web', expect: 'x' },
      { at: 1, say: 'b@2 c@3', expect: 'b c', looks: '', ended: ['its address is announced for web now by x'] },
    ],
  ],
  [
    'a suspect is gone when its own nerve has another service at its address now',
    [
      { say: 'a@1 b@2', expect: 'a b' },
      { at: 1, say: '', expect: '(a) (b)', looks: 'a b' },
      { at: 1.1, look: 'a answers', expect: '[a] (b)' },
      { at: 2, say: 'a@9', of: 'web', expect: 'a' },
      { at: 2, wait: true, expect: '(b)' },
    ],
  ],
  [
    'a lost instance is gone at once when its own nerve has another service at its address already',
    [
      { say: 'a@1 b@2 c@3', expect: 'a b c' },
      { say: 'a@9', of: 'web', expect: 'a' },
      { at: 1, say: 'b@2 c@3', expect: 'b c', looks: '', ended: ['its address is announced for web now by a'] },
    ],
  ],
  [
    'a lost instance is gone at once when another service was announced at its address since, and has been withdrawn',
    [
      { say: 'a@1 b@2 c@3', expect: 'a b c' },
      { say: '-a@9', of: 'web', expect: '-a' },
      { at: 1, say: 'b@2 c@3', expect: 'b c', looks: '', ended: ['its address was announced for web since'] },
    ],
  ],
  [
    'a suspect is gone when it turns out that another service was announced at its address since, and is withdrawn',
    [
      { say: 'a@1 b@2', expect: 'a b' },
      { at: 1, say: '', expect: '(a) (b)', looks: 'a b' },
      { at: 1.1, look: 'a answers', expect: '[a] (b)' },
      { at: 2, say: '-a@9', of: 'web', expect: '-a' },
      { at: 2, wait: true, expect: '(b)' },
    ],
  ],
  [
    'a lost instance is looked at when another service was withdrawn at its address before it was announced',
    [
      { say: '-a@1', of: 'web', expect: '-a' },
      { say: 'a@2 b@2 c@3', expect: 'a b c' },
      { at: 1, say: 'b@2 c@3', expect: '(a) b c', looks: 'a', ended: [] },
    ],
  ],
  [
    'an instance of two services that is back in one of them first is held in the other one',
    [
      { say: 'a@1 b@2', expect: 'a b' },
      { say: 'a@1', of: 'web', expect: 'a' },
      { at: 1, say: 'b@2', expect: '(a) b', looks: 'a' },
      { at: 1, say: '', of: 'web', expect: '(a)', looks: 'a' },
      { at: 2, say: 'a@9', of: 'web', expect: 'a' },
      { at: 2, wait: true, expect: '(a) b' },
    ],
  ],
  [
    'a suspect is gone soon after its nerve came back without it',
    [
      { say: 'a@1 a:2@1 b@2', expect: 'a a:2 b' },
      { at: 1, say: '', expect: '(a) (a:2) (b)', looks: 'a a:2 b' },
      { at: 1.1, look: 'a answers', expect: '[a] (a:2) (b)' },
      { at: 1.1, look: 'a:2 answers', expect: '[a] [a:2] (b)' },
      { at: 10, say: 'a@9', expect: 'a [a:2] (b)', looks: 'a:2' },
      { at: 15, wait: true, expect: 'a (b)', ended: ['its nerve is back and does not announce it'] },
    ],
  ],
  [
    'suspects are gone when their time is over',
    [
      { say: 'a@1 b@2', expect: 'a b' },
      { at: 1, say: '', expect: '(a) (b)', looks: 'a b' },
      { at: 1.1, look: 'a answers', expect: '[a] (b)' },
      { at: 301, wait: true, expect: '(b)', ended: ['its time as a suspect is over'] },
    ],
  ],
  [
    'blind looks keep a wave as a whole',
    [
      { say: 'a@1 b@2', expect: 'a b' },
      { at: 1, say: '', expect: '(a) (b)', looks: 'a b' },
      { at: 2, look: 'a blind', expect: '[a] (b)' },
      { at: 2, look: 'b blind', expect: '[a] [b]' },
      { at: 6, look: 'a blind', expect: '[a] [b]' },
      { at: 9, look: 'a blind', expect: '[a] [b]' },
    ],
  ],
  [
    "blind looks leave the decision to HAProxy's own checks",
    [
      { say: 'a@1 b@2', expect: 'a b' },
      { at: 1, say: '', expect: '(a) (b)', looks: 'a b' },
      { at: 2, look: 'a blind-up', expect: '[a] (b)' },
      { at: 2, look: 'b blind-down', expect: '[a]', ended: ["HAProxy's own check says DOWN"] },
    ],
  ],
  [
    'a synapse that sees nothing does not empty a service',
    [
      { say: 'a@1', expect: 'a' },
      { say: 'x@7 y@8 z@9', of: 'web', expect: 'x y z' },
      { at: 1, say: '', expect: '(a)', looks: 'a' },
      { at: 2, look: 'a blind', expect: '(a)' },
      { at: 6, wait: true, expect: '[a]' },
    ],
  ],
];

describe('lost leases', () => {
  for (const [title, steps] of stories) it(title, () => new Story().tell(steps));

  it('do not matter where the guard is off', () => {
    const story = new Story('off');
    story.tell([
      { say: full, expect: 'a b c d' },
      { at: 1, say: 'd@4', expect: 'd', looks: '' },
    ]);
    assert.equal(story.state, nothingLost);
  });

  it('are forgotten after half a minute, and nothing is due then', () => {
    const story = new Story();
    story.tell([
      { say: full, expect: 'a b c d' },
      { at: 1, say: 'b@2 c@3 d@4', expect: '(a) b c d', looks: 'a' },
      { at: 1.1, look: 'a refused', expect: 'b c d', ended: ['it refuses connections'] },
    ]);
    assert.equal(nextDue(story.state, story), 31_000);
    story.tell([{ at: 31, wait: true, expect: 'b c d' }]);
    assert.deepEqual(story.state, nothingLost);
    assert.equal(nextDue(story.state, story), undefined);
  });

  it('say when something is due next', () => {
    const story = new Story();
    story.tell([
      { say: 'a@1 b@2', expect: 'a b' },
      { at: 1, say: 'b@2', expect: '(a) b', looks: 'a' },
      { at: 1.1, look: 'a answers', expect: '(a) b' },
    ]);
    assert.equal(nextDue(story.state, story), 6_000);
    story.tell([{ at: 2, say: '', expect: '[a] (b)', looks: 'b' }]);
    assert.equal(nextDue(story.state, story), 5_000, 'the next look');
  });

  it('let an instance that comes back start DOWN in HAProxy, and no other one', () => {
    const story = new Story();
    story.tell([
      { say: 'a@1 b@2 c@3', expect: 'a b c' },
      { at: 1, say: 'b@2 c@3', expect: '(a) b c', looks: 'a' },
      { at: 2, look: 'a silent', expect: 'b c' },
      { at: 8, say: 'c@3', expect: '(b) c', looks: 'a b' },
      { at: 8.1, look: 'b answers', expect: '[b] c' },
      { at: 8.2, look: 'a answers', expect: '[b] c [a]' },
    ]);
    const lost = [...(story.state.services.get('api')?.values() ?? [])];
    assert.deepEqual(
      lost.map(({ instance }) => [instance.name, isToStartDown(instance)]),
      [
        ['a', true],
        ['b', false],
      ],
    );
  });

  it('put kept instances last in the order of leaders', () => {
    const story = new Story();
    story.tell([
      { say: 'a@1 b@2', expect: 'a b' },
      { at: 1, say: 'b@2', expect: '(a) b', looks: 'a' },
    ]);
    const raw = { ...setOf('b@2'), sequence: [2] };
    const { sequence } = withKept(setOf('a@1 b@2'), raw, keptOf(story.state.services.get('api') ?? new Map()));
    assert.deepEqual(sequence, [Number.POSITIVE_INFINITY, 2]);
  });
});

/** Services with their sets, as the catalog has them. */
class Story implements LostFacts {
  state: LostState = nothingLost;
  readonly #guard: ExpiryGuard | undefined;
  readonly #raw = new Map<string, InstanceSet>();
  readonly #shown = new Map<string, InstanceSet>();

  constructor(use: 'on' | 'off' = 'on') {
    this.#guard = use === 'on' ? guard : undefined;
  }

  guardOf(): ExpiryGuard | undefined {
    return this.#guard;
  }

  setOf(service: string): InstanceSet | undefined {
    return this.#raw.get(service);
  }

  announced() {
    const index = new AnnouncedIndex();
    for (const [service, set] of this.#raw) index.take(service, recordsIn(service, set));
    return index;
  }

  tell(steps: readonly Step[]): void {
    for (const step of steps) {
      const { of: service = 'api', expect, looks: expectedLooks, ended: expectedEnds } = step;
      const effects = this.#do(service, step);
      const at = `after ${JSON.stringify(step)}`;
      const looking = effects.flatMap((effect) => (effect.type === 'look' ? [wordOf(effect.lost.instance)] : []));
      const ended = effects.flatMap((effect) => (effect.type === 'ended' ? [effect.reason] : []));
      assert.equal(this.#show(service), expect, at);
      if (expectedLooks !== undefined)
        assert.deepEqual(looking.sort(), expectedLooks.split(' ').filter(Boolean).sort(), at);
      if (expectedEnds !== undefined) assert.deepEqual(ended, expectedEnds, at);
    }
  }

  #do(service: string, { at = 0, say, withdrawn = '', look }: Step): readonly LostEffect[] {
    const now = at * 1_000;
    if (say !== undefined) {
      const before = this.#raw.get(service);
      const set = setOf(say, withdrawn);
      this.#raw.set(service, set);
      return this.#reduce({ type: 'set', service, before, set, now });
    }
    if (look === undefined) return this.#reduce({ type: 'time', now });
    const [name = '', word = ''] = look.split(' ');
    return this.#reduce({
      type: 'looked',
      looks: [{ service, id: instanceOf(name).id, look: looks[word] as Look }],
      now,
    });
  }

  #reduce(event: Parameters<typeof reduceLost>[1]): readonly LostEffect[] {
    const { state, effects } = reduceLost(this.state, event, this);
    this.state = state;
    return effects;
  }

  #show(service: string): string {
    const lost = this.state.services.get(service) ?? new Map();
    const shown = withKept(this.#shown.get(service), this.#raw.get(service) ?? setOf(''), keptOf(lost));
    this.#shown.set(service, shown);
    const word = (instance: Instance): string => {
      const phase = lost.get(instance.id)?.phase;
      const name = wordOf(instance);
      return phase === undefined ? name : phase === 'suspect' ? `[${name}]` : `(${name})`;
    };
    return shown.instances.map(word).join(' ');
  }
}

const made = new Map<string, Instance>();

function instanceOf(word: string): Instance {
  const known = made.get(word);
  if (known !== undefined) return known;
  const [, down, other, host = '', port = '1'] = /^(-)?(?:(\w+)=)?(\w+)(?::(\d+))?$/.exec(word) ?? [];
  const state = down === undefined ? 'up' : 'down';
  const instance = makeInstance({ name: other ?? host, host, port: Number(port), state });
  made.set(word, instance);
  return instance;
}

function wordOf({ name, port, state }: Instance): string {
  return `${state === 'down' ? '-' : ''}${name}${port === 1 ? '' : `:${port}`}`;
}

function setOf(say: string, withdrawn = ''): InstanceSet {
  const words = say.split(' ').filter((word) => word !== '');
  const ids = withdrawn.split(' ').filter((word) => word !== '');
  return {
    instances: words.map((word) => instanceOf(word.split('@')[0] as string)),
    leases: words.map((word) => word.split('@')[1] ?? '0'),
    sequence: words.map((word) => Number(word.split('@')[1] ?? '0')),
    withdrawn: new Map(ids.map((word) => [instanceOf(word).id, null])),
    rejected: [],
    seenAt: 0,
  };
}
