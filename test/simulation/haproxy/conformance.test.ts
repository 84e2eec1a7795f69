import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { thisHost } from '../../../common/host.ts';
import { connectRuntime } from '../../../synapse/haproxy/runtime/connection.ts';
import { testHaproxy } from '../../support/haproxy/haproxy.ts';
import { haproxyVersions } from '../../support/haproxy/versions.ts';
import { SimulatedDisk } from '../engine/disk.ts';
import { Scheduler } from '../engine/scheduler.ts';
import { SimulatedHaproxy } from './haproxy.ts';
import { observeHaproxy, scriptConfig } from './script.ts';

async function observeReal(version: (typeof haproxyVersions)[number]): Promise<readonly string[]> {
  const haproxy = await testHaproxy(version);
  const end = new AbortController();
  try {
    await writeFile(haproxy.file, scriptConfig(haproxy.socket));
    await haproxy.start();
    const options = { connectUnix: thisHost.connectUnix, replyTimeoutMs: 30_000 };
    const connection = await connectRuntime(haproxy.socket, options, end.signal);
    return await observeHaproxy((commands) => connection.send(commands));
  } finally {
    end.abort();
    await haproxy.close();
  }
}

async function observeSimulated(version: string): Promise<readonly string[]> {
  const scheduler = new Scheduler(1);
  const disk = new SimulatedDisk(scheduler, ['/etc/haproxy', '/run']);
  disk.plant('/etc/haproxy/haproxy.cfg', scriptConfig('/run/admin.sock'));
  const haproxy = new SimulatedHaproxy(scheduler, 'proxy', disk, () => 'refused', {
    version,
    configPath: '/etc/haproxy/haproxy.cfg',
    socketPath: '/run/admin.sock',
    masterPath: '/run/master.sock',
  });
  assert.ok(haproxy.start());
  const client = scheduler.process('client');
  const end = new AbortController();
  const run = async (): Promise<readonly string[]> => {
    const connectUnix = (path: string) => haproxy.connect(path, client);
    const connection = await connectRuntime('/run/admin.sock', { connectUnix, replyTimeoutMs: 30_000 }, end.signal);
    return observeHaproxy((commands) => connection.send(commands));
  };
  const observed: { lines?: readonly string[]; error?: unknown } = {};
  scheduler.at(0, () => {
    run().then(
      (lines) => {
        observed.lines = lines;
      },
      (error) => {
        observed.error = error;
      },
    );
  });
  await scheduler.run(10_000);
  end.abort();
  if (observed.error !== undefined) throw observed.error;
  assert.ok(observed.lines, 'the script did not come to its end');
  return observed.lines;
}

describe('the simulated HAProxy', () => {
  for (const version of haproxyVersions) {
    it(`gives the same answers as HAProxy ${version}`, async () => {
      const real = await observeReal(version);
      assert.deepEqual(await observeSimulated(version), real);
    });
  }
});
