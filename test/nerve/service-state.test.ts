import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nextServiceState, type ServiceEvent, type ServiceState } from '../../nerve/service-state.ts';
import type { Health } from '../../nerve/status-shape.ts';

function changed(health: Health, { drained = false, replacing = false } = {}): ServiceEvent {
  return { kind: 'changed', health, drained, replacing };
}

const stop: ServiceEvent = { kind: 'stop' };
const retire: ServiceEvent = { kind: 'retire' };

describe('nextServiceState', () => {
  const lives: readonly [sentence: string, events: readonly ServiceEvent[], states: readonly ServiceState[]][] = [
    ['a new service is announced when it is up', [changed('unknown'), changed('up')], ['starting', 'announced']],
    [
      'a service that goes down is withdrawn until it is up again',
      [changed('up'), changed('down'), changed('up')],
      ['announced', 'withdrawn', 'announced'],
    ],
    [
      'a service that replaces another takes over before it counts as announced',
      [changed('up', { replacing: true }), changed('up')],
      ['taking-over', 'announced'],
    ],
    [
      'a service that replaces another and is down does not take over',
      [changed('down', { replacing: true }), changed('down')],
      ['withdrawn', 'withdrawn'],
    ],
    [
      'a drained service drains while it is up',
      [changed('up', { drained: true }), changed('down', { drained: true }), changed('up')],
      ['draining', 'withdrawn', 'announced'],
    ],
    [
      'a stopped service ignores its health',
      [changed('up'), stop, changed('down')],
      ['announced', 'stopping', 'stopping'],
    ],
    [
      'a retired service stays retired',
      [stop, retire, changed('up'), stop],
      ['stopping', 'retired', 'retired', 'retired'],
    ],
  ];
  for (const [sentence, events, states] of lives) {
    it(sentence, () => {
      let state: ServiceState = 'starting';
      const seen = events.map((event) => {
        state = nextServiceState(state, event);
        return state;
      });
      assert.deepEqual(seen, states);
    });
  }
});
