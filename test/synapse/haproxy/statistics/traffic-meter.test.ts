import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { silentLog } from '../../../../common/daemon/log.ts';
import { TrafficMeter } from '../../../../synapse/haproxy/statistics/traffic-meter.ts';
import { stopClock } from '../../../support/stopped-clock.ts';

describe('the meter of traffic', () => {
  let restore = (): void => {};
  afterEach(() => restore());

  it('reads again within the minute that it tells of when HAProxy has not answered in time', async () => {
    const stopped = stopClock();
    restore = stopped.restore;
    const connectUnix = (): never => {
      stopped.now += 3_000;
      throw new Error('no reply within 3000 ms');
    };
    const sockets = () => ['/run/haproxy.sock'];
    const meter = new TrafficMeter({ log: silentLog, host: { connectUnix }, sockets, onStep() {} });
    const end = new AbortController();
    const done = meter.run(end.signal);
    await new Promise(setImmediate);
    end.abort();
    await done;
    assert.deepEqual(stopped.delays, [30_000]);
  });
});
