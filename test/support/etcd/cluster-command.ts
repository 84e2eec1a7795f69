import { fileURLToPath } from 'node:url';
import { type ExecResult, exec } from '../../../common/daemon/exec.ts';

/** Runs one of the built commands of etcd-cluster/. */
export function clusterCommand(
  name: 'local' | 'certificates' | 'access',
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<ExecResult> {
  const path = fileURLToPath(new URL(`../../../etcd-cluster/commands/${name}.js`, import.meta.url));
  return exec([process.execPath, path, ...args], { timeoutMs: 120_000, env: { ...process.env, ...env } });
}
