import type { Host } from '../../common/host.ts';
import { type HaproxyConfig, socketPaths } from './options/config.ts';
import { connectRuntime } from './runtime/connection.ts';
import { parseInfo } from './runtime/parse.ts';

/** The last version that accepts a frontend and a backend of one name, as SmartStack writes them; 302 is 3.2. */
const lastWithSharedName = 302;
const frontendSuffix = '.in';
/** The first version that knows `init-state`; 301 is 3.1. */
const firstWithInitState = 301;

const programTimeoutMs = 5_000;
const replyTimeoutMs = 500;

/**
 * Decides the options that depend on HAProxy's version: whether frontends get a suffix, and whether `init-state` is known.
 * Asks the installed program first and a running HAProxy otherwise. Without an answer, frontends get a suffix, which every
 * version accepts.
 */
export async function decideByVersion(config: HaproxyConfig, host: Host, signal: AbortSignal): Promise<HaproxyConfig> {
  const version = (await installedVersion(config, host, signal)) ?? (await runningVersion(config, host, signal));
  const number = numberOf(version);
  return {
    ...config,
    frontend_suffix: config.frontend_suffix ?? suffixFor(version),
    ...(number !== undefined && number < firstWithInitState && { knowsInitState: false }),
  };
}

/** The suffix that makes a frontend's name out of its service's name, for one version of HAProxy; empty up to 3.2. */
export function suffixFor(version: string | undefined): string {
  const number = numberOf(version);
  return number !== undefined && number <= lastWithSharedName ? '' : frontendSuffix;
}

/** 206 for 2.6. */
function numberOf(version: string | undefined): number | undefined {
  const [, major, minor] = /(\d+)\.(\d+)/.exec(version ?? '') ?? [];
  return major === undefined ? undefined : Number(major) * 100 + Number(minor);
}

async function installedVersion(
  { haproxy_path }: HaproxyConfig,
  host: Host,
  signal: AbortSignal,
): Promise<string | undefined> {
  const result = await host.exec([haproxy_path, '-v'], { timeoutMs: programTimeoutMs }, signal).catch(() => undefined);
  return /^HA-?Proxy version (\S+)/m.exec(result?.stdout ?? '')?.[1];
}

async function runningVersion(
  config: HaproxyConfig,
  { connectUnix }: Host,
  signal: AbortSignal,
): Promise<string | undefined> {
  for (const path of config.do_socket ? socketPaths(config) : []) {
    try {
      const connection = await connectRuntime(path, { connectUnix, replyTimeoutMs }, signal);
      const replies = connection.send(['show info']);
      const [info = ''] = await replies.finally(() => connection.close());
      return parseInfo(info).version;
    } catch {
      // This HAProxy does not answer; the next one may.
    }
  }
  return undefined;
}
