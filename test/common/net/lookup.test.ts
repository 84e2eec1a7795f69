import assert from 'node:assert/strict';
import type { LookupAddress } from 'node:dns';
import { connect, type LookupFunction } from 'node:net';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { sharedLookup, shareLookups } from '../../../common/net/lookup.ts';
import { startPeer } from '../../support/servers/bad-peers.ts';

type Answer = Parameters<LookupFunction>[2];

describe('a shared lookup', () => {
  it('makes one lookup for all calls at the same time, and a new one afterwards', () => {
    const asked: { readonly name: string; readonly answer: Answer }[] = [];
    const look = shareLookups((name, _, answer) => asked.push({ name, answer: answer as Answer }));
    const got: unknown[] = [];
    const ask = (name: string, family = 0): void => {
      look(name, { family, all: true }, (error, found) => got.push([name, family, error?.code ?? found]));
    };
    for (let i = 0; i < 1_000; i++) ask('hangs.test');
    ask('other.test');
    ask('other.test', 6);
    assert.deepEqual(
      asked.map(({ name }) => name),
      ['hangs.test', 'other.test', 'other.test'],
    );
    const found: LookupAddress[] = [{ address: '10.0.0.1', family: 4 }];
    asked[1]?.answer(null, found);
    assert.deepEqual(got, [['other.test', 0, found]]);
    asked[0]?.answer(Object.assign(new Error('later'), { code: 'EAI_AGAIN' }), []);
    assert.equal(got.length, 1_001);
    assert.deepEqual(got.at(-1), ['hangs.test', 0, 'EAI_AGAIN']);
    ask('hangs.test');
    assert.equal(asked.length, 4);
  });

  it('answers all waiting sockets, also when one of them was destroyed', async () => {
    const answers: Answer[] = [];
    const look = shareLookups((_name, _options, answer) => answers.push(answer as Answer));
    const controller = new AbortController();
    const gone = connect({ host: 'hangs.test', port: 1, lookup: look, signal: controller.signal });
    gone.on('error', () => {});
    const peer = await startPeer(() => {});
    try {
      const stays = connect({ host: 'hangs.test', port: peer.port, lookup: look });
      const connected = new Promise((resolve, reject) => stays.once('connect', resolve).once('error', reject));
      await delay(0);
      controller.abort();
      assert.equal(answers.length, 1);
      answers[0]?.(null, [{ address: '127.0.0.1', family: 4 }]);
      await connected;
      assert.equal(gone.destroyed, true);
      stays.destroy();
    } finally {
      await peer.close();
    }
  });

  it('finds the same addresses as the system', async () => {
    const found = await new Promise((resolve, reject) => {
      sharedLookup('127.0.0.1', { all: true }, (error, addresses) => (error ? reject(error) : resolve(addresses)));
    });
    assert.deepEqual(found, [{ address: '127.0.0.1', family: 4 }]);
  });
});
