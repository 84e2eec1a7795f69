import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RuntimeConnection } from '../../../../synapse/haproxy/runtime/connection.ts';
import {
  connectionOf,
  nextState,
  notConnected,
  type ProcessEvent,
  reasonOfState,
} from '../../../../synapse/haproxy/runtime/process-state.ts';

const connection = { name: 'a connection' } as unknown as RuntimeConnection;
const connected: ProcessEvent = { type: 'connected', connection };
const read: ProcessEvent = { type: 'read' };
const released: ProcessEvent = { type: 'released' };
const closed: ProcessEvent = { type: 'closed' };
const failed: ProcessEvent = { type: 'failed', reason: 'connect ENOENT' };

describe('the state of a HAProxy process', () => {
  const cases: readonly (readonly [string, readonly ProcessEvent[], string, string | null])[] = [
    ['starts without a connection', [], 'connecting', null],
    ['is reading once connected', [connected], 'reading', null],
    ['is in sync once read', [connected, read], 'in sync', null],
    ['has a reason once connecting failed', [closed, failed], 'connecting', 'connect ENOENT'],
    ['keeps the reason until what runs was read', [failed, connected], 'reading', 'connect ENOENT'],
    [
      'keeps the reason when the connection ends while reading',
      [failed, connected, closed],
      'connecting',
      'connect ENOENT',
    ],
    ['forgets the reason once in sync', [failed, connected, read, closed], 'connecting', null],
    ['is released when we close the connection', [connected, read, released], 'released', null],
    ['connects again after a release', [connected, read, released, closed, connected, read], 'in sync', null],
    ['is not released without a connection', [failed, released], 'connecting', 'connect ENOENT'],
    ['is not in sync without a connection', [read], 'connecting', null],
  ];
  for (const [what, events, name, reason] of cases) {
    it(what, () => {
      const state = events.reduce(nextState, notConnected);
      assert.deepEqual([state.name, reasonOfState(state)], [name, reason]);
      const hasConnection = name === 'reading' || name === 'in sync';
      assert.equal(connectionOf(state), hasConnection ? connection : undefined);
    });
  }
});
