import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, readlink, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { exec } from '../../../common/daemon/exec.ts';
import { type Architecture, must, privateApt, type Suite } from './apt.ts';
import { locked } from './lock.ts';
import { relink } from './relink.ts';

/** What to unpack, and where. */
export interface Unpacking {
  /** The folder for everything that is unpacked. */
  readonly cache: string;
  /** The name of the result's folder in it. */
  readonly name: string;
  readonly suite: Suite;
  readonly packages: readonly string[];
  /** Unpacks the libraries too, and makes the programs use them. */
  readonly runnable: boolean;
  /** The path at which the programs will run; default: the result's folder. */
  readonly at?: string;
  /** The architecture of the packages; default: this machine's. */
  readonly architecture?: Architecture;
}

/**
 * Unpacks packages of Debian into the cache, first into a temporary folder, which is then moved into place. Of two calls for the same
 * folder, one waits for the other and uses its result.
 * @returns the folder
 * @throws when there is no apt or its servers cannot be reached
 */
export async function unpack(unpacking: Unpacking): Promise<string> {
  const { cache, name } = unpacking;
  const root = join(cache, name);
  // A folder that exists already was not usable for the caller.
  const unusable = await inodeOf(root);
  await mkdir(cache, { recursive: true });
  return locked(`${root}.lock`, async () => {
    if ((await inodeOf(root)) === unusable) await prepare(unpacking, root);
    return root;
  });
}

/** The file in each folder that has the path for which its programs were made. */
const marker = '.made-for';

/** True when a folder of the cache exists and can be used at its path: the checkout may have been moved or copied. */
export async function isUsable(root: string, at: string = root): Promise<boolean> {
  return (await readFile(join(root, marker), 'utf8').catch(() => undefined)) === at;
}

/** The inode of a file or folder; undefined when it does not exist. */
async function inodeOf(path: string): Promise<number | undefined> {
  return (await stat(path).catch(() => undefined))?.ino;
}

async function prepare({ cache, suite, packages, runnable, at, architecture }: Unpacking, root: string): Promise<void> {
  const work = `${root}.${process.pid}`;
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  process.stderr.write(`fetching ${packages.join(', ')} from Debian ${suite} into ${cache} …\n`);
  try {
    const apt = await privateApt(cache, suite, architecture);
    const libraries = runnable ? await apt.libraries(packages) : [];
    await apt.download([...packages, ...libraries], join(work, 'debs'));
    const tree = join(work, 'tree');
    await unpackDebs(join(work, 'debs'), tree);
    // At the root of a file system, programs find their libraries without changes.
    if (runnable && at !== '/') await relink({ tree, root: at ?? root, patchelf: await findPatchelf(cache) });
    await writeFile(join(tree, marker), at ?? root);
    await moveInto(tree, root);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Finds patchelf on the PATH or in the oldest suite; a newer one would itself need newer libraries. */
async function findPatchelf(cache: string): Promise<string> {
  const { code, stdout } = await exec(['/bin/sh', '-c', 'command -v patchelf'], { timeoutMs: 5_000 });
  if (code === 0) return stdout.trim();
  const name = 'bookworm-patchelf';
  const path = join(cache, name, 'usr/bin/patchelf');
  if ((await exec([path, '--version'], { timeoutMs: 5_000 }).catch(() => null))?.code === 0) return path;
  await unpack({ cache, name, suite: 'bookworm', packages: ['patchelf'], runnable: false });
  return path;
}

/** Puts a finished tree in its place. What was there may still run: it is moved away first, and only then removed. */
async function moveInto(from: string, to: string): Promise<void> {
  const old = `${to}.old.${process.pid}`;
  if (existsSync(to)) await rename(to, old);
  await rename(from, to);
  await rm(old, { recursive: true, force: true });
}

/** Unpacks every `.deb` of a folder, running none of their scripts. */
async function unpackDebs(debs: string, tree: string): Promise<void> {
  await mkdir(tree, { recursive: true });
  for (const deb of await readdir(debs)) {
    if (deb.endsWith('.deb'))
      must(await exec(['dpkg', '-x', join(debs, deb), tree], { timeoutMs: 120_000 }), `dpkg -x ${deb}`);
  }
  // Java looks for its settings through links such as /etc/java-17-openjdk: they have to stay within the tree.
  for (const entry of await readdir(tree, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) continue;
    const link = join(entry.parentPath, entry.name);
    const target = await readlink(link);
    if (!target.startsWith('/')) continue;
    await rm(link);
    await symlink(relative(dirname(link), join(tree, target)), link);
  }
}
