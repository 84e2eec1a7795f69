import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep } from '../../../common/async/sleep.ts';
import { findProgram } from '../../../deploy/tools/debian/programs.ts';
import { eventually } from '../eventually.ts';
import type { HaproxyVersion } from './versions.ts';

/** A HAProxy in master-worker mode, in a folder of its own. Nothing runs until `start`. */
export interface TestHaproxy {
  readonly program: string;
  readonly folder: string;
  readonly file: string;
  /** The runtime API. */
  readonly socket: string;
  readonly master: string;
  /** Starts it from the file that is there, and waits for its master. */
  start(): Promise<void>;
  /** The same from a file that serves nothing, as before the first one that synapse writes. */
  startEmpty(): Promise<void>;
  /** Ends master and workers at once. */
  kill(): Promise<void>;
  /** Process ids: the master's, then its workers'. */
  pids(): Promise<readonly number[]>;
  /** One command on a connection of its own. */
  ask(command: string): Promise<string>;
  /** The worker in charge. */
  workerPid(): Promise<number>;
  /** The rows of `show servers state`, by `backend/server`, as columns by title. */
  servers(): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>>;
  /** Ends it and removes the folder. */
  close(): Promise<void>;
}

/** Prepares a folder for a HAProxy, of the version on this machine or of another one. @throws when it cannot be had */
export async function testHaproxy(version?: HaproxyVersion): Promise<TestHaproxy> {
  const program = await findProgram('haproxy', version === undefined ? {} : { version });
  const folder = await mkdtemp(join(tmpdir(), 'haproxy-test-'));
  const etc = join(folder, 'etc');
  await mkdir(etc);
  const file = join(etc, 'haproxy.cfg');
  const socket = join(folder, 'admin.sock');
  const master = join(folder, 'master.sock');
  let child: ChildProcess | undefined;
  let output = '';

  const ask = (command: string): Promise<string> => askSocket(socket, command);
  const pids = async (timeout?: number): Promise<readonly number[]> => {
    if (child?.pid === undefined) return [];
    const proc = await askSocket(master, 'show proc;quit', timeout);
    return [...proc.matchAll(/^(\d+)\s+(?:master|worker)/gm)].map((match) => Number(match[1]));
  };
  const kill = async (): Promise<void> => {
    const running = child;
    if (running?.pid === undefined || running.exitCode !== null || running.signalCode !== null) return;
    // Its own process group: workers end with the master, stopped ones too.
    const exited = new Promise((resolve) => running.once('exit', resolve));
    process.kill(-running.pid, 'SIGKILL');
    await exited;
    child = undefined;
  };

  const start = async (): Promise<void> => {
    const started = spawn(program, ['-W', '-S', master, '-f', file], {
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child = started;
    output = '';
    started.stderr?.setEncoding('utf8');
    started.stderr?.on('data', (chunk: string) => {
      output += chunk;
    });
    await eventually(async () => {
      assert.equal(started.exitCode, null, `HAProxy ended: ${output}`);
      assert.ok((await pids(startingTimeout)).length >= 2, output);
      assert.match(await askSocket(master, '@1 show info;quit', startingTimeout).catch(() => ''), /Pid/);
    });
  };

  return {
    program,
    folder,
    file,
    socket,
    master,
    start,
    async startEmpty() {
      await writeFile(file, `global\n\tstats socket ${socket} level admin\n`);
      await start();
    },
    kill,
    pids: () => pids(),
    ask,
    async workerPid() {
      const pid = /^Pid: (\d+)$/m.exec(await ask('show info'))?.[1];
      return Number(pid);
    },
    async servers() {
      const lines = (await ask('show servers state')).split('\n');
      const titles =
        lines
          .find((line) => line.startsWith('# '))
          ?.slice(2)
          .split(' ') ?? [];
      const rows = lines.filter((line) => /^\d+ \S/.test(line)).map((line) => line.split(' '));
      return new Map(
        rows.map((cells) => {
          const row = Object.fromEntries(titles.map((title, index) => [title, cells[index] ?? '']));
          return [`${row.be_name}/${row.srv_name}`, row];
        }),
      );
    },
    async close() {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The `haproxy` section of a configuration for it, with all that traffic in tests needs. */
export function haproxySection(haproxy: TestHaproxy, more: Readonly<Record<string, unknown>> = {}) {
  return {
    global: ['maxconn 200'],
    defaults: ['mode http', 'timeout connect 2s', 'timeout client 10s', 'timeout server 10s'],
    config_file_path: haproxy.file,
    socket_file_path: haproxy.socket,
    master_socket_path: haproxy.master,
    haproxy_path: haproxy.program,
    ...more,
  };
}

/** A master that is just starting takes a connection and never answers on it (seen on 3.2); milliseconds. */
const startingTimeout = 200;

/** One command to a HAProxy socket. Rejects after `timeout` milliseconds without an end. */
export function askSocket(path: string, command: string, timeout = 2_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: true });
    let answer = '';
    const timer = setTimeout(() => socket.destroy(new Error(`no answer to ${command}`)), timeout);
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      answer += chunk;
    });
    socket.on('end', () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    });
    socket.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.write(`${command}\n`);
  });
}

/** A web server that answers every request with its name. */
export interface NamedServer {
  readonly name: string;
  readonly port: number;
  close(): Promise<void>;
}

/** On a free port of `host`, an address of this machine. */
export async function namedServer(name: string, host = '127.0.0.1'): Promise<NamedServer> {
  const server = createHttpServer((_, response) => response.end(name));
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    name,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A socket in front of HAProxy's that records what a client sends. */
export interface RecordingProxy {
  readonly path: string;
  /** All commands so far, in order. */
  readonly commands: readonly string[];
  /** Ends all connections at once, and new ones at once for `forMs`. */
  disconnect(forMs?: number): void;
  close(): Promise<void>;
}

export interface ProxyFaults {
  /** Called with each line before it is passed on. */
  readonly onCommand?: (command: string) => void;
  /** Replies trickle in pieces of this many bytes, one each millisecond. */
  readonly trickle?: number;
}

/** Listens at `path` and passes everything on to `target`. */
export async function recordingProxy(path: string, target: string, faults: ProxyFaults = {}): Promise<RecordingProxy> {
  const commands: string[] = [];
  const clients = new Set<Socket>();
  let refusedUntil = 0;
  const server = createServer((client) => {
    if (performance.now() < refusedUntil) {
      client.destroy();
      return;
    }
    clients.add(client);
    const upstream = connect({ path: target });
    let rest = '';
    client.setEncoding('utf8');
    client.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      commands.push(...lines);
      for (const line of lines) faults.onCommand?.(line);
      upstream.write(chunk);
    });
    if (faults.trickle === undefined) upstream.pipe(client);
    else void trickle(upstream, client, faults.trickle);
    client.on('close', () => {
      clients.delete(client);
      upstream.destroy();
    });
    upstream.on('close', () => client.destroy());
    client.on('error', () => {});
    upstream.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const disconnect = (forMs = 0): void => {
    refusedUntil = performance.now() + forMs;
    for (const client of clients) client.destroy();
  };
  return { path, commands, disconnect, close: () => new Promise((resolve) => server.close(() => resolve())) };
}

async function trickle(from: Socket, to: Socket, size: number): Promise<void> {
  try {
    for await (const chunk of from as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length; at += size) {
        to.write(chunk.subarray(at, at + size));
        await sleep(1);
      }
    }
  } catch {
    // Either end went away: so does the other.
  }
  to.destroy();
}
