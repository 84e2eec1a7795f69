import { readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Removes what killed containers leave: empty folders, in the one hierarchy of today or the several of former kernels.
 */
export async function removeCgroups(name: string): Promise<void> {
  const root = '/sys/fs/cgroup';
  for (const hierarchy of ['', ...(await readdir(root).catch(() => []))])
    await removeCgroup(join(root, hierarchy, name));
}

async function removeCgroup(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => null);
  if (entries === null) return;
  for (const entry of entries) if (entry.isDirectory()) await removeCgroup(join(folder, entry.name));
  // The kernel may still be cleaning up; an empty folder that stays does no harm.
  await rmdir(folder).catch(() => {});
}
