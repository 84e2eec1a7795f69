import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { ConfigError } from '../../common/config/problem.ts';
import { serviceLogLimit } from '../../common/daemon/limited-log.ts';
import type { Log } from '../../common/daemon/log.ts';
import { createEtcdClient } from '../../common/etcd/client/client.ts';
import type { NerveConfig } from '../../nerve/config/config.ts';
import { NerveDaemon } from '../../nerve/daemon.ts';
import { healthSwitch, nerveConfig, serviceConfig } from '../support/daemons/nerve-service.ts';
import { eventually } from '../support/eventually.ts';
import { memoryFiles } from '../support/machine/memory-files.ts';
import { recordingLog } from '../support/process/recording-log.ts';

/** A whole nerve in this process: its files are in memory, its checks are the test's, and etcd is unreachable. */
async function startDaemon(t: TestContext, configs: readonly (() => NerveConfig)[]) {
  const files = memoryFiles();
  const { log, lines } = recordingLog();
  const dialled: string[] = [];
  let etcdLog: Log | undefined;
  const next = configs.values();
  const daemon = await NerveDaemon.start({
    log,
    version: '1.0.0',
    files,
    openEtcd: (options, deps, signal) => {
      etcdLog = deps.log;
      const dial = ({ url }: { readonly url: string }): never => {
        dialled.push(url);
        throw new Error('there is no etcd here');
      };
      return createEtcdClient(options, { ...deps, dial }, signal);
    },
    loadConfig: async () => {
      const load = next.next().value ?? assert.fail('read once too often');
      return load();
    },
    owner: { program: 'nerve', configFile: undefined, env: {} },
  });
  let down: Promise<void> | undefined;
  const shutDown = (): Promise<void> => (down ??= daemon.shutDown());
  t.after(shutDown);
  return { daemon, files, lines, dialled, shutDown, log: () => etcdLog ?? assert.fail('etcd is not open') };
}

const admin = { listen: false, hosts: [], control_socket: false, control_socket_mode: 0o600 } as const;

describe('NerveDaemon', () => {
  it('runs on the files, the etcd and the checks that are handed in', async (t) => {
    const api = healthSwitch();
    const paths = { stateFile: '/state/nerve.json', heartbeatPath: '/run/heartbeat' };
    const config = nerveConfig([serviceConfig('api', [api.probe])], { admin, ...paths });
    const { daemon, files, lines, dialled, shutDown } = await startDaemon(t, [() => config]);
    await eventually(() => assert.equal(daemon.nerve.services.get('api')?.state, 'announced'));
    await eventually(() => assert.deepEqual([...new Set(dialled)], ['http://127.0.0.1:2379']));
    assert.match(daemon.nerve.notReadyReason ?? '', /^no lease in etcd/);
    assert.ok(files.all.has('/run/heartbeat'));
    daemon.nerve.drain('api', true);
    await eventually(() => assert.match(files.all.get('/state/nerve.json')?.text ?? '', /^\{"drained":\{"api":"2/));
    await shutDown();
    assert.equal(daemon.nerve.notReadyReason, 'shutting down');
    assert.equal(lines.at(-1)?.message, 'nerve ended');
  });

  it('writes a bounded number of lines when others change its keys again and again', async (t) => {
    const config = nerveConfig([serviceConfig('api', [healthSwitch().probe])], { admin });
    const { lines, log } = await startDaemon(t, [() => config]);
    const message = 'etcd keys were deleted or changed by others, repairing them';
    for (let count = 0; count < 1_000; count += 1) log().warn(message, { keys: 1 });
    const written = lines.filter((line) => line.message === message).length;
    // One more for each second that the test takes.
    assert.ok(written >= serviceLogLimit.burst && written < 2 * serviceLogLimit.burst, String(written));
  });

  it('applies a new configuration, and keeps it when the next one is invalid', async (t) => {
    const withService = (name: string) => () => nerveConfig([serviceConfig(name, [])], { admin });
    const invalid = (): never => {
      throw new ConfigError([{ path: 'ttl', message: 'must be a time' }]);
    };
    const { daemon, lines } = await startDaemon(t, [
      withService('api'),
      withService('web'),
      invalid,
      withService('web'),
    ]);
    daemon.reload();
    daemon.reload();
    const refused = 'the new configuration is invalid, the old one stays in force';
    await eventually(() => assert.ok(lines.some(({ message }) => message === refused)));
    assert.deepEqual([...daemon.nerve.services.keys()], ['web']);
    assert.equal(daemon.configRefused, 'ttl: must be a time');
    daemon.reload();
    await eventually(() => assert.equal(daemon.configRefused, undefined));
  });
});
