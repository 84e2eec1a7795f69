import { exec } from '../../common/exec.ts';
import { type HaproxyConfig, socketPaths } from './config.ts';
import { parseInfo } from './running.ts';
import { connectRuntime } from './runtime.ts';

/** Until 3.2 a frontend and a backend may have one name, as in SmartStack's files; later versions refuse such a file. */
const lastWithOneName = 302;
const separateSuffix = '.in';
const probeTimeout = 5_000;
const replyTimeout = 500;

/**
 * The configuration with its `frontend_suffix` decided: none where HAProxy is known to take a frontend with the name of
 * its backend. Where nobody can be asked, the names differ: every version takes that.
 */
export async function decideNames(config: HaproxyConfig, signal: AbortSignal): Promise<HaproxyConfig> {
  if (config.frontend_suffix !== null) return config;
  const version = (await installedVersion(config, signal)) ?? (await runningVersion(config, signal));
  return { ...config, frontend_suffix: suffixFor(version) };
}

/** What follows a service's name in the name of its frontend, for one version of HAProxy. */
export function suffixFor(version: string | undefined): string {
  const [, major, minor] = /(\d+)\.(\d+)/.exec(version ?? '') ?? [];
  if (major === undefined) return separateSuffix;
  return Number(major) * 100 + Number(minor) <= lastWithOneName ? '' : separateSuffix;
}

async function installedVersion({ haproxy_path }: HaproxyConfig, signal: AbortSignal): Promise<string | undefined> {
  const found = await exec([haproxy_path, '-v'], { timeout: probeTimeout }, signal).catch(() => undefined);
  return /^HA-?Proxy version (\S+)/m.exec(found?.stdout ?? '')?.[1];
}

async function runningVersion(config: HaproxyConfig, signal: AbortSignal): Promise<string | undefined> {
  for (const path of config.do_socket ? socketPaths(config) : []) {
    try {
      const connection = await connectRuntime(path, { timeout: replyTimeout }, signal);
      const replies = connection.send(['show info']);
      const [info = ''] = await replies.finally(() => connection.close());
      return parseInfo(info).version;
    } catch {
      // Not there yet: perhaps another one is.
    }
  }
  return undefined;
}
