import type { Stats } from 'node:fs';
import {
  access,
  chmod,
  chown,
  constants,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
} from 'node:fs/promises';
import { connect, isIP, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { onAbort } from './async/abort.ts';
import { type ExecOptions, type ExecResult, exec } from './daemon/exec.ts';
import { createNameLookup, type LookUpName } from './net/name-lookup.ts';

/** The properties of a file that the daemons use. */
export interface FileFacts {
  readonly kind: 'file' | 'folder' | 'link' | 'socket' | 'other';
  /** Permissions, such as 0o640, with the sticky bit and the like. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Changes when the file is replaced or edited. */
  readonly identity: string;
}

/** Who may do what with a file. */
export interface Access {
  /** Exactly these permissions; the umask has no say. */
  readonly mode: number;
  /** By number; undefined: those that a new file of this process has. */
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

/** How a file is opened for writing. */
export interface WriteFileOptions {
  /** `new`: it must not exist; `existing`: it must exist, and its text is replaced in place. */
  readonly how: 'new' | 'existing';
  /** Permissions of a new file, less the umask. Default 0644. */
  readonly mode?: number;
  /** Instead of `mode`. Until the new file has all of it, it is empty and only this process's user can open it. */
  readonly access?: Access;
}

/** The file system. Errors are Node's own, with `code`. */
export interface Files {
  /** @throws with ENOENT when the file does not exist */
  read(path: string): Promise<string>;
  /**
   * Writes and syncs one file. Not atomic by itself: see `common/file.ts`.
   * @throws with `syscall: 'fchown'` when this process may not give the file to that owner or group
   */
  write(path: string, content: string | Buffer, options: WriteFileOptions): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Does nothing when the file does not exist. */
  remove(path: string): Promise<void>;
  list(folder: string): Promise<readonly string[]>;
  /** @throws with EEXIST when the folder exists and `recursive` is not set */
  makeFolder(path: string, options?: { readonly recursive?: boolean; readonly mode?: number }): Promise<void>;
  /** Sets the owner, the group and the permissions of a file or folder. */
  changeAccess(path: string, access: Access): Promise<void>;
  /** Of the file that a symbolic link leads to. @throws with ENOENT when the file does not exist */
  facts(path: string): Promise<FileFacts>;
  /** Of a symbolic link itself. @throws with ENOENT when there is nothing */
  linkFacts(path: string): Promise<FileFacts>;
  /** The text of a symbolic link. */
  readLink(path: string): Promise<string>;
  /** Whether this process may make files in a folder. */
  isWritableFolder(path: string): Promise<boolean>;
  /** Sets the time of the last change; makes an empty file when there is none. */
  touch(path: string, time: Date): Promise<void>;
  /** Makes renames in this folder survive a power cut. */
  syncFolder(path: string): Promise<void>;
}

/** Where something listens. */
export interface TcpAddress {
  /** An IP address. */
  readonly host: string;
  readonly port: number;
}

/** What a TCP connection met: it was accepted, it was refused, or nothing came in time. */
export type ConnectResult = 'answers' | 'refused' | 'silent';

/**
 * The machine as the daemons use it, except time: files, programs and sockets. `run.ts` hands it in, so that a simulation
 * can run a daemon on a simulated machine. Time and chance: `async/clock.ts`. etcd: `etcd/client/`.
 */
export interface Host {
  readonly files: Files;
  /** Runs a program; see `daemon/exec.ts`. */
  readonly exec: (
    argv: readonly [string, ...string[]],
    options: ExecOptions,
    signal?: AbortSignal,
  ) => Promise<ExecResult>;
  /** Begins to open a unix socket, such as HAProxy's runtime API; `connect` or `error` follows as with `node:net`. */
  readonly connectUnix: (path: string) => Socket;
  /**
   * Tries to open one TCP connection and closes it at once; `silent` when `signal` aborts first, and for a host that is no IP
   * address. Never rejects.
   */
  readonly tryConnect: (address: TcpAddress, signal: AbortSignal) => Promise<ConnectResult>;
  /** Finds the addresses of a host name; see `net/name-lookup.ts`. */
  readonly lookUpName: LookUpName;
  /** The IP addresses of this machine, loopback included, at this moment. */
  readonly ownAddresses: () => readonly string[];
}

const files: Files = {
  read: (path) => readFile(path, 'utf8'),
  async write(path, content, { how, mode = 0o644, access: exact }) {
    const file = await open(path, how === 'new' ? 'wx' : 'r+', exact === undefined ? mode : 0o600);
    try {
      if (how === 'new' && exact !== undefined) {
        const now = await file.stat();
        const { uid = now.uid, gid = now.gid } = exact;
        if (uid !== now.uid || gid !== now.gid) await file.chown(uid, gid);
        // After the owner: the permissions of the group are for the right group, and chown takes some permissions away.
        await file.chmod(exact.mode);
      }
      await file.writeFile(content);
      if (how === 'existing') await file.truncate(Buffer.byteLength(content));
      await file.sync();
    } finally {
      await file.close();
    }
  },
  rename,
  remove: (path) => rm(path, { force: true }),
  list: (folder) => readdir(folder),
  async makeFolder(path, options = {}) {
    await mkdir(path, options);
  },
  async changeAccess(path, { mode, uid, gid }) {
    const now = await stat(path);
    if ((uid ?? now.uid) !== now.uid || (gid ?? now.gid) !== now.gid) await chown(path, uid ?? now.uid, gid ?? now.gid);
    await chmod(path, mode);
  },
  facts: async (path) => factsOf(await stat(path)),
  linkFacts: async (path) => factsOf(await lstat(path)),
  readLink: (path) => readlink(path),
  isWritableFolder: (path) =>
    access(path, constants.W_OK | constants.X_OK).then(
      () => true,
      () => false,
    ),
  async touch(path, time) {
    const file = await open(path, 'a');
    try {
      await file.utimes(time, time);
    } finally {
      await file.close();
    }
  },
  async syncFolder(path) {
    const folder = await open(path, 'r');
    try {
      await folder.sync();
    } catch (error) {
      // Some file systems (FUSE, some network ones) refuse fsync on a folder; the rename itself is atomic all the same.
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== 'EINVAL' && code !== 'ENOTSUP' && code !== 'EPERM') throw error;
    } finally {
      await folder.close();
    }
  },
};

function factsOf(stats: Stats): FileFacts {
  const { mode, uid, gid, ino, size, mtimeMs } = stats;
  const kind = stats.isFile()
    ? 'file'
    : stats.isDirectory()
      ? 'folder'
      : stats.isSymbolicLink()
        ? 'link'
        : stats.isSocket()
          ? 'socket'
          : 'other';
  return { kind, mode: mode & 0o7777, uid, gid, identity: `${ino} ${size} ${mtimeMs}` };
}

function tryConnect({ host, port }: TcpAddress, signal: AbortSignal): Promise<ConnectResult> {
  return new Promise((resolve) => {
    // Node.js would look a name up in a thread that file access needs too.
    if (signal.aborted || isIP(host) === 0) {
      resolve('silent');
      return;
    }
    const socket = connect({ host, port });
    const done = (result: ConnectResult): void => {
      release();
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', () => done('answers'));
    // Other errors, such as EHOSTUNREACH, say nothing of a process that listens.
    socket.on('error', (error: NodeJS.ErrnoException) => done(error.code === 'ECONNREFUSED' ? 'refused' : 'silent'));
    const release = onAbort(signal, () => done('silent'));
  });
}

function ownAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((all = []) => all.map(({ address }) => address));
}

/** The machine this process runs on. */
export const thisHost: Host = {
  files,
  exec,
  connectUnix: (path) => connect({ path }),
  tryConnect,
  lookUpName: createNameLookup({ files }),
  ownAddresses,
};
