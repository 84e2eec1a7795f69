import { type ExecResult, exec } from '../../../common/daemon/exec.ts';
import { builtFile } from '../repository.ts';

/** Runs one of the built commands of etcd-cluster/. */
export function clusterCommand(
  name: 'local' | 'certificates' | 'access',
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<ExecResult> {
  const path = builtFile(`etcd-cluster/commands/${name}.js`);
  return exec([process.execPath, path, ...args], { timeoutMs: 120_000, env: { ...process.env, ...env } });
}
