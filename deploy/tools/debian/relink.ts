import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { exec } from '../../../common/daemon/exec.ts';

/** Makes programs load the libraries that are unpacked beside them instead of the machine's own. */
export async function relink(options: { tree: string; root: string; patchelf: string }): Promise<void> {
  const { tree, root, patchelf } = options;
  const files = (await readdir(tree, { recursive: true, withFileTypes: true })).filter((entry) => !entry.isDirectory());
  const inRoot = (entry: { parentPath: string; name: string }) =>
    join(root, join(entry.parentPath, entry.name).slice(tree.length));
  const loader = files.find((entry) => /^ld-linux.*\.so\.\d$/.test(entry.name));
  if (loader === undefined) throw new Error('libc6 has no dynamic loader where one was expected');
  const folders = new Set(
    files.filter((entry) => /\.so(\.|$)/.test(entry.name)).map((entry) => join(inRoot(entry), '..')),
  );
  for (const entry of files) {
    const file = join(entry.parentPath, entry.name);
    if (!entry.isFile() || entry === loader || !(await hasInterpreter(file, patchelf))) continue;
    const patched = await exec(
      [patchelf, '--set-interpreter', inRoot(loader), '--force-rpath', '--set-rpath', [...folders].join(':'), file],
      { timeoutMs: 60_000 },
    );
    if (patched.code !== 0) throw new Error(`patchelf: ${patched.stderr.trim()}`);
  }
}

/** True for programs that the dynamic loader starts, false for libraries, scripts and static programs. */
async function hasInterpreter(file: string, patchelf: string): Promise<boolean> {
  if (/\.so(\.|$)/.test(file)) return false;
  const handle = await open(file);
  try {
    const { buffer } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    if (buffer.toString('latin1') !== '\x7fELF') return false;
  } finally {
    await handle.close();
  }
  return (await exec([patchelf, '--print-interpreter', file], { timeoutMs: 60_000 })).code === 0;
}
