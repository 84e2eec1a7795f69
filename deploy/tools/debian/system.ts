import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { exec } from '../../../common/daemon/exec.ts';
import { must, type Suite } from './apt.ts';
import { locked } from './lock.ts';
import { unpack } from './unpack.ts';

/** Which Debian to set up, and where. */
export interface SystemOptions {
  /** The folder for everything that is unpacked. */
  readonly cache: string;
  /** The name of the result's folder in it. */
  readonly name: string;
  readonly suite: Suite;
  /** Packages beside those that every Debian has. */
  readonly packages: readonly string[];
}

/**
 * Sets up a whole Debian in a folder of the cache with apt and dpkg, which run the scripts of its packages. It keeps apt's lists, so
 * that more packages can be installed in it. Needs root. Of two calls for the same folder, one waits for the other.
 * @returns the folder, which callers must not change
 * @throws when this is not Debian, not root, or Debian's servers cannot be reached
 */
export async function bootstrapSystem({ cache, name, suite, packages }: SystemOptions): Promise<string> {
  const root = join(cache, name);
  if (existsSync(root)) return root;
  const work = `${root}.${process.pid}`;
  const tool = join(cache, 'bookworm-mmdebstrap');
  if (!existsSync(tool)) {
    await unpack({ cache, name: 'bookworm-mmdebstrap', suite: 'bookworm', packages: ['mmdebstrap'], runnable: false });
  }
  await mkdir(cache, { recursive: true });
  const argv = [
    ...[join(tool, 'usr/bin/mmdebstrap'), '--quiet', '--mode=root', '--variant=minbase', '--format=directory'],
    ...['--skip=cleanup/apt/lists', '--aptopt=Acquire::Languages "none"', '--aptopt=Acquire::Retries "3"'],
    // Without fsync: a loss of power may destroy this folder.
    ...['--dpkgopt=force-unsafe-io', `--include=${packages.join(',')}`, suite, work, 'http://deb.debian.org/debian'],
  ] as const;
  return locked(`${root}.lock`, async () => {
    if (existsSync(root)) return root;
    process.stderr.write(`setting up a Debian ${suite} in ${root} …\n`);
    try {
      must(await exec(argv, { timeoutMs: 600_000 }), `mmdebstrap ${suite}`);
      await rename(work, root);
      return root;
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
}
