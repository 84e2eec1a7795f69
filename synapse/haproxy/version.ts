import { exec } from '../../common/daemon/exec.ts';
import { type HaproxyConfig, socketPaths } from './options/config.ts';
import { connectRuntime } from './runtime/connection.ts';
import { parseInfo } from './runtime/parse.ts';

/** Until 3.2 a frontend and a backend may have one name, as in SmartStack's files; later versions refuse such a file. */
const lastWithOneName = 302;
const separateSuffix = '.in';
const probeTimeout = 5_000;
const replyTimeout = 500;

/** `init-state` is a keyword from 3.1 on. */
const firstWithInitState = 301;

/**
 * The configuration with what depends on HAProxy's version decided. `frontend_suffix`: none where HAProxy is known to take a frontend with the name of
 * its backend. Where nobody can be asked, the names differ: every version takes that.
 */
export async function decideNames(config: HaproxyConfig, signal: AbortSignal): Promise<HaproxyConfig> {
  const version = (await installedVersion(config, signal)) ?? (await runningVersion(config, signal));
  const number = numberOf(version);
  return {
    ...config,
    frontend_suffix: config.frontend_suffix ?? suffixFor(version),
    ...(number !== undefined && number < firstWithInitState && { knowsInitState: false }),
  };
}

/** What follows a service's name in the name of its frontend, for one version of HAProxy. */
export function suffixFor(version: string | undefined): string {
  const number = numberOf(version);
  return number !== undefined && number <= lastWithOneName ? '' : separateSuffix;
}

/** 2.6 is 206. */
function numberOf(version: string | undefined): number | undefined {
  const [, major, minor] = /(\d+)\.(\d+)/.exec(version ?? '') ?? [];
  return major === undefined ? undefined : Number(major) * 100 + Number(minor);
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
