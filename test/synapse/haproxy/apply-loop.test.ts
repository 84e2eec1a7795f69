import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLog } from '../../../common/daemon/log.ts';
import { ApplyLoop, type ApplyLoopDeps, type Change } from '../../../synapse/haproxy/apply-loop.ts';
import type { FileUse } from '../../../synapse/haproxy/options/config.ts';
import { Scheduler } from '../../simulation/engine/scheduler.ts';
import { eventually } from '../../support/eventually.ts';

describe('the loop that writes the file and reloads', () => {
  it('does not reload when the reason is gone once the file is written', async () => {
    const end = new AbortController();
    const done: string[] = [];
    let isDue = true;
    const deps: ApplyLoopDeps = {
      log: silentLog,
      processes: [],
      use: 'merged',
      serviceReloadIntervalMs: 0,
      writer: {
        observe: () => false,
        writtenAt: undefined,
        write: async () => {
          done.push('written');
          // HAProxy has come back meanwhile.
          isDue = false;
        },
      },
      reloader: {
        observe: () => (isDue ? 0 : undefined),
        reload: async () => {
          done.push('reloaded');
        },
        run: async () => {},
      },
    };
    const loop = new ApplyLoop(deps);
    const running = loop.run(end.signal);
    await eventually(() => assert.ok(done.length > 0));
    loop.touch();
    await eventually(() => assert.ok(done.length > 1));
    end.abort();
    await running;
    assert.deepEqual(done, ['written', 'written']);
  });

  it('writes what came during the write before it decides about the reload', async () => {
    const end = new AbortController();
    const done: string[] = [];
    const deps: ApplyLoopDeps = {
      log: silentLog,
      processes: [],
      use: 'merged',
      serviceReloadIntervalMs: 0,
      writer: {
        observe: () => false,
        writtenAt: undefined,
        write: async () => {
          done.push('written');
          if (done.length === 1) loop.touch();
        },
      },
      reloader: {
        observe: () => (done.length < 2 ? 0 : undefined),
        reload: async () => {
          done.push('reloaded');
        },
        run: async () => {},
      },
    };
    const loop = new ApplyLoop(deps);
    const running = loop.run(end.signal);
    await eventually(() => assert.ok(done.length > 1));
    end.abort();
    await running;
    assert.deepEqual(done, ['written', 'written']);
  });

  /** A loop whose writes end when the test lets them. */
  function heldLoop(use: ApplyLoopDeps['use'] = 'merged') {
    const end = new AbortController();
    const writes: { readonly end: () => void; readonly fail: (error: Error) => void }[] = [];
    const loop = new ApplyLoop({
      log: silentLog,
      processes: [],
      use,
      serviceReloadIntervalMs: 0,
      writer: {
        observe: () => false,
        writtenAt: undefined,
        write: () => new Promise<void>((resolve, reject) => writes.push({ end: resolve, fail: reject })),
      },
      reloader: { observe: () => undefined, reload: async () => {}, run: async () => {} },
    });
    const running = loop.run(end.signal).catch(() => {});
    const stop = async (): Promise<void> => {
      end.abort();
      for (const write of writes) write.end();
      await running;
    };
    return { loop, writes, stop };
  }
  /** Whether a promise has resolved once all that is due has run. */
  async function isOver(promise: Promise<void>): Promise<boolean> {
    let over = false;
    void promise.then(() => {
      over = true;
    });
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    return over;
  }
  const hour = 3_600_000;
  const never = new AbortController().signal;

  it('has who waits for the file wait for what came during a write too, and not for what comes later', async () => {
    const { loop, writes, stop } = heldLoop();
    assert.equal(await isOver(loop.written(hour, never)), true);
    loop.touch();
    loop.hurry();
    await eventually(() => assert.equal(writes.length, 1));
    const first = loop.written(hour, never);
    loop.touch();
    const second = loop.written(hour, never);
    writes[0]?.end();
    await first;
    assert.equal(await isOver(second), false);
    await eventually(() => assert.equal(writes.length, 2));
    loop.touch();
    writes[1]?.end();
    await second;
    await stop();
  });

  it('has who waits for the file go on when it cannot be written, when the time is over and at the signal', async () => {
    const { loop, writes, stop } = heldLoop();
    loop.touch();
    const failing = loop.written(hour, never);
    await eventually(() => assert.equal(writes.length, 1));
    await loop.written(1, never);
    await loop.written(hour, AbortSignal.abort());
    writes[0]?.fail(new Error('disk full'));
    await failing;
    assert.match(String(loop.reason), /disk full/);
    await stop();
  });

  for (const [use, writes] of [
    ['merged', 1],
    ['watched', 0],
  ] as const) {
    it(`writes a drain ${writes === 1 ? 'at once' : 'later, because it costs a reload,'} where the file is ${use}`, async () => {
      const held = heldLoop(use);
      held.loop.touch({ urgent: false, services: ['api'], drains: true });
      await eventually(() => assert.equal(held.loop.isDirty, true));
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
      assert.equal(held.writes.length, writes);
      await held.stop();
    });
  }
});

describe('writes of the file, where each is a reload', () => {
  interface Case {
    readonly title: string;
    readonly use: FileUse;
    readonly urgent: boolean;
    readonly serviceReloadIntervalMs?: number;
    /** `api` does not change. */
    readonly quiet?: boolean;
    /** Writes in ten minutes, about. */
    readonly writes: number;
    /** Services that wait at the end. */
    readonly waiting: readonly string[];
  }
  const cases: readonly Case[] = [
    {
      title: 'are 20 for one service that changes all the time, and then three in service_reload_interval',
      use: 'only',
      urgent: false,
      writes: 20 + 10 * 6,
      waiting: ['api'],
    },
    {
      title: 'are as many as its writers want with service_reload_interval 0, one per second at most',
      use: 'only',
      urgent: false,
      serviceReloadIntervalMs: 0,
      writes: 600,
      waiting: [],
    },
    {
      title:
        'are two per minute for a published configuration that changes all the time, where a program watches the file',
      use: 'watched',
      urgent: true,
      writes: 3 + 10 * 2,
      waiting: ['api'],
    },
    {
      title: 'are two per minute for changes that are live already, where a program watches the file',
      use: 'watched',
      urgent: false,
      writes: 10 * 2,
      waiting: [],
    },
  ];
  /** Runs a loop for ten minutes in which `api` changes every 0.7 s. `other`: what happens once, in the middle. */
  async function tenMinutes({ use, urgent, serviceReloadIntervalMs = 30_000, quiet }: Case, other?: Change) {
    const scheduler = new Scheduler(1);
    const end = new AbortController();
    const written: number[] = [];
    let changes = 0;
    let inFile = 0;
    const loop = new ApplyLoop({
      log: silentLog,
      processes: [],
      use,
      serviceReloadIntervalMs,
      writer: {
        observe: () => false,
        get writtenAt() {
          return written.length === 0 ? undefined : new Date(written.length);
        },
        write: async () => {
          if (inFile === changes) return;
          inFile = changes;
          written.push(scheduler.now());
        },
      },
      reloader: { observe: () => undefined, reload: async () => {}, run: async () => {} },
    });
    const change = (one: Change): void => {
      changes += 1;
      loop.touch(one);
    };
    for (let at = 0; at < 600_000 && !quiet; at += 700) scheduler.at(at, () => change({ urgent, services: ['api'] }));
    const middle = 300_001;
    if (other !== undefined) scheduler.at(middle, () => change(other));
    let running = Promise.resolve();
    scheduler.at(0, () => {
      running = loop.run(end.signal);
    });
    let waiting: readonly string[] = [];
    scheduler.at(595_000, () => {
      waiting = [...loop.waiting.keys()];
      end.abort();
    });
    await scheduler.run(600_000);
    await running;
    return { writes: written.length, waiting, waitedMs: (written.find((at) => at >= middle) ?? 0) - middle };
  }
  for (const each of cases) {
    it(each.title, async () => {
      const { writes, waiting } = await tenMinutes(each);
      assert.ok(Math.abs(writes - each.writes) <= each.writes / 20, `${writes} writes`);
      assert.deepEqual(waiting, each.waiting);
    });
  }

  const [flapping, , published] = cases as [Case, Case, Case];
  for (const [title, each, other] of [
    ['of another service', flapping, { urgent: false, services: ['web'] }],
    ['of no service at all', { ...flapping, quiet: true }, { urgent: false, services: [] }],
    ['of the configuration', flapping, { urgent: true, services: undefined }],
    ['of the configuration, where a program watches the file', published, { urgent: true, services: undefined }],
  ] as const) {
    it(`do not wait for the budget of a service when there is a change ${title}`, async () => {
      const { waitedMs } = await tenMinutes(each, other);
      assert.ok(waitedMs <= 1_000, `${waitedMs} ms`);
    });
  }
});
