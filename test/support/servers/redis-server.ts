import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unpackPackages } from '../../../deploy/tools/debian/programs.ts';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { listens, type Server, startServer } from './server.ts';

/** Debian's Redis on a free port, with `settings` as on its command line; it keeps nothing. */
export async function startRedis(settings: readonly string[] = []): Promise<Server & { readonly port: number }> {
  const tree = await unpackPackages('bookworm', ['redis-tools']);
  const folder = await mkdtemp(join(tmpdir(), 'smartstack-redis-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    // One program with several names; the package of the server is but this link.
    const program = join(folder, 'redis-server');
    await symlink(join(tree, 'usr/bin/redis-check-rdb'), program);
    const port = await freePort();
    const common = ['--bind', '127.0.0.1', '--port', `${port}`, '--dir', folder, '--save', ''];
    const server = await startServer([program, ...common, ...settings], { ready: () => listens(port) });
    const stop = async (): Promise<void> => {
      await server.stop();
      await remove();
    };
    return { ...server, port, stop };
  } catch (error) {
    await remove();
    throw error;
  }
}
