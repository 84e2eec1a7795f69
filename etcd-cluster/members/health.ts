/** True when the member whose metrics are at this port of loopback knows a leader and reads through a quorum. */
export async function isHealthy(metrics: number): Promise<boolean> {
  return /"health":\s*"?true/.test(await get(metrics, '/health'));
}

/** True when it leads. */
export async function isLeader(metrics: number): Promise<boolean> {
  return /^etcd_server_is_leader 1$/m.test(await get(metrics, '/metrics'));
}

async function get(port: number, path: string): Promise<string> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(3_000) });
    return await response.text();
  } catch {
    // Not up, or not any more: the caller asks again.
    return '';
  }
}
