import { dirname } from 'node:path';
import type { FileFacts, Files } from '../../../common/host.ts';
import type { Scheduler } from './scheduler.ts';

interface StoredFile {
  text: string;
  mode: number;
  inode: number;
  changedAt: number;
}

function failure(code: string, call: string, path: string): Error {
  const words: Readonly<Record<string, string>> = {
    ENOENT: 'no such file or directory',
    EEXIST: 'file already exists',
    ENOSPC: 'no space left on device',
    EIO: 'i/o error',
    EINVAL: 'invalid argument',
  };
  return Object.assign(new Error(`${code}: ${words[code]}, ${call} '${path}'`), { code, syscall: call, path });
}

/** The file system of one simulated host. It outlives the processes. */
export class SimulatedDisk {
  /** Folders of file systems that are full. */
  readonly #full = new Set<string>();
  readonly #files = new Map<string, StoredFile>();
  readonly #folders = new Set<string>(['/']);
  readonly #scheduler: Scheduler;
  #inodes = 1;

  constructor(scheduler: Scheduler, folders: readonly string[]) {
    this.#scheduler = scheduler;
    for (const folder of folders) this.#addFolders(folder);
  }

  /** Nothing more can be written below a folder, until {@link SimulatedDisk.clear}. */
  fill(folder: string): void {
    this.#full.add(folder);
  }

  clear(folder: string): void {
    this.#full.delete(folder);
  }

  /** True when nothing can be written at a path. */
  isFull(path: string): boolean {
    return [...this.#full].some((folder) => path.startsWith(folder));
  }

  /** The text of a file now; undefined when it is not there. */
  peek(path: string): string | undefined {
    return this.#files.get(path)?.text;
  }

  get paths(): readonly string[] {
    return [...this.#files.keys()].sort();
  }

  /** Puts a file there, as another program would. */
  plant(path: string, text: string): void {
    this.#addFolders(dirname(path));
    this.#files.set(path, { text, mode: 0o644, inode: this.#inodes++, changedAt: this.#scheduler.now() });
  }

  /** What a process of this host uses. Each call takes a moment. */
  get files(): Files {
    return {
      read: (path) => this.#later(() => this.#existing(path, 'open').text),
      write: (path, content, { how, mode: ordinary = 0o644, access }) =>
        this.#later(() => {
          const mode = access?.mode ?? ordinary;
          const text = content.toString();
          if (how === 'new') {
            if (!this.#folders.has(dirname(path))) throw failure('ENOENT', 'open', path);
            if (this.#files.has(path)) throw failure('EEXIST', 'open', path);
            if (this.isFull(path)) throw failure('ENOSPC', 'write', path);
            this.#files.set(path, { text, mode, inode: this.#inodes++, changedAt: this.#scheduler.now() });
            return;
          }
          const file = this.#existing(path, 'open');
          if (this.isFull(path)) throw failure('ENOSPC', 'write', path);
          file.text = text;
          file.changedAt = this.#scheduler.now();
        }),
      rename: (from, to) =>
        this.#later(() => {
          const file = this.#existing(from, 'rename');
          this.#files.delete(from);
          this.#files.set(to, file);
        }),
      remove: (path) => this.#later(() => void this.#files.delete(path)),
      list: (folder) =>
        this.#later(() => {
          if (!this.#folders.has(folder)) throw failure('ENOENT', 'scandir', folder);
          return this.paths.filter((path) => dirname(path) === folder).map((path) => path.slice(folder.length + 1));
        }),
      makeFolder: (path, { recursive = false } = {}) =>
        this.#later(() => {
          if (this.#folders.has(path) && !recursive) throw failure('EEXIST', 'mkdir', path);
          if (!recursive && !this.#folders.has(dirname(path))) throw failure('ENOENT', 'mkdir', path);
          this.#addFolders(path);
        }),
      touch: (path) =>
        this.#later(() => {
          const file = this.#files.get(path);
          if (file === undefined) this.plant(path, '');
          else file.changedAt = this.#scheduler.now();
        }),
      changeAccess: (path, { mode }) =>
        this.#later(() => {
          if (!this.#folders.has(path)) this.#existing(path, 'chmod').mode = mode;
        }),
      facts: (path) => this.#later(() => this.#facts(path)),
      linkFacts: (path) => this.#later(() => this.#facts(path)),
      readLink: (path) => Promise.reject(failure('EINVAL', 'readlink', path)),
      isWritableFolder: (path) => this.#later(() => this.#folders.has(path)),
      syncFolder: () => this.#later(() => {}),
    };
  }

  /** There are no symbolic links. */
  #facts(path: string): FileFacts {
    if (this.#folders.has(path)) return { kind: 'folder', mode: 0o755, uid: 0, gid: 0, identity: path };
    const { mode, inode, text, changedAt } = this.#existing(path, 'stat');
    return { kind: 'file', mode, uid: 0, gid: 0, identity: `${inode} ${text.length} ${changedAt}` };
  }

  #existing(path: string, call: string): StoredFile {
    const file = this.#files.get(path);
    if (file === undefined) throw failure('ENOENT', call, path);
    return file;
  }

  #addFolders(path: string): void {
    for (let folder = path; !this.#folders.has(folder); folder = dirname(folder)) this.#folders.add(folder);
  }

  #later<T>(run: () => T): Promise<T> {
    const owner = this.#scheduler.current;
    return new Promise((resolve, reject) => {
      this.#scheduler.at(
        0.2 + this.#scheduler.random() * 0.5,
        () => {
          try {
            resolve(run());
          } catch (error) {
            reject(error);
          }
        },
        owner,
      );
    });
  }
}
