import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Departures } from '../../../synapse/catalog/departures.ts';

describe('departures', () => {
  it('are handed over once, with the services that are applied', () => {
    const departures = new Departures();
    departures.add('api', 'a', { how: 'expired' });
    departures.add('web', 'b', { how: 'withdrawn' });
    assert.deepEqual(departures.take(['api', 'other']), new Map([['api', new Map([['a', { how: 'expired' }]])]]));
    assert.deepEqual(departures.take(undefined), new Map([['web', new Map([['b', { how: 'withdrawn' }]])]]));
    assert.deepEqual(departures.take(undefined), new Map());
  });

  it('that could not be applied are handed over again, unless a newer one is known', () => {
    const departures = new Departures();
    departures.add('api', 'a', { how: 'expired' });
    departures.add('api', 'b', { how: 'expired' });
    const taken = departures.take(['api']);
    departures.add('api', 'a', { how: 'withdrawn' });
    departures.putBack(taken);
    const expected = new Map([
      ['a', { how: 'withdrawn' }],
      ['b', { how: 'expired' }],
    ]);
    assert.deepEqual(departures.take(['api']), new Map([['api', expected]]));
  });
});
