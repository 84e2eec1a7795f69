import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, lstat, mkdir, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, extname, join } from 'node:path';

/** The daemon that the path belongs to. Two daemons on one host have different configuration files. */
export interface Owner {
  readonly program: 'nerve' | 'synapse';
  /** Undefined when the configuration comes from the environment. */
  readonly configFile: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * The default path of a daemon's control socket: in systemd's `$RUNTIME_DIRECTORY`, else in `/run/PROGRAM` where that is
 * writable, else in a private folder of this user in the temporary folder. Null when none of them can be used.
 */
export async function defaultSocket(owner: Owner): Promise<string | null> {
  const folder = await usableFolder(runtimeFolders(owner), privateFolder(owner));
  return folder === null ? null : join(folder, `${await ownName(owner)}.sock`);
}

/** The default path of a daemon's state file: a folder that survives a reboot, if there is one. Null when none can be used. */
export async function defaultStateFile(owner: Owner): Promise<string | null> {
  const folders = [...listed(owner.env.STATE_DIRECTORY), `/var/lib/${owner.program}`, ...runtimeFolders(owner)];
  const folder = await usableFolder(folders, privateFolder(owner));
  return folder === null ? null : join(folder, `${await ownName(owner)}.json`);
}

/** For commands: the socket in one of the folders of {@link defaultSocket}, or its first path. Creates nothing. */
export async function findSocket(owner: Owner): Promise<string> {
  const name = `${await ownName(owner)}.sock`;
  const paths = [...runtimeFolders(owner), privateFolder(owner)].map((folder) => join(folder, name));
  for (const path of paths) if (await exists(path)) return path;
  return paths[0] as string;
}

function runtimeFolders({ program, env }: Owner): readonly string[] {
  return [...listed(env.RUNTIME_DIRECTORY), `/run/${program}`];
}

/** systemd lists all folders of a unit in one variable, separated by colons. */
function listed(folders: string | undefined): readonly string[] {
  const first = folders?.split(':')[0];
  return first ? [first] : [];
}

function privateFolder({ program }: Owner): string {
  return join(tmpdir(), `${program}-${process.getuid?.() ?? 0}`);
}

async function usableFolder(folders: readonly string[], own: string): Promise<string | null> {
  for (const folder of folders) if (await isWritable(folder)) return folder;
  try {
    await mkdir(own, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    // Another user may have created a folder or a symbolic link of that name, so it is checked with lstat.
    const found = await lstat(own);
    const ours = found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0;
    return ours ? own : null;
  } catch {
    return null;
  }
}

async function isWritable(folder: string): Promise<boolean> {
  try {
    await access(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}

/** `nerve-1a2b3c4d` for `/etc/nerve/nerve.yaml`: its name for people, and a hash of its path. Short: a socket's path has at most 107 bytes. */
async function ownName({ program, configFile, env }: Owner): Promise<string> {
  if (configFile === undefined) return `${program}-${digest(env.NERVE_SERVICE ?? '')}`;
  const path = await realpath(configFile).catch(() => configFile);
  const name = basename(path, extname(path))
    .replace(/[^A-Za-z0-9_-]/g, '_')
    .slice(0, 24);
  return `${name}-${digest(path)}`;
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}
