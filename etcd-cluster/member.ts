import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../common/log.ts';

/** PEM files for the client side of a member. */
export interface MemberTls {
  readonly cert: string;
  readonly key: string;
  /** Clients must show a certificate of this authority. */
  readonly ca?: string;
}

export interface LocalMemberOptions {
  readonly name: string;
  readonly etcd: string;
  readonly folder: string;
  /** Ports on loopback. */
  readonly client: number;
  readonly peer: number;
  readonly metrics: number;
  readonly flags: readonly string[];
  readonly tls?: MemberTls;
  readonly log: Log;
}

/** `exited` is an end nobody asked for. */
export type MemberStatus = 'running' | 'frozen' | 'stopped' | 'exited';

/** One etcd process on loopback. */
export class LocalMember {
  readonly name: string;
  /** For clients. */
  readonly url: string;
  readonly folder: string;
  readonly #options: LocalMemberOptions;
  #child: ChildProcess | undefined;
  #guard: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #token = '';
  #status: MemberStatus = 'stopped';

  constructor(options: LocalMemberOptions) {
    this.#options = options;
    this.name = options.name;
    this.folder = options.folder;
    this.url = `${options.tls ? 'https' : 'http'}://127.0.0.1:${options.client}`;
  }

  get status(): MemberStatus {
    return this.#status;
  }

  /** Starts the process; a cluster's first start takes a majority, so that this does not wait until it is healthy. */
  async start(token: string = this.#token): Promise<void> {
    if (this.#status === 'running' || this.#status === 'frozen') return;
    this.#token = token;
    const { etcd, name, peer, metrics, flags, tls, log } = this.#options;
    mkdirSync(this.folder, { recursive: true });
    const output = openSync(join(this.folder, 'etcd.log'), 'a');
    const child = spawn(
      etcd,
      [
        `--name=${name}`,
        `--data-dir=${join(this.folder, 'data')}`,
        `--listen-client-urls=${this.url}`,
        `--advertise-client-urls=${this.url}`,
        `--listen-peer-urls=http://127.0.0.1:${peer}`,
        `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
        `--listen-metrics-urls=http://127.0.0.1:${metrics}`,
        `--initial-cluster-token=${token}`,
        '--logger=zap',
        '--log-outputs=stderr',
        '--log-level=warn',
        ...(tls ? [`--cert-file=${tls.cert}`, `--key-file=${tls.key}`] : []),
        ...(tls?.ca ? ['--client-cert-auth', `--trusted-ca-file=${tls.ca}`] : []),
        ...flags,
      ],
      // etcd takes every flag from ETCD_… variables too, which may be meant for something else.
      { stdio: ['ignore', output, output], env: { PATH: process.env.PATH ?? '' } },
    );
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
  async healthy(): Promise<boolean> {
    return /"health":\s*"?true/.test(await this.#get('/health'));
  }

  /** True when it leads. */
  async leads(): Promise<boolean> {
    return /^etcd_server_is_leader 1$/m.test(await this.#get('/metrics'));
  }

  async #get(path: string): Promise<string> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.#options.metrics}${path}`, {
        signal: AbortSignal.timeout(3_000),
      });
      return await response.text();
    } catch {
      // Not up, or not any more: the caller asks again.
      return '';
    }
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
