import { sleep } from '../../common/async/sleep.ts';

/** True when the member with this metrics port on loopback knows a leader and can read through a quorum. */
export async function isHealthy(metricsPort: number): Promise<boolean> {
  return /"health":\s*"?true/.test(await get(metricsPort, '/health'));
}

/** True when the member with this metrics port on loopback is the leader. */
export async function isLeader(metricsPort: number): Promise<boolean> {
  return /^etcd_server_is_leader 1$/m.test(await get(metricsPort, '/metrics'));
}

/**
 * Waits until a member is healthy, has ended, or `deadline` (milliseconds of `performance.now()`) has passed.
 * @throws when `signal` aborts
 */
export async function waitForHealth(
  metricsPort: number,
  { isRunning, deadline }: { readonly isRunning: () => boolean | Promise<boolean>; readonly deadline: number },
  signal?: AbortSignal,
): Promise<'healthy' | 'ended' | 'late'> {
  for (;;) {
    signal?.throwIfAborted();
    if (!(await isRunning())) return 'ended';
    if (await isHealthy(metricsPort)) return 'healthy';
    if (performance.now() > deadline) return 'late';
    await sleep(50, signal);
  }
}

async function get(port: number, path: string): Promise<string> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(3_000) });
    return await response.text();
  } catch {
    // The member does not run yet, or not any more: the caller asks again.
    return '';
  }
}
