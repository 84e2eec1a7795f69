import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { registry } from '../../../common/daemon/metrics.ts';
import { ThrottledAnnouncement } from '../../../nerve/announce/throttled-announcement.ts';
import type { RateLimit } from '../../../nerve/config/rate-limit.ts';
import { serviceConfig } from '../../support/daemons/nerve-service.ts';
import { eventually } from '../../support/eventually.ts';

function start(t: TestContext, rateLimit: RateLimit, name = 'api') {
  const calls: string[] = [];
  const end = new AbortController();
  t.after(() => end.abort());
  const config = serviceConfig(name, [], { rateLimit });
  const announcer = {
    announce: (_: string, { state }: { readonly state: string }) => void calls.push(state),
    withdraw: () => void calls.push('-'),
  };
  const announcement = new ThrottledAnnouncement(config, announcer, end.signal);
  const drained = { ...config.instance, state: 'drain' } as const;
  return { announcement, calls, instance: config.instance, drained, end };
}

/** A limit that never gives a token. */
const none: RateLimit = { shadow: false, averageRate: 0, maxBurst: 1 };

describe('ThrottledAnnouncement', () => {
  it('never delays the first announcement or a withdrawal', (t) => {
    const { announcement, calls, instance } = start(t, none);
    announcement.show(null);
    announcement.show(instance);
    announcement.show(null);
    assert.deepEqual(calls, ['-', 'up', '-']);
    announcement.show(instance);
    announcement.show(null);
    assert.deepEqual(calls, ['-', 'up', '-', '-'], 'a flapping service stays withdrawn');
    assert.equal(announcement.heldBack, false);
    announcement.show(instance);
    assert.equal(announcement.heldBack, true);
  });

  it('never delays a request of an operator', (t) => {
    const { announcement, calls, instance, drained } = start(t, none);
    announcement.show(instance);
    announcement.show(drained, { operator: true });
    announcement.show(instance, { operator: true });
    assert.deepEqual(calls, ['up', 'drain', 'up']);
  });

  it('announces the latest record as soon as there is a token', async (t) => {
    const { announcement, calls, instance, drained } = start(t, { shadow: false, averageRate: 20, maxBurst: 1 });
    announcement.show(instance);
    announcement.show(null);
    announcement.show(instance);
    announcement.show(drained);
    assert.deepEqual(calls, ['up', '-']);
    await eventually(() => assert.deepEqual(calls, ['up', '-', 'drain']));
    assert.equal(announcement.heldBack, false);
  });

  it('makes no request after its signal has aborted', (t) => {
    const { announcement, calls, instance, end } = start(t, none);
    announcement.show(instance);
    announcement.show(null);
    announcement.show(instance);
    end.abort();
    announcement.show(null);
    assert.deepEqual([calls, announcement.heldBack], [['up', '-'], false]);
  });

  it('counts and delays nothing in shadow mode', async (t) => {
    const { announcement, calls, instance } = start(t, { ...none, shadow: true }, 'shadowed');
    for (let i = 0; i < 3; i++) announcement.show(instance);
    assert.deepEqual(calls, ['up', 'up', 'up']);
    assert.match(await registry.metrics(), /nerve_throttled_total\{service="shadowed",shadow="true"\} 3/);
  });
});
