import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Entry } from '../../../common/etcd/client/key-value.ts';
import { readEntry, usualRules } from '../../../common/etcd/records/record-rules.ts';
import { Records } from '../../../common/etcd/records/records.ts';
import type { KeyChange } from '../../../common/etcd/watch/prefix-state.ts';
import { Catalog } from '../../../synapse/catalog/catalog.ts';
import type { CatalogChange } from '../../../synapse/catalog/catalog-entry.ts';
import { suspectLookMs } from '../../../synapse/catalog/lost-leases.ts';
import { plainPolicy } from '../../support/daemons/instance-sets.ts';
import { serviceConfig } from '../../support/haproxy/haproxy-output.ts';
import { seededRandom } from '../../support/random.ts';
import { type StoppedClock, stopClock } from '../../support/stopped-clock.ts';

/**
 * What happens to the keys of the victims `a` and `b`, each of which has a lease of its own. `own`: at the key of the victim;
 * `deep`: at a key in the folder of another host, which ends in the id of the victim. `flash`: down and deleted in one change.
 */
type Step =
  | `${'own' | 'deep'} ${'up' | 'drain' | 'down' | 'withdrawn' | 'lost' | 'flash'}`
  /** Both victims answer looks until the guard's time is over. */
  | 'time over';

/** `own`: used as its own key says; `kept`: as it said before its lease was lost; `deep`: as the other key says. */
type Use = 'own' | 'kept' | 'deep' | 'none';

const texts: Readonly<Record<Use, string>> = {
  own: 'what its own key says',
  kept: 'what its own key said last',
  deep: 'what the deeper key says',
  none: 'nothing',
};

interface Move {
  readonly title: string;
  readonly steps: readonly Step[];
  /** For a reader that saw each step. */
  readonly use: Use;
  /** For one that saw the first step and then a list; default `use`. */
  readonly away?: Use;
  /** For one that is down during the last step; default `use`. What is lost while it is down is not kept. */
  readonly restarted?: Use;
  readonly fresh: Use;
}

const moves: readonly Move[] = [
  { title: 'nothing', steps: ['own up'], use: 'own', fresh: 'own' },
  { title: 'a loss', steps: ['own up', 'own lost'], use: 'kept', restarted: 'none', fresh: 'none' },
  { title: 'a withdrawal', steps: ['own up', 'own down'], use: 'none', fresh: 'none' },
  { title: 'a withdrawal after a loss', steps: ['own up', 'own lost', 'own down'], use: 'none', fresh: 'none' },
  {
    title: 'a withdrawal after a loss whose tombstone is gone again',
    steps: ['own up', 'own lost', 'own flash'],
    use: 'none',
    // It is not there, and no tombstone says why.
    away: 'kept',
    restarted: 'kept',
    fresh: 'none',
  },
  { title: 'a loss that ends', steps: ['own up', 'own lost', 'own up'], use: 'own', fresh: 'own' },
  {
    title: 'the end of the time',
    steps: ['own up', 'own lost', 'time over'],
    use: 'none',
    away: 'kept',
    restarted: 'kept',
    fresh: 'none',
  },

  {
    title: 'down before the loss',
    steps: ['own up', 'deep down', 'own lost'],
    use: 'kept',
    restarted: 'none',
    fresh: 'none',
  },
  { title: 'down after the loss', steps: ['own up', 'own lost', 'deep down'], use: 'kept', fresh: 'none' },
  { title: 'down and gone', steps: ['own up', 'own lost', 'deep down', 'deep withdrawn'], use: 'kept', fresh: 'none' },
  { title: 'down for a moment', steps: ['own up', 'own lost', 'deep flash'], use: 'kept', fresh: 'none' },
  {
    title: 'up before the loss',
    steps: ['own up', 'deep up', 'own lost'],
    use: 'kept',
    restarted: 'deep',
    fresh: 'deep',
  },
  { title: 'up after the loss', steps: ['own up', 'own lost', 'deep up'], use: 'kept', fresh: 'deep' },
  { title: 'drain after the loss', steps: ['own up', 'own lost', 'deep drain'], use: 'kept', fresh: 'deep' },
  { title: 'up, then down', steps: ['own up', 'own lost', 'deep up', 'deep down'], use: 'kept', fresh: 'none' },
  {
    title: 'up before the loss, then down',
    steps: ['own up', 'deep up', 'own lost', 'deep down'],
    use: 'kept',
    fresh: 'none',
  },
  { title: 'up, then gone', steps: ['own up', 'own lost', 'deep up', 'deep withdrawn'], use: 'kept', fresh: 'none' },
  { title: 'up, then lost', steps: ['own up', 'own lost', 'deep up', 'deep lost'], use: 'kept', fresh: 'none' },
  {
    title: 'up, down and up',
    steps: ['own up', 'own lost', 'deep up', 'deep down', 'deep up'],
    use: 'kept',
    fresh: 'deep',
  },
  {
    title: 'up, and the victim comes back',
    steps: ['own up', 'own lost', 'deep up', 'own up'],
    use: 'own',
    fresh: 'own',
  },
  {
    title: 'down, and the victim comes back',
    steps: ['own up', 'own lost', 'deep down', 'own up'],
    use: 'own',
    fresh: 'own',
  },
  {
    title: 'up, and the victim is withdrawn after the loss',
    steps: ['own up', 'own lost', 'deep up', 'own down'],
    use: 'none',
    fresh: 'none',
  },
  { title: 'down while the victim is well', steps: ['own up', 'deep down'], use: 'own', fresh: 'own' },
  { title: 'drain while the victim is well', steps: ['own up', 'deep drain'], use: 'own', fresh: 'own' },
  { title: 'up before the withdrawal', steps: ['own up', 'deep up', 'own down'], use: 'none', fresh: 'none' },
  { title: 'up after the withdrawal', steps: ['own up', 'own down', 'deep up'], use: 'none', fresh: 'none' },
  { title: 'up before the victim', steps: ['deep up', 'own up', 'own down'], use: 'none', fresh: 'none' },

  // Two announcers of one instance, at two depths: once the upper one is given up, the lower one has the say.
  {
    title: 'an instance of two keys, once the time is over',
    steps: ['own up', 'deep up', 'own lost', 'time over'],
    use: 'deep',
    away: 'kept',
    restarted: 'kept',
    fresh: 'deep',
  },
  {
    title: 'an instance of two keys that is withdrawn at both',
    steps: ['own up', 'deep up', 'own lost', 'time over', 'deep down'],
    use: 'none',
    away: 'kept',
    fresh: 'none',
  },
  {
    title: 'an instance that moves to a deeper key, whose old key is deleted',
    steps: ['own up', 'deep up', 'own withdrawn'],
    use: 'deep',
    fresh: 'deep',
  },
  { title: 'an instance of a deeper key only', steps: ['deep up'], use: 'deep', fresh: 'deep' },
  {
    title: 'an instance of a deeper key whose lease is lost',
    steps: ['deep up', 'deep lost'],
    use: 'kept',
    restarted: 'none',
    fresh: 'none',
  },
  {
    title: 'an instance that moves up after the loss of its deeper key',
    steps: ['deep up', 'deep lost', 'own up'],
    use: 'own',
    fresh: 'own',
  },
  {
    title: 'an instance that is withdrawn one level up',
    steps: ['deep up', 'deep lost', 'own down'],
    use: 'none',
    fresh: 'none',
  },
];

const victims = ['a', 'b'] as const;
const folder = '/nerve/services/api';
const ownKey = (name: string): string => `${folder}/${name}_10.0.0.1:80`;
const deepKey = (name: string): string => `${folder}/evil_x/${name}_10.0.0.1:80`;
/** Tells the content of the two keys of a victim apart. */
const weights = { own: 1, deep: 7 } as const;
const policy = { ...plainPolicy, usePreviousBackends: false };
const guard = { share: 0.5, holdMs: 5_000, suspectMs: 300_000 };

/** What etcd has. */
class Keys {
  readonly entries = new Map<string, Entry>();
  #revision = 0;

  put(
    key: string,
    name: string,
    { lease, weight, state }: { lease: string; weight: number; state: string },
  ): KeyChange {
    this.#revision += 1;
    const previous = this.entries.get(key);
    const modRevision = String(this.#revision);
    const createRevision = previous?.createRevision ?? modRevision;
    const value = Buffer.from(JSON.stringify({ host: '10.0.0.1', port: 80, name, weight, state }));
    const entry = { key, value, lease, modRevision, createRevision };
    this.entries.set(key, entry);
    return { key, entry, ...(previous && { previous }) };
  }

  delete(key: string, how: 'withdrawn' | 'lost'): KeyChange {
    this.#revision += 1;
    const previous = this.entries.get(key);
    this.entries.delete(key);
    return { key, how, ...(previous && { previous }) };
  }

  take(step: Exclude<Step, 'time over'>): readonly KeyChange[] {
    const [where, what] = step.split(' ') as ['own' | 'deep', string];
    return victims.flatMap((name, index) => {
      const key = where === 'own' ? ownKey(name) : deepKey(name);
      const weight = weights[where];
      const lease = `${where === 'own' ? 1 : 2}${index}`;
      const tombstone = (): KeyChange => this.put(key, name, { lease: '90', weight, state: 'down' });
      if (what === 'lost' || what === 'withdrawn') return [this.delete(key, what)];
      if (what === 'down') return [tombstone()];
      if (what === 'flash') return [tombstone(), this.delete(key, 'withdrawn')];
      return [this.put(key, name, { lease, weight, state: what })];
    });
  }
}

/** One synapse, as far as it reads records and keeps lost instances. */
class Reader {
  readonly #records = new Records((entry) => readEntry(entry, usualRules), { onRejected() {}, onGone() {} });
  readonly #catalog = new Catalog();
  readonly #clock: StoppedClock;

  constructor(clock: StoppedClock, former?: Reader) {
    this.#clock = clock;
    this.#catalog.configure(
      new Map([['api', { policy: { ...policy, expiryGuard: guard }, config: serviceConfig({}) }]]),
    );
    const entry = former === undefined ? undefined : former.#catalog.entry('api');
    if (entry?.set !== undefined) this.#catalog.restore('api', { set: entry.set, kept: entry.kept });
  }

  apply(keys: Keys, changed: readonly KeyChange[], reason: 'list' | 'watch' | 'relist' = 'watch'): void {
    const change = { entries: keys.entries, changed, revision: '1', seenAt: 0, reason } as const;
    const set = this.#records.apply(change) ?? (reason === 'list' ? this.#records.set() : undefined);
    if (set !== undefined) this.#look(this.#catalog.update('api', { ...set, unique: true, seenAt: 0 }));
    this.#look(this.#catalog.refresh());
  }

  /** Whatever is lost answers. */
  #look(changes: readonly CatalogChange[]): void {
    const look = { answer: 'answers', isBlind: false, server: 'unknown' } as const;
    const looks = changes.flatMap(({ looks }) =>
      looks.map(({ instance }) => ({ service: 'api', id: instance.id, look })),
    );
    if (looks.length > 0) this.#look(this.#catalog.looked(looks));
  }

  /** Lets the time of the guard pass. */
  wait(): void {
    for (const end = this.#clock.now + guard.suspectMs; this.#clock.now <= end; this.#clock.now += suspectLookMs) {
      this.#look(this.#catalog.refresh());
    }
  }

  use(name: string): Use {
    const { instances } = this.#catalog.snapshot().get('api') ?? {};
    const found = instances?.filter(({ id, state }) => id === `${name}_10.0.0.1:80` && state !== 'down') ?? [];
    assert.ok(found.length <= 1, 'one instance is there twice');
    const [instance] = found;
    if (instance === undefined) return 'none';
    const isKept = this.#catalog.entry('api')?.kept.has(instance.id) === true;
    // What is kept stays as it was.
    if (isKept) return 'kept';
    return instance.weight === weights.deep ? 'deep' : 'own';
  }
}

describe('a deeper key with the id of another instance', () => {
  let clock: StoppedClock;
  beforeEach(() => {
    clock = stopClock();
  });
  afterEach(() => clock.restore());

  /** How `reader` uses both victims, which it treats alike. */
  const useOf = (reader: Reader): Use => {
    assert.equal(reader.use('a'), reader.use('b'));
    return reader.use('a');
  };
  const list = (keys: Keys): readonly KeyChange[] =>
    [...keys.entries.values()].map((entry) => ({ key: entry.key, entry }));
  /** What a list after a gap shows, with what etcd says of the leases of missing keys. */
  const differences = (
    keys: Keys,
    before: ReadonlyMap<string, Entry>,
    steps: readonly Step[],
  ): readonly KeyChange[] => {
    const how = steps.includes('own withdrawn') ? 'withdrawn' : 'lost';
    const missing = [...before].filter(([key]) => !keys.entries.has(key));
    return [...missing.map(([key, previous]): KeyChange => ({ key, previous, how })), ...list(keys)];
  };

  /** A reader that has applied these steps one by one. */
  const watching = (keys: Keys, steps: readonly Step[]): Reader => {
    const reader = new Reader(clock);
    reader.apply(keys, [], 'list');
    for (const step of steps) {
      if (step === 'time over') reader.wait();
      else reader.apply(keys, keys.take(step));
    }
    return reader;
  };
  const happen = (keys: Keys, steps: readonly Step[]): void => {
    for (const step of steps) if (step !== 'time over') keys.take(step);
  };

  for (const { title, steps, use, away = use, restarted = use, fresh } of moves) {
    it(`after ${title}: a reader that saw each step uses ${texts[use]}`, () => {
      assert.equal(useOf(watching(new Keys(), steps)), use);
    });

    it(`after ${title}: a reader that was away after the first step uses ${texts[away]}`, () => {
      const keys = new Keys();
      const reader = watching(keys, steps.slice(0, 1));
      const before = new Map(keys.entries);
      happen(keys, steps.slice(1));
      reader.apply(keys, differences(keys, before, steps), 'relist');
      assert.equal(useOf(reader), away);
    });

    it(`after ${title}: a reader that is restarted before the last step uses ${texts[restarted]}`, () => {
      const keys = new Keys();
      const former = watching(keys, steps.slice(0, -1));
      happen(keys, steps.slice(-1));
      const reader = new Reader(clock, former);
      reader.apply(keys, list(keys), 'list');
      assert.equal(useOf(reader), restarted);
    });

    it(`after ${title}: a reader that starts later uses ${texts[fresh]}`, () => {
      const keys = new Keys();
      happen(keys, steps);
      const reader = new Reader(clock);
      reader.apply(keys, list(keys), 'list');
      assert.equal(useOf(reader), fresh);
    });
  }

  it('changes nothing about a lost instance that is kept, whatever it says and in whatever order', () => {
    const random = seededRandom(7);
    const said = ['up', 'drain', 'down', 'withdrawn', 'lost', 'flash'] as const;
    const some = (most: number): readonly Step[] =>
      Array.from(
        { length: Math.floor(random() * most) },
        () => `deep ${said[Math.floor(random() * said.length)] ?? 'up'}` as const,
      );
    for (let round = 0; round < 300; round += 1) {
      const steps: readonly Step[] = ['own up', ...some(4), 'own lost', ...some(6)];
      assert.equal(useOf(watching(new Keys(), steps)), 'kept', steps.join(', '));
      assert.equal(useOf(watching(new Keys(), [...steps, 'own up'])), 'own', steps.join(', '));
      assert.equal(useOf(watching(new Keys(), [...steps, 'own down'])), 'none', steps.join(', '));
    }
  });
});
