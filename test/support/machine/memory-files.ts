import type { Files } from '../../../common/host.ts';

/** A file in memory. */
export interface MemoryFile {
  text: string;
  mode: number;
  changedAt: Date;
}

/** A file system in memory, with the files by path. Its folders exist. */
export function memoryFiles(): Files & { readonly all: ReadonlyMap<string, MemoryFile> } {
  const all = new Map<string, MemoryFile>();
  const find = (path: string): MemoryFile => {
    const file = all.get(path);
    if (file === undefined) throw Object.assign(new Error(`ENOENT: no such file, ${path}`), { code: 'ENOENT' });
    return file;
  };
  return {
    all,
    read: async (path) => find(path).text,
    async write(path, content, { how, mode = 0o644 }) {
      const text = content.toString();
      if (how === 'existing') find(path).text = text;
      else if (all.has(path)) throw Object.assign(new Error(`EEXIST: file exists, ${path}`), { code: 'EEXIST' });
      else all.set(path, { text, mode, changedAt: new Date() });
    },
    async rename(from, to) {
      all.set(to, find(from));
      all.delete(from);
    },
    async remove(path) {
      all.delete(path);
    },
    async list(folder) {
      const prefix = `${folder}/`;
      return [...all.keys()].filter((path) => path.startsWith(prefix)).map((path) => path.slice(prefix.length));
    },
    async makeFolder() {},
    async changeMode(path, mode) {
      find(path).mode = mode;
    },
    async facts(path) {
      const { mode, text, changedAt } = find(path);
      return { mode, uid: 0, gid: 0, identity: `${text.length} ${changedAt.getTime()}` };
    },
    async touch(path, time) {
      const file = all.get(path) ?? { text: '', mode: 0o644, changedAt: time };
      file.changedAt = time;
      all.set(path, file);
    },
    async syncFolder() {},
  };
}
