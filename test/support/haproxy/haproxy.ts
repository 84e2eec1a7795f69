import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram } from '../../../deploy/tools/debian/programs.ts';
import { eventually } from '../eventually.ts';
import type { HaproxyVersion } from './versions.ts';

/** Prepares a folder for a HAProxy, of the version of this machine or of another one. @throws when it cannot be had */
export async function testHaproxy(version?: HaproxyVersion): Promise<TestHaproxy> {
  const program = await findProgram('haproxy', version === undefined ? {} : { version });
  const folder = await mkdtemp(join(tmpdir(), 'haproxy-test-'));
  await mkdir(join(folder, 'etc'));
  return new TestHaproxy(program, folder);
}

/** A HAProxy in master-worker mode, in a folder of its own. Nothing runs until `start`. */
export class TestHaproxy {
  readonly program: string;
  readonly folder: string;
  readonly file: string;
  /** The runtime API. */
  readonly socket: string;
  readonly master: string;
  #child: ChildProcess | undefined;

  /** Use {@link testHaproxy}. */
  constructor(program: string, folder: string) {
    this.program = program;
    this.folder = folder;
    this.file = join(folder, 'etc', 'haproxy.cfg');
    this.socket = join(folder, 'admin.sock');
    this.master = join(folder, 'master.sock');
  }

  /** Starts HAProxy from the present file, and waits for its master and its worker. */
  async start(): Promise<void> {
    const child = spawn(this.program, ['-W', '-S', this.master, '-f', this.file], {
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child = child;
    let output = '';
    child.stderr?.setEncoding('utf8');
    child.stderr?.on('data', (chunk: string) => {
      output += chunk;
    });
    await eventually(async () => {
      assert.equal(child.exitCode, null, `HAProxy ended: ${output}`);
      assert.ok((await this.pids(startTimeoutMs)).length >= 2, output);
      assert.match(await askSocket(this.master, '@1 show info;quit', startTimeoutMs).catch(() => ''), /Pid/);
    });
  }

  /** Starts HAProxy from a file that serves nothing, as before the first file that synapse writes. */
  async startEmpty(): Promise<void> {
    await writeFile(this.file, `global\n\tstats socket ${this.socket} level admin\n`);
    await this.start();
  }

  /** Ends the master and the workers at once. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = new Promise((resolve) => child.once('exit', resolve));
    // The process group: the workers end with the master, even stopped ones.
    process.kill(-child.pid, 'SIGKILL');
    await exited;
    this.#child = undefined;
  }

  /** Process ids: the master's, then its workers'. */
  async pids(timeoutMs?: number): Promise<readonly number[]> {
    if (this.#child?.pid === undefined) return [];
    const proc = await askSocket(this.master, 'show proc;quit', timeoutMs);
    return [...proc.matchAll(/^(\d+)\s+(?:master|worker)/gm)].map((match) => Number(match[1]));
  }

  /** Sends one command on a connection of its own. */
  ask(command: string): Promise<string> {
    return askSocket(this.socket, command);
  }

  /** The worker in charge. */
  async workerPid(): Promise<number> {
    return Number(/^Pid: (\d+)$/m.exec(await this.ask('show info'))?.[1]);
  }

  /** `backend/server` → its row of `show servers state`, as columns by title. */
  async servers(): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
    const lines = (await this.ask('show servers state')).split('\n');
    const header = lines.find((line) => line.startsWith('# '));
    const titles = header?.slice(2).split(' ') ?? [];
    const rows = lines.filter((line) => /^\d+ \S/.test(line)).map((line) => line.split(' '));
    return new Map(
      rows.map((cells) => {
        const row = Object.fromEntries(titles.map((title, index) => [title, cells[index] ?? '']));
        return [`${row.be_name}/${row.srv_name}`, row];
      }),
    );
  }

  /** Ends HAProxy and removes the folder. */
  async close(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** The `haproxy` section of a configuration for a HAProxy, with the timeouts that traffic in tests needs. */
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

/** A master that is just starting accepts a connection and never answers on it (seen on 3.2). */
const startTimeoutMs = 200;

/** Sends one command to a socket of HAProxy. @throws when the reply does not end within `timeoutMs` */
export function askSocket(path: string, command: string, timeoutMs = 2_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: true });
    let answer = '';
    const timer = setTimeout(() => socket.destroy(new Error(`no answer to ${command}`)), timeoutMs);
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

/** Listens on a free port of `host`, an address of this machine. */
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
