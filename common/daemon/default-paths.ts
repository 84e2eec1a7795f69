import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, extname, join } from 'node:path';
import { type Files, thisHost } from '../host.ts';
import { Untrusted, whyNotPrivate, whyUntrusted } from '../trust.ts';
import { reasonOf } from './log.ts';

/** The daemon that the path belongs to. Two daemons on one host have different configuration files. */
export interface Owner {
  readonly program: 'nerve' | 'synapse';
  /** Undefined when the configuration comes from the environment. */
  readonly configFile: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A path, or why there is none. */
export type DefaultPath =
  | { readonly path: string; readonly reason: null }
  | { readonly path: null; readonly reason: string };

/**
 * The default path of a daemon's control socket: in systemd's `$RUNTIME_DIRECTORY`, else in `/run/PROGRAM` where that is
 * writable, else in a private folder of this user in the temporary folder. None in a folder of another user.
 */
export function defaultSocket(owner: Owner, files: Files = thisHost.files): Promise<DefaultPath> {
  return defaultPath(owner, { folders: runtimeFolders(owner), extension: 'sock' }, files);
}

/** The default path of a daemon's state file: a folder that survives a reboot, if there is one. */
export function defaultStateFile(owner: Owner, files: Files = thisHost.files): Promise<DefaultPath> {
  const folders = [...listed(owner.env.STATE_DIRECTORY), `/var/lib/${owner.program}`, ...runtimeFolders(owner)];
  return defaultPath(owner, { folders, extension: 'json' }, files);
}

/**
 * For commands: the socket in one of the folders of {@link defaultSocket}, or its first path. Creates nothing.
 * @throws {Untrusted} when another user may have made the folder that the socket is in
 */
export async function findSocket(owner: Owner, files: Files = thisHost.files): Promise<string> {
  const name = `${await ownName(owner)}.sock`;
  const paths = [...runtimeFolders(owner), privateFolder(owner)].map((folder) => join(folder, name));
  for (const path of paths) {
    // A folder that this user cannot enter is of another daemon.
    const facts = await files.linkFacts(path).catch(() => undefined);
    if (facts === undefined) continue;
    const why = path === paths.at(-1) ? await whyNotPrivate(privateFolder(owner), files) : null;
    if (why !== null) throw new Untrusted(`${path} is not used, because of other users: ${why}; ${fixes(owner)}`);
    return path;
  }
  return paths[0] as string;
}

function fixes(owner: Owner): string {
  return `remove ${privateFolder(owner)}, or set admin.control_socket to a path in a folder that only ${owner.program}'s user can write to`;
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

async function defaultPath(
  owner: Owner,
  { folders, extension }: { readonly folders: readonly string[]; readonly extension: string },
  files: Files,
): Promise<DefaultPath> {
  const reasons: string[] = [];
  for (const folder of folders) {
    if (!(await files.isWritableFolder(folder))) continue;
    const why = await whyUntrusted(folder, files);
    if (why === null) return { path: join(folder, `${await ownName(owner)}.${extension}`), reason: null };
    reasons.push(why);
  }
  const own = privateFolder(owner);
  const why = await whyUnusable(own, files);
  if (why === null) return { path: join(own, `${await ownName(owner)}.${extension}`), reason: null };
  return { path: null, reason: [...reasons, `${why}; remove it`].join('; ') };
}

/** Makes the private folder, or says why the one that is there is not used: another user may have made it. */
async function whyUnusable(own: string, files: Files): Promise<string | null> {
  try {
    await files.makeFolder(own, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    return await whyNotPrivate(own, files);
  } catch (error) {
    return `${own} cannot be used: ${reasonOf(error)}`;
  }
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
