import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { eventually } from '../../../support/eventually.ts';
import { fakeRuntime, fakeWorker } from '../../../support/haproxy/fake-runtime.ts';
import { instance } from '../../../support/haproxy/haproxy-output.ts';
import { runProcess } from '../../../support/haproxy/running-process.ts';
import { recordingLog } from '../../../support/process/recording-log.ts';

type Answer = (line: string) => string | undefined;

/** A process whose connections lead to one worker after the other. All later connections lead to the last of `order`. */
async function processOver(t: TestContext, order: readonly [Answer, ...Answer[]]) {
  const { log, lines } = recordingLog();
  const paths = new Map<Answer, string>();
  for (const answer of new Set(order)) paths.set(answer, (await fakeRuntime(t, { answer })).path);
  let connections = 0;
  const connectUnix = () => {
    const answer = order[Math.min(connections, order.length - 1)];
    connections += 1;
    return connect({ path: paths.get(answer ?? order[0]) ?? '' });
  };
  const { haproxy } = runProcess(t, {
    log,
    connectUnix,
    options: { port: 1 },
    instances: [instance(1)],
    file: `global\n\tsetenv SYNAPSE_GEN g\nbackend api\n\tserver ${instance(1).id} 127.0.0.1:1\n`,
  });
  return { haproxy, lines, connections: () => connections };
}

const { id } = instance(1);
const up = `3 api 1 ${id} 127.0.0.1 2 0 1 1 0 1 0 0 0 0 0 0 - 1 - 0 0 - - 0`;
const inMaintenance = up.replace('127.0.0.1 2 0', '127.0.0.1 0 1');
const old = fakeWorker({
  pid: 7,
  startedAt: 1_000,
  generation: 'g',
  servers: [up, inMaintenance.replace(id, 'x_127.0.0.1:1')],
});
const successor = fakeWorker({ pid: 8, startedAt: 2_000, generation: 'g', servers: [up] });

describe('a HAProxy that accepts connections and never answers', () => {
  it('does not count as recovered while its reply is awaited', async (t) => {
    const { haproxy, lines, connections } = await processOver(t, [() => undefined]);
    await eventually(() => assert.equal(connections(), 3));
    assert.match(haproxy.reason ?? '', /no reply within 3000 ms/);
    assert.deepEqual(
      lines.map(({ message }) => message),
      ["HAProxy's runtime API at /run/haproxy.sock failed, retrying"],
    );
  });
});

describe('reading a HAProxy again', () => {
  it('resolves to null when it worked, and to the reason when HAProxy answered something else', async (t) => {
    let isDenied = false;
    const worker = (line: string): string =>
      isDenied && line === 'show servers state' ? 'Permission denied\n\n> ' : successor(line);
    const { haproxy } = await processOver(t, [worker]);
    const { signal } = new AbortController();
    assert.equal(await haproxy.refresh({ withinMs: 0 }, signal), null);
    await eventually(() => assert.equal(haproxy.inSync, true));
    assert.equal(await haproxy.refresh({ withinMs: 0 }, signal), null);
    isDenied = true;
    assert.match((await haproxy.refresh({ withinMs: 0 }, signal)) ?? '', /Permission denied/);
    assert.deepEqual([...(haproxy.running.get('api')?.keys() ?? [])], [id]);
  });

  it('ends the connection when HAProxy answered something else, so that no later reply is out of step', async (t) => {
    let isForged = false;
    // As when the replies are out of step: this one belongs to another command.
    const worker = (line: string): string => (isForged && line === 'show servers state' ? 'no\n\n> ' : successor(line));
    const { haproxy, lines, connections } = await processOver(t, [worker]);
    await eventually(() => assert.equal(haproxy.inSync, true));
    assert.equal(connections(), 1);
    isForged = true;
    assert.match((await haproxy.refresh({ withinMs: 0 }, new AbortController().signal)) ?? '', /answered "no/);
    isForged = false;
    await eventually(() => assert.deepEqual([haproxy.inSync, connections() > 1], [true, true]));
    assert.ok(lines.some(({ fields }) => /show servers state answered "no/.test(String(fields.reason))));
    assert.deepEqual([...(haproxy.running.get('api')?.keys() ?? [])], [id]);
  });
});

describe('two workers behind one socket during a reload', () => {
  it('are told apart: a worker that was replaced is not taken for a new one', async (t) => {
    const { haproxy, connections } = await processOver(t, [old, successor, old, old, successor]);
    await eventually(() => assert.deepEqual([haproxy.inSync, haproxy.worker?.pid], [true, 7]));
    haproxy.release();
    await eventually(() => assert.deepEqual([haproxy.inSync, haproxy.worker?.pid], [true, 8]));
    haproxy.release();
    await eventually(() => assert.deepEqual([haproxy.inSync, connections()], [true, 5]));
    assert.deepEqual([haproxy.worker?.pid, haproxy.workersSeen], [8, 2]);
    assert.deepEqual(haproxy.held, []);
  });

  it('are told apart by their start when they have the same pid', async (t) => {
    const restarted = fakeWorker({ pid: 7, startedAt: 3_000, generation: 'g', servers: [up] });
    const { haproxy } = await processOver(t, [old, successor, restarted]);
    await eventually(() => assert.equal(haproxy.inSync, true));
    for (const seen of [2, 3]) {
      haproxy.release();
      await eventually(() => assert.deepEqual([haproxy.inSync, haproxy.workersSeen], [true, seen]));
    }
    assert.equal(haproxy.worker?.pid, 7);
  });
});
