import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Counters } from '../../../../synapse/haproxy/statistics/server-shape.ts';
import { sumTraffic, TrafficHistory } from '../../../../synapse/haproxy/statistics/traffic-history.ts';

const zero: Counters = {
  ...{ status: 'UP', current: 0, queued: 0, sessions: 0, requests: 0 },
  ...{ errors: 0, failed: 0, retries: 0, active: 1, backup: 0 },
};
const reading = (fields: Partial<Counters>) => new Map([['api', { ...zero, ...fields }]]);

describe('what became of the requests of the last minute', () => {
  it('is not known before the second reading, and what was counted before the first is left out', () => {
    const history = new TrafficHistory();
    assert.equal(history.take(reading({ requests: 900, failed: 9, errors: 9 }), 1_000).size, 0);
    assert.equal(history.of('api', 1_000), undefined);
    history.take(reading({ requests: 910, failed: 10, errors: 12, retries: 3, queued: 2 }), 6_000);
    assert.deepEqual(history.of('api', 6_000), {
      ...{ seconds: 5, requests: 10, failed: 1, server_errors: 2, retries: 3, queued: 2 },
    });
    assert.equal(history.of('web', 6_000), undefined, 'HAProxy does not have it');
  });

  it('forgets what is older than a minute', () => {
    const history = new TrafficHistory();
    for (let second = 0; second <= 120; second += 10) {
      history.take(
        reading({ requests: second, failed: Math.min(second, 20), errors: Math.min(second, 20) }),
        second * 1_000,
      );
    }
    const { seconds, requests, failed } = history.of('api', 120_000) ?? {};
    assert.deepEqual([seconds, requests, failed], [60, 60, 0]);
    assert.equal(history.of('api', 181_000), undefined, 'HAProxy has not answered for a minute');
  });

  it('counts all that a new worker has counted, because it begins at zero', () => {
    const history = new TrafficHistory();
    history.take(reading({ requests: 100, failed: 5, errors: 5 }), 0);
    history.take(reading({ requests: 7, failed: 2, errors: 3 }), 5_000);
    const { requests, failed, server_errors: errors } = history.of('api', 5_000) ?? {};
    assert.deepEqual([requests, failed, errors], [7, 2, 1]);
  });

  it('counts connections where there are no requests, in TCP mode', () => {
    const history = new TrafficHistory();
    history.take(reading({ requests: null, sessions: 4 }), 0);
    assert.deepEqual(
      [...history.take(reading({ requests: null, sessions: 6 }), 1_000).values()].map(({ requests }) => requests),
      [2],
    );
  });

  it('is added up over several processes', () => {
    const one = { seconds: 60, requests: 1, failed: 2, server_errors: 3, retries: 4, queued: 5 };
    assert.equal(sumTraffic([]), undefined);
    assert.deepEqual(sumTraffic([one, { ...one, seconds: 10 }]), {
      ...{ seconds: 60, requests: 2, failed: 4, server_errors: 6, retries: 8, queued: 10 },
    });
  });
});
