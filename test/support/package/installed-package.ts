import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exec } from '../../../common/daemon/exec.ts';
import { makePackage } from '../../../deploy/package/make-package.ts';
import { root } from '../repository.ts';

/** Enough for a slow registry on a busy machine, milliseconds. */
const timeoutMs = 300_000;

/** The package as users get it, in a folder of its own. */
export interface InstalledPackage {
  /** The packed file. */
  readonly tarball: string;
  /** The paths of the files in it. */
  readonly files: readonly string[];
  /** The folder into which npm has installed packages, with `smartstack` among them. */
  readonly modules: string;
  /** The folder of the package. */
  readonly folder: string;
}

/** Makes the package of this checkout, packs it, and installs it below `folder` as a user does. */
export async function installPackage(folder: string): Promise<InstalledPackage> {
  const made = join(folder, 'made');
  await makePackage(made, { root, bare: false });
  const pack = ['npm', 'pack', '--json', '--pack-destination', folder] as const;
  const [packed] = JSON.parse((await run(pack, made)).stdout) as [{ filename: string; files: { path: string }[] }];
  const tarball = join(folder, packed.filename);
  const home = join(folder, 'installed');
  await mkdir(home);
  await writeFile(join(home, 'package.json'), '{"private":true}');
  await run(['npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', tarball], home);
  const modules = join(home, 'node_modules');
  return { tarball, files: packed.files.map(({ path }) => path), modules, folder: join(modules, 'smartstack') };
}

/** The bytes of all files below a folder. */
export async function sizeOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function run(argv: readonly [string, ...string[]], cwd: string) {
  const result = await exec(argv, { timeoutMs, cwd, maxOutput: 4 * 1024 * 1024 });
  if (result.code !== 0) throw new Error(`${argv.join(' ')} failed: ${result.stderr}`);
  return result;
}
