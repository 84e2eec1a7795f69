import type { FileFacts, Files } from '../../../common/host.ts';

/** A file in memory. */
export interface MemoryFile {
  text: string;
  mode: number;
  changedAt: Date;
}

function factsOf({ mode, text, changedAt }: MemoryFile): FileFacts {
  return { kind: 'file', mode, uid: 0, gid: 0, identity: `${text.length} ${changedAt.getTime()}` };
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
    async write(path, content, { how, mode: ordinary = 0o644, access }) {
      const mode = access?.mode ?? ordinary;
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
    async changeAccess(path, { mode }) {
      find(path).mode = mode;
    },
    facts: async (path) => factsOf(find(path)),
    linkFacts: async (path) => {
      const file = all.get(path);
      if (file !== undefined) return factsOf(file);
      // A name with a dot in its last part is that of a file.
      if (/\.[^/]*$/.test(path)) find(path);
      return { kind: 'folder', mode: 0o755, uid: 0, gid: 0, identity: path };
    },
    async readLink(path) {
      throw Object.assign(new Error(`EINVAL: not a symbolic link, ${path}`), { code: 'EINVAL' });
    },
    async isWritableFolder() {
      return true;
    },
    async touch(path, time) {
      const file = all.get(path) ?? { text: '', mode: 0o644, changedAt: time };
      file.changedAt = time;
      all.set(path, file);
    },
    async syncFolder() {},
  };
}
