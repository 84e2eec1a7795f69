import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import { sleep } from '../../../../common/async/sleep.ts';
import type { Entry } from '../../../../common/etcd/client/key-value.ts';
import { DeleteJudge } from '../../../../common/etcd/watch/judged-deletes.ts';
import type { LeaseVerdict } from '../../../../common/etcd/watch/lease-verdicts.ts';
import type { PrefixChange } from '../../../../common/etcd/watch/prefix-state.ts';
import { eventually } from '../../../support/eventually.ts';

const entry = (key: string, lease = '7', value = 'x'): Entry => ({
  key,
  value: Buffer.from(value),
  modRevision: '1',
  createRevision: '1',
  lease,
});

/** A judge whose questions the test answers, and what it passes on: `+a` put, `-a withdrawn`, `-a lost`. */
function judgement({ mayReturnMs = 0 } = {}) {
  const asked: string[] = [];
  const answers = new Map<string, (verdict: LeaseVerdict) => void>();
  const end = new AbortController();
  const judge = new DeleteJudge(
    {
      verdictOf: (lease) => {
        asked.push(lease);
        return new Promise((resolve) => answers.set(lease, resolve));
      },
      mayReturnMs: () => mayReturnMs,
    },
    end.signal,
  );
  const answer = async (lease: string, verdict: LeaseVerdict): Promise<void> => {
    answers.get(lease)?.(verdict);
    await sleep(0);
  };
  const follower = () => {
    const told: string[] = [];
    const ended = new AbortController();
    const entries = new Map<string, Entry>();
    const word = ({ key, entry: now, how }: PrefixChange['changed'][number]) =>
      now === undefined ? `-${key} ${how}` : `+${key}`;
    const take = judge.follow(
      ({ reason, changed }) => told.push([reason, ...changed.map(word)].join(' ')),
      {
        saidDown: ({ previous }) => previous?.value.toString() === 'down',
        addressOf: ({ value }) => (value.toString().startsWith('at ') ? value.toString() : undefined),
      },
      ended.signal,
    );
    const change = (reason: PrefixChange['reason'], changed: PrefixChange['changed']): void => {
      for (const { key, entry: now } of changed) {
        if (now === undefined) entries.delete(key);
        else entries.set(key, now);
      }
      take({ entries, changed, revision: '1', seenAt: 0, reason });
    };
    const put = (key: string, lease?: string, value?: string): void =>
      change('watch', [{ key, entry: entry(key, lease, value) }]);
    const lose = (...keys: readonly string[]): void =>
      change(
        'watch',
        keys.map((key) => ({ key, previous: entries.get(key) ?? entry(key) })),
      );
    return { told, ended, change, put, lose };
  };
  return { asked, answer, follower, end };
}

describe('DeleteJudge', () => {
  it('calls a key withdrawn at once when its record said down, or when it was under no lease', () => {
    const { asked, follower } = judgement();
    const { told, put, lose } = follower();
    put('a', '7', 'down');
    lose('a');
    put('b', '0');
    lose('b');
    assert.deepEqual(told, ['watch +a', 'watch -a withdrawn', 'watch +b', 'watch -b withdrawn']);
    assert.deepEqual(asked, []);
  });

  it('calls a key withdrawn without a question when another key still has its lease', () => {
    const { asked, follower } = judgement();
    const { told, put, lose } = follower();
    put('a');
    put('b');
    lose('a');
    assert.deepEqual(told.at(-1), 'watch -a withdrawn');
    assert.deepEqual(asked, []);
  });

  it('keeps a key while it asks, and passes on the answer', async () => {
    for (const [verdict, how] of [
      ['alive', 'withdrawn'],
      ['gone', 'lost'],
    ] as const) {
      const { asked, answer, follower } = judgement();
      const { told, put, lose } = follower();
      put('a');
      lose('a');
      assert.deepEqual(told, ['watch +a']);
      assert.deepEqual(asked, ['7']);
      await answer('7', verdict);
      assert.deepEqual(told, ['watch +a', `watch -a ${how}`]);
    }
  });

  it('asks once for each lease, and decides about its keys under all prefixes in one tick', async () => {
    const { asked, answer, follower } = judgement();
    const [one, other] = [follower(), follower()];
    one.put('a');
    one.put('b');
    other.put('c');
    one.lose('a', 'b');
    other.lose('c');
    assert.deepEqual(asked, ['7']);
    await answer('7', 'gone');
    assert.deepEqual([one.told.at(-1), other.told.at(-1)], ['watch -a lost -b lost', 'watch -c lost']);
  });

  it('never passes on a delete when the owner puts the key again meanwhile', async () => {
    const { answer, follower } = judgement();
    const { told, put, lose } = follower();
    put('a');
    lose('a');
    put('a', '8');
    await answer('7', 'gone');
    assert.deepEqual(told, ['watch +a', 'watch +a']);
  });

  it('gives the owner of a lost lease time to come back where etcd revokes by mistake', async () => {
    const { answer, follower } = judgement({ mayReturnMs: 60 });
    const { told, put, lose } = follower();
    put('a');
    lose('a');
    await answer('7', 'gone');
    assert.deepEqual(told, ['watch +a']);
    await eventually(() => assert.deepEqual(told, ['watch +a', 'watch -a lost']));
  });

  describe('while the owner of a lost lease may come back', () => {
    for (const [title, act, told] of [
      ['passes the loss on when an address is announced for another service', 'b at 1', 'watch -a lost'],
      ['waits on when another address is announced', 'b at 2', 'watch +a'],
      ['waits on when the owner announces another service again at the same address', 'shared at 1', 'watch +a'],
    ] as const) {
      it(title, async () => {
        const { answer, follower } = judgement({ mayReturnMs: 60_000 });
        const [one, other] = [follower(), follower()];
        one.put('a', '7', 'at 1');
        other.put('shared', '7', 'at 1');
        one.lose('a');
        other.lose('shared');
        await answer('7', 'gone');
        const [key = '', ...value] = act.split(' ');
        other.put(key, '8', value.join(' '));
        await sleep(0);
        assert.deepEqual(one.told.at(-1), told);
      });
    }

    it('does not wait when the address was announced for another service before', async () => {
      const { answer, follower } = judgement({ mayReturnMs: 60_000 });
      const [one, other] = [follower(), follower()];
      one.put('a', '7', 'at 1');
      other.put('b', '8', 'at 1');
      one.lose('a');
      await answer('7', 'gone');
      assert.deepEqual(one.told, ['watch +a', 'watch -a lost']);
    });
  });

  it('waits for each owner of a wave, though the address of the second one was announced when the first one was lost', async () => {
    const { answer, follower } = judgement({ mayReturnMs: 60_000 });
    const { told, put, lose } = follower();
    put('a', '7', 'at 1');
    put('b', '8', 'at 2');
    lose('a');
    await answer('7', 'gone');
    lose('b');
    await answer('8', 'gone');
    assert.deepEqual(told, ['watch +a', 'watch +b']);
  });

  it('does not wait when the lease lives', async () => {
    const { answer, follower } = judgement({ mayReturnMs: 60_000 });
    const { told, put, lose } = follower();
    put('a');
    lose('a');
    await answer('7', 'alive');
    assert.deepEqual(told, ['watch +a', 'watch -a withdrawn']);
  });

  it('passes on the rest of a list as differences while a key waits', () => {
    const { follower } = judgement();
    const { told, put, change } = follower();
    put('a');
    change('relist', [
      { key: 'a', previous: entry('a') },
      { key: 'b', entry: entry('b', '8') },
    ]);
    assert.deepEqual(told, ['watch +a', 'watch +b']);
  });

  it('passes on a first list that is empty', () => {
    const { follower } = judgement();
    const { told, change } = follower();
    change('list', []);
    assert.deepEqual(told, ['list']);
  });

  it('leaves no listener behind when it ends while an owner may return', async () => {
    const { answer, follower, end } = judgement({ mayReturnMs: 60_000 });
    const { told, put, lose } = follower();
    put('a');
    lose('a');
    await answer('7', 'gone');
    assert.equal(getEventListeners(end.signal, 'abort').length, 1);
    end.abort();
    await sleep(0);
    assert.equal(getEventListeners(end.signal, 'abort').length, 0);
    assert.deepEqual(told, ['watch +a']);
  });

  it('passes on nothing after it was ended', async () => {
    const { answer, follower } = judgement();
    const { told, ended, put, lose } = follower();
    put('a');
    lose('a');
    ended.abort();
    await answer('7', 'gone');
    assert.deepEqual(told, ['watch +a']);
  });
});
