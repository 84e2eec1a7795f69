import assert from 'node:assert/strict';
import type { LookupAddress } from 'node:dns';
import { connect, type LookupFunction } from 'node:net';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { lookUpWith, sharedLookup, shareLookups } from '../../../common/net/lookup.ts';
import { startPeer } from '../../support/servers/bad-peers.ts';
import { until } from '../../support/until.ts';

type Answer = Parameters<LookupFunction>[2];

describe('a lookup for sockets', () => {
  const absent = Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
  const timedOut = Object.assign(new Error('no answer'), { code: 'ETIMEOUT' });
  const noServer = Object.assign(new Error('no name server'), { code: 'ECONNREFUSED' });
  const both = ['10.0.0.1', '2001:db8::1'];
  const cases: readonly (readonly [
    title: string,
    dns: readonly string[] | Error,
    options: { readonly family?: number; readonly all?: boolean },
    said: unknown,
    asksSystem: boolean,
  ])[] = [
    ['takes what the DNS has', ['10.0.0.1'], { all: true }, [{ address: '10.0.0.1', family: 4 }], false],
    ['takes the first address where one is wanted', both, {}, '10.0.0.1', false],
    ['takes addresses of one family', both, { family: 6 }, '2001:db8::1', false],
    ['asks the system for a family that the DNS does not have', ['10.0.0.1'], { family: 6 }, '::9', true],
    ['asks the system for a name that the DNS does not have', absent, { family: 6 }, '::9', true],
    ['asks the system where no name server listens', noServer, { all: true }, [{ address: '::9', family: 6 }], true],
    ['does not ask the system when the DNS does not answer', timedOut, {}, 'ETIMEOUT', false],
  ];
  for (const [title, dns, options, said, asksSystem] of cases) {
    it(title, async () => {
      const asked: string[] = [];
      const look = lookUpWith(
        async () => {
          if (dns instanceof Error) throw dns;
          return { addresses: dns, ttlSeconds: 1 };
        },
        (name, _, answer) => {
          asked.push(name);
          answer(null, [{ address: '::9', family: 6 }]);
        },
      );
      const got = await new Promise((resolve) => {
        look('api.test', options, (error, found) => resolve(error?.code ?? found));
      });
      assert.deepEqual(got, said);
      assert.deepEqual(asked, asksSystem ? ['api.test'] : []);
    });
  }

  it('calls the system for two names at one time at most, while the DNS is asked for others', async () => {
    const hanging: Answer[] = [];
    const look = lookUpWith(
      async (name) => {
        if (name.startsWith('hang')) throw absent;
        return { addresses: ['10.0.0.1'], ttlSeconds: 1 };
      },
      (_name, _options, answer) => hanging.push(answer as Answer),
    );
    const answered: string[] = [];
    const ask = (name: string): void => look(name, { all: true }, () => answered.push(name));
    for (let index = 0; index < 9; index += 1) ask(`hang${index}.test`);
    ask('good.test');
    await until(() => answered.includes('good.test'));
    assert.equal(hanging.length, 2);
    hanging[0]?.(null, []);
    await until(() => hanging.length === 3);
  });
});

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
