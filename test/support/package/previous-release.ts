import { access, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { exec } from '../../../common/daemon/exec.ts';
import { must } from '../../../deploy/tools/debian/apt.ts';
import { root } from '../repository.ts';

/** Enough for npm on a busy machine, milliseconds. */
const timeoutMs = 600_000;

/**
 * The `dist` of the package of the release that `deploy/previous-release` names: a tag, or a commit while there is no release
 * yet. It is made from the history of this repository, with the libraries of its own lock file, and cached.
 * @throws when the history does not reach back to it
 */
export async function previousRelease(): Promise<{ readonly name: string; readonly dist: string }> {
  const name = (await readFile(join(root, 'deploy/previous-release'), 'utf8')).trim();
  const found = await exec(['git', 'rev-parse', '--verify', '--quiet', `${name}^{commit}`], { timeoutMs, cwd: root });
  if (found.code !== 0) {
    throw new Error(`deploy/previous-release: this clone has no ${name}; fetch it with git fetch --tags --unshallow`);
  }
  const commit = found.stdout.trim();
  const folder = join(root, `.cache/releases/${commit.slice(0, 12)}`);
  const dist = join(folder, 'dist');
  const isMade = await access(dist).then(
    () => true,
    () => false,
  );
  if (!isMade) await make(commit, folder);
  // A commit has no better name than the first digits of its hash.
  return { name: name.replace(/^([0-9a-f]{7})[0-9a-f]{33}$/, '$1'), dist };
}

async function make(commit: string, folder: string): Promise<void> {
  const work = `${folder}.${process.pid}`;
  const source = join(work, 'source');
  await mkdir(source, { recursive: true });
  const run = async (script: string): Promise<void> => {
    must(await exec(['sh', '-ec', script], { timeoutMs, cwd: source, env: process.env }), script);
  };
  try {
    await run(`git -C '${root}' archive ${commit} | tar -x`);
    const [own, its] = await Promise.all([root, source].map((at) => readFile(join(at, 'package-lock.json'), 'utf8')));
    if (own === its) await symlink(join(root, 'node_modules'), join(source, 'node_modules'));
    else await run('npm ci --ignore-scripts --no-audit --no-fund --loglevel=error');
    await run(`node_modules/.bin/tsc -p tsconfig.json && node dist/deploy/package/main.js '${work}/package'`);
    // Unless another process was faster.
    await rename(join(work, 'package'), folder).catch(async (error) => {
      await access(join(folder, 'dist')).catch(() => {
        throw error;
      });
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
