import { exec } from '../../common/daemon/exec.ts';

/** True when this etcd has `--unsafe-no-fsync`: from 3.5 on. @throws when the program is not etcd */
export async function canSkipFsync(etcd: string): Promise<boolean> {
  const { stdout } = await exec([etcd, '--version'], { timeoutMs: 10_000 });
  const match = /etcd Version: (\d+)\.(\d+)/.exec(stdout);
  if (match === null) throw new Error(`${etcd} --version: not etcd: ${stdout.slice(0, 100)}`);
  return Number(match[1]) > 3 || Number(match[2]) >= 5;
}
