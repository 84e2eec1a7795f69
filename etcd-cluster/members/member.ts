import { type ChildProcess, spawn } from 'node:child_process';
import type { Log } from '../../common/daemon/log.ts';
import { clientUrl, type MemberAddress } from './flags.ts';
import { isHealthy, isLeader, waitForHealth } from './health.ts';
import { launchEtcd, quoteLog } from './launch.ts';

/** One member of a local cluster. */
export interface LocalMemberOptions {
  readonly address: MemberAddress;
  readonly etcd: string;
  readonly folder: string;
  readonly secure: boolean;
  /** The command line for a cluster with this token. */
  readonly flags: (token: string) => readonly string[];
  readonly log: Log;
}

/** `stopped`: ended on request; `exited`: ended for any other reason. */
export type MemberStatus = 'running' | 'frozen' | 'stopped' | 'exited';

/** One etcd process on loopback, which ends with this process. */
export class LocalMember {
  readonly name: string;
  /** The address for clients. */
  readonly url: string;
  /** The port for the other members. */
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

  /** The token of its cluster; empty before the first start. */
  get token(): string {
    return this.#token;
  }

  /**
   * Starts the process. Does not wait until it is healthy, because that takes a majority of the members. `overrides` has
   * another etcd program, and more flags, for this start only.
   */
  async start(
    token: string = this.#token,
    overrides: { readonly etcd?: string; readonly flags?: readonly string[] } = {},
  ): Promise<void> {
    if (this.#status === 'running' || this.#status === 'frozen') return;
    this.#token = token;
    const { flags, log } = this.#options;
    const { etcd = this.#options.etcd, flags: moreFlags = [] } = overrides;
    const { name } = this;
    const child = launchEtcd(etcd, { folder: this.folder, flags: [...flags(token), ...moreFlags] });
    this.#child = child;
    this.#status = 'running';
    this.#exited = new Promise((resolve) => {
      child.once('error', (error) => {
        log.error('etcd could not be started', { member: name, reason: error.message });
        this.#ended(child);
        resolve();
      });
      child.once('exit', (code, signal) => {
        if (this.#status === 'running') log.warn('etcd member exited', { member: name, code, signal });
        this.#ended(child);
        resolve();
      });
    });
    if (child.pid !== undefined) this.#guard = guard(child.pid);
  }

  /** Sends SIGTERM and waits for the end. A frozen member gets SIGKILL, because it cannot handle SIGTERM. */
  async stop(): Promise<void> {
    await this.#end(this.#status === 'frozen' ? 'SIGKILL' : 'SIGTERM');
  }

  /** Sends SIGKILL and waits for the end. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Sends SIGSTOP: connections stay open, and the member answers nothing. */
  freeze(): void {
    if (this.#status !== 'running') return;
    this.#child?.kill('SIGSTOP');
    this.#status = 'frozen';
  }

  /** Sends SIGCONT. */
  thaw(): void {
    if (this.#status !== 'frozen') return;
    this.#child?.kill('SIGCONT');
    this.#status = 'running';
  }

  /** True when it knows a leader and can read through a quorum. */
  healthy(): Promise<boolean> {
    return isHealthy(this.#options.address.metrics);
  }

  /** Waits until it is healthy, does not run, or `deadline` (milliseconds of `performance.now()`) has passed. */
  waitForHealth(deadline: number, signal?: AbortSignal): Promise<'healthy' | 'ended' | 'late'> {
    const isRunning = (): boolean => this.#status === 'running';
    return waitForHealth(this.#options.address.metrics, { isRunning, deadline }, signal);
  }

  /** True when it is the leader. */
  leads(): Promise<boolean> {
    return isLeader(this.#options.address.metrics);
  }

  /** The end of its output, for an error. */
  quoteLog(): Promise<string> {
    return quoteLog(this.folder);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child === undefined) return;
    const child = this.#child;
    this.#status = 'stopped';
    child.kill(signal);
    // etcd waits for its clients to end their streams, and the clients under test do not.
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
 * Kills the process `pid` when this process is gone, however it ended: a shell in a session of its own waits for the end
 * of a pipe that only this process holds.
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
