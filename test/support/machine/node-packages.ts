import { access, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { exec } from '../../../common/daemon/exec.ts';
import { must } from '../../../deploy/tools/debian/apt.ts';
import { root } from '../repository.ts';

/** The version of Node in our images. */
export async function nodeVersion(): Promise<string> {
  const dockerfile = await readFile(join(root, 'deploy/Dockerfile'), 'utf8');
  const version = /^ARG NODE_IMAGE=node:(\d+\.\d+\.\d+)/m.exec(dockerfile)?.[1];
  if (version === undefined)
    throw new Error('deploy/Dockerfile does not say its version of Node where it is looked for');
  return version;
}

/** A folder with Node of that version for a kind of machine, `node/bin/node`, and an npm for it, from the npm registry. */
export async function nodePackages(architecture: string = process.arch): Promise<string> {
  const version = await nodeVersion();
  const folder = join(root, `.cache/programs/node-${version}-${architecture}`);
  const modules = join(folder, 'node_modules');
  if (await isThere(modules)) return modules;
  const work = `${folder}.${process.pid}`;
  try {
    await mkdir(work, { recursive: true });
    const node = `node@npm:node-linux-${architecture}@${version}`;
    // Forced, because npm installs nothing for another kind of machine.
    const options = ['--prefix', work, '--force', '--no-audit', '--no-fund'] as const;
    const argv = ['npm', 'install', ...options, node, 'npm@11'] as const;
    must(await exec(argv, { timeoutMs: 300_000, env: process.env }), 'npm install of Node');
    // Unless another process was faster.
    await rename(work, folder).catch(async (error) => {
      if (!(await isThere(modules))) throw error;
    });
    return modules;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function isThere(modules: string): Promise<boolean> {
  return access(join(modules, 'node/bin/node')).then(
    () => true,
    () => false,
  );
}
