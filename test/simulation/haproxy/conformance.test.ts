import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { describe, it } from 'node:test';
import { type Host, thisHost } from '../../../common/host.ts';
import { askWorker, masterState, masterWorkers, reloadMaster } from '../../../synapse/haproxy/reload/master.ts';
import { connectRuntime } from '../../../synapse/haproxy/runtime/connection.ts';
import { eventually } from '../../support/eventually.ts';
import { testHaproxy } from '../../support/haproxy/haproxy.ts';
import { type HaproxyVersion, haproxyVersions } from '../../support/haproxy/versions.ts';
import { SimulatedDisk } from '../engine/disk.ts';
import { Scheduler } from '../engine/scheduler.ts';
import { refusedWord } from './config.ts';
import { SimulatedHaproxy } from './haproxy.ts';
import { type HaproxyTarget, observeMaster, type ScriptClient } from './master-script.ts';
import { clientsSocket, observeHaproxy, type Send, scriptConfig } from './script.ts';

/** What both kinds of HAProxy offer the scripts: `send` uses one connection all the time. */
interface Observable extends HaproxyTarget {
  readonly send: Send;
}

type Script = (target: Observable) => Promise<readonly string[]>;

const scripts: readonly (readonly [what: string, script: Script])[] = [
  ['commands', ({ send }) => observeHaproxy(send)],
  ['reloads', observeMaster],
];

/** Connects by the daemon's own code. */
function target(
  paths: { readonly socket: string; readonly master: string },
  host: Pick<Host, 'connectUnix'>,
  { write, openClient }: Pick<HaproxyTarget, 'write' | 'openClient'>,
  signal: AbortSignal,
): Observable {
  const master = { host, timeoutMs: 20_000 };
  const options = { connectUnix: host.connectUnix, replyTimeoutMs: 30_000 };
  const connect = async () => {
    const connection = await connectRuntime(paths.socket, options, signal);
    return { send: (commands: readonly string[]) => connection.send(commands), close: () => connection.close() };
  };
  let kept: ReturnType<typeof connect> | undefined;
  return {
    write,
    openClient,
    connect,
    send: async (commands) => {
      kept ??= connect();
      return (await kept).send(commands);
    },
    reload: () => reloadMaster(paths.master, master, signal),
    oldWorkers: async () => (await masterWorkers(paths.master, master, signal)).old,
    askWorker: (pid, commands) => askWorker(paths.master, { pid, commands }, master, signal),
    showProc: () => masterState(paths.master, host, signal),
  };
}

async function observeReal(version: HaproxyVersion, script: Script): Promise<readonly string[]> {
  const haproxy = await testHaproxy(version);
  const end = new AbortController();
  const write = (kind: 'good' | 'refused') =>
    writeFile(haproxy.file, scriptConfig(haproxy.socket, kind === 'good' ? [] : ['\tnonsense word']));
  try {
    await write('good');
    await haproxy.start();
    const openClient = () => openRealClient(clientsSocket(haproxy.socket));
    return await script(target(haproxy, thisHost, { write, openClient }, end.signal));
  } finally {
    end.abort();
    await haproxy.close();
  }
}

/** A client over a unix socket. Its servers do not answer: each request gets 503. */
async function openRealClient(path: string): Promise<ScriptClient> {
  const socket = createConnection(path);
  await once(socket, 'connect');
  return {
    async isClosedAfterRequest() {
      let answer = '';
      socket.on('data', (chunk) => {
        answer += chunk;
      });
      socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
      await eventually(() => assert.match(answer, /^HTTP\/1\.1 503 .*\r\n\r\n/s));
      return /^connection: close\r$/im.test(answer);
    },
    close: () => socket.destroy(),
  };
}

const simulated = {
  config: '/etc/haproxy/haproxy.cfg',
  socket: '/run/admin.sock',
  master: '/run/master.sock',
} as const;

async function observeSimulated(version: string, script: Script): Promise<readonly string[]> {
  const scheduler = new Scheduler(1);
  const disk = new SimulatedDisk(scheduler, ['/etc/haproxy', '/run']);
  const write = async (kind: 'good' | 'refused') =>
    disk.plant(simulated.config, scriptConfig(simulated.socket, kind === 'good' ? [] : [`\t${refusedWord}`]));
  await write('good');
  const haproxy = new SimulatedHaproxy(scheduler, 'proxy', disk, () => 'refused', {
    version,
    configPath: simulated.config,
    socketPath: simulated.socket,
    masterPath: simulated.master,
  });
  assert.ok(haproxy.start());
  const client = scheduler.process('client');
  const end = new AbortController();
  const host = { connectUnix: (path: string) => haproxy.connect(path, client) };
  const openClient = async (): Promise<ScriptClient> => {
    const client = haproxy.openClient('api');
    assert.ok(client);
    return {
      isClosedAfterRequest: async () => {
        client.request();
        return !client.isOpen;
      },
      close: () => client.close(),
    };
  };
  const observed: { lines?: readonly string[]; error?: unknown } = {};
  scheduler.at(0, () => {
    script(target(simulated, host, { write, openClient }, end.signal)).then(
      (lines) => {
        observed.lines = lines;
      },
      (error) => {
        observed.error = error;
      },
    );
  });
  await scheduler.run(60_000);
  end.abort();
  if (observed.error !== undefined) throw observed.error;
  assert.ok(observed.lines, 'the script did not come to its end');
  return observed.lines;
}

/** The number in the packages of Debian that a version stands for. */
const numbers: Readonly<Record<HaproxyVersion, string>> = {
  '2.6': '2.6.12',
  '3.0': '3.0.11',
  '3.2': '3.2.26',
  '3.4': '3.4.7',
};

describe('the simulated HAProxy', () => {
  for (const version of haproxyVersions) {
    for (const [what, script] of scripts) {
      it(`answers ${what} as HAProxy ${version} does`, async () => {
        const real = await observeReal(version, script);
        assert.deepEqual(await observeSimulated(numbers[version], script), real);
      });
    }
  }
});
