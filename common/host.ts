import { chmod, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { onAbort } from './async/abort.ts';
import { type ExecOptions, type ExecResult, exec } from './daemon/exec.ts';

/** The properties of a file that the daemons use. */
export interface FileFacts {
  /** Permissions, such as 0o640. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Changes when the file is replaced or edited. */
  readonly identity: string;
}

/** How a file is opened for writing. */
export interface WriteFileOptions {
  /** `new`: it must not exist; `existing`: it must exist, and its text is replaced in place. */
  readonly how: 'new' | 'existing';
  /** Permissions of a new file, default 0644. */
  readonly mode?: number;
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/** The file system. Errors are Node's own, with `code`. */
export interface Files {
  /** @throws with ENOENT when the file does not exist */
  read(path: string): Promise<string>;
  /** Writes and syncs one file. Not atomic by itself: see `common/file.ts`. */
  write(path: string, content: string | Buffer, options: WriteFileOptions): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Does nothing when the file does not exist. */
  remove(path: string): Promise<void>;
  list(folder: string): Promise<readonly string[]>;
  /** @throws with EEXIST when the folder exists and `recursive` is not set */
  makeFolder(path: string, options?: { readonly recursive?: boolean; readonly mode?: number }): Promise<void>;
  changeMode(path: string, mode: number): Promise<void>;
  /** @throws with ENOENT when the file does not exist */
  facts(path: string): Promise<FileFacts>;
  /** Sets the time of the last change; makes an empty file when there is none. */
  touch(path: string, time: Date): Promise<void>;
  /** Makes renames in this folder survive a power cut. */
  syncFolder(path: string): Promise<void>;
}

/** Where something listens. */
export interface TcpAddress {
  /** An IP address or a host name. */
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
  /** Tries to open one TCP connection and closes it at once; `silent` when `signal` aborts first. Never rejects. */
  readonly tryConnect: (address: TcpAddress, signal: AbortSignal) => Promise<ConnectResult>;
}

const files: Files = {
  read: (path) => readFile(path, 'utf8'),
  async write(path, content, { how, mode = 0o644, owner }) {
    const file = await open(path, how === 'new' ? 'wx' : 'r+', mode);
    try {
      if (owner !== undefined) await file.chown(owner.uid, owner.gid);
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
  changeMode: chmod,
  async facts(path) {
    const { mode, uid, gid, ino, size, mtimeMs } = await stat(path);
    return { mode: mode & 0o7777, uid, gid, identity: `${ino} ${size} ${mtimeMs}` };
  },
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

function tryConnect({ host, port }: TcpAddress, signal: AbortSignal): Promise<ConnectResult> {
  return new Promise((resolve) => {
    if (signal.aborted) {
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
    // Other errors, such as EHOSTUNREACH and a name that cannot be resolved, say nothing of a process that listens.
    socket.on('error', (error: NodeJS.ErrnoException) => done(error.code === 'ECONNREFUSED' ? 'refused' : 'silent'));
    const release = onAbort(signal, () => done('silent'));
  });
}

/** The machine this process runs on. */
export const thisHost: Host = { files, exec, connectUnix: (path) => connect({ path }), tryConnect };
