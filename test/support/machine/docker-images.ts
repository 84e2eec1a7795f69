import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exec } from '../../../common/daemon/exec.ts';
import { must } from '../../../deploy/tools/debian/apt.ts';
import { findPackages } from '../../../deploy/tools/debian/programs.ts';
import type { DockerEngine } from './docker-engine.ts';

/** Makes an image of a folder, as it is. `changes` are lines of a Dockerfile. */
export async function importImage(
  engine: DockerEngine,
  name: string,
  { folder, changes = [] }: { readonly folder: string; readonly changes?: readonly string[] },
): Promise<void> {
  const tar = `${folder}.tar`;
  try {
    must(
      await exec(['tar', '--numeric-owner', '-C', folder, '-cf', tar, '.'], { timeoutMs: 120_000 }),
      `tar of ${name}`,
    );
    await engine.docker(['import', ...changes.flatMap((change) => ['--change', change]), tar, name]);
  } finally {
    await rm(tar, { force: true });
  }
}

/** Debian's busybox as an image of two megabytes, in which every of its commands is found. */
export async function importBusybox(engine: DockerEngine): Promise<string> {
  const name = 'busybox:latest';
  const work = await mkdtemp(join(tmpdir(), 'smartstack-busybox-'));
  try {
    const folder = join(work, 'root');
    const busybox = join(await findPackages('busybox-static', ['busybox-static']), 'bin/busybox');
    await mkdir(join(folder, 'bin'), { recursive: true });
    await mkdir(join(folder, 'tmp'));
    must(await exec(['cp', busybox, join(folder, 'bin')], { timeoutMs: 10_000 }), 'cp');
    const { stdout } = must(await exec([busybox, '--list'], { timeoutMs: 10_000 }), 'busybox --list');
    const commands = stdout.split('\n').filter((command) => command !== '' && command !== 'busybox');
    await Promise.all(commands.map((command) => symlink('busybox', join(folder, 'bin', command))));
    await importImage(engine, name, { folder });
    return name;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
