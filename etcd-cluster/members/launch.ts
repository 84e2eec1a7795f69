import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** How the etcd process of a member is started. */
export interface LaunchOptions {
  /** The member's folder, made when it is missing; the output of etcd is appended to a file in it. */
  readonly folder: string;
  readonly flags: readonly string[];
  /** In a session of its own: neither Ctrl-C nor the end of the terminal reaches the process. */
  readonly detached?: boolean;
}

/** Starts the etcd process of a member. When that fails, the process emits `error`. */
export function launchEtcd(etcd: string, { folder, flags, detached = false }: LaunchOptions): ChildProcess {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const log = openSync(logFile(folder), 'a');
  const child = spawn(etcd, flags, {
    detached,
    stdio: ['ignore', log, log],
    // etcd takes every flag from variables ETCD_… too, and this process may have some for other programs.
    env: { PATH: process.env.PATH ?? '' },
  });
  closeSync(log);
  return child;
}

/** The end of a member's output, for an error, with the name of its file. */
export async function quoteLog(folder: string): Promise<string> {
  const text = await readFile(logFile(folder), 'utf8').catch(() => '');
  return `the end of ${logFile(folder)}:\n${text.trim().split('\n').slice(-5).join('\n')}`;
}

function logFile(folder: string): string {
  return join(folder, 'etcd.log');
}
