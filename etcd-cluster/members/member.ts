import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../../common/daemon/log.ts';
import { clientUrl, type MemberAddress } from './flags.ts';
import { isHealthy, isLeader } from './health.ts';

export interface LocalMemberOptions {
  readonly address: MemberAddress;
  readonly etcd: string;
  readonly folder: string;
  readonly secure: boolean;
  /** The command line for a cluster with this token. */
  readonly flags: (token: string) => readonly string[];
  readonly log: Log;
}

/** `exited` is an end nobody asked for. */
export type MemberStatus = 'running' | 'frozen' | 'stopped' | 'exited';

/** One etcd process on loopback. */
export class LocalMember {
  readonly name: string;
  /** For clients. */
  readonly url: string;
  /** Where it talks to the other members. */
  readonly peerPort: number;
  readonly folder: string;
  readonly #options: LocalMemberOptions;
  #child: ChildProcess | undefined;
  #guard: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #token = '';
  #status: MemberStatus = 'stopped';

  constructor(options: LocalMemberOptions) {
    this.#options = options;
    this.name = options.address.name;
    this.folder = options.folder;
    this.peerPort = options.address.peer;
    this.url = clientUrl(options.address, options.secure);
  }

  /** Undefined while it does not run. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get status(): MemberStatus {
    return this.#status;
  }

  /**
   * Starts the process; a cluster's first start takes a majority, so that this does not wait until it is healthy. `start`
   * may name another etcd program, and more flags, for this time.
   */
  async start(token: string = this.#token, start: { etcd?: string; flags?: readonly string[] } = {}): Promise<void> {
    if (this.#status === 'running' || this.#status === 'frozen') return;
    this.#token = token;
    const { flags, log } = this.#options;
    const { etcd = this.#options.etcd, flags: more = [] } = start;
    const { name } = this;
    mkdirSync(this.folder, { recursive: true });
    const output = openSync(join(this.folder, 'etcd.log'), 'a');
    const child = spawn(etcd, [...flags(token), ...more], {
      stdio: ['ignore', output, output],
      // etcd takes every flag from ETCD_… variables too, which may be meant for something else.
      env: { PATH: process.env.PATH ?? '' },
    });
    closeSync(output);
    this.#child = child;
    this.#status = 'running';
    this.#exited = new Promise((resolve) => {
      child.once('error', (error) => {
        log.error('etcd could not be started', { member: name, reason: error.message });
        this.#ended(child);
        resolve();
      });
      child.once('exit', (code, by) => {
        if (this.#status === 'running') log.warn('etcd member exited', { member: name, code, signal: by });
        this.#ended(child);
        resolve();
      });
    });
    if (child.pid !== undefined) this.#guard = guard(child.pid);
  }

  /** SIGTERM; waits for the end. A frozen one is killed: it would not hear. */
  async stop(): Promise<void> {
    await this.#end(this.#status === 'frozen' ? 'SIGKILL' : 'SIGTERM');
  }

  /** SIGKILL; waits for the end. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** SIGSTOP: connections stay open and nothing answers. */
  freeze(): void {
    if (this.#status !== 'running') return;
    this.#child?.kill('SIGSTOP');
    this.#status = 'frozen';
  }

  /** SIGCONT. */
  thaw(): void {
    if (this.#status !== 'frozen') return;
    this.#child?.kill('SIGCONT');
    this.#status = 'running';
  }

  /** True when it knows a leader and reads through a quorum. */
  healthy(): Promise<boolean> {
    return isHealthy(this.#options.address.metrics);
  }

  /** True when it leads. */
  leads(): Promise<boolean> {
    return isLeader(this.#options.address.metrics);
  }

  async #end(by: NodeJS.Signals): Promise<void> {
    if (this.#child === undefined) return;
    const child = this.#child;
    this.#status = 'stopped';
    child.kill(by);
    // etcd waits for its clients' streams to end; ours are meant to notice on their own.
    const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await this.#exited;
    clearTimeout(late);
  }

  #ended(child: ChildProcess): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#guard?.kill('SIGKILL');
    this.#guard = undefined;
    if (this.#status !== 'stopped') this.#status = 'exited';
  }
}

/**
 * Ends `pid` when this process is gone, however it ended: a shell in a session of its own waits for the end of a pipe
 * that only we hold.
 */
function guard(pid: number): ChildProcess {
  const shell = spawn('/bin/sh', ['-c', `read _; kill -9 ${pid}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  shell.on('error', () => {});
  shell.stdin.on('error', () => {});
  shell.unref();
  (shell.stdin as unknown as { unref?(): void }).unref?.();
  return shell;
}
