import { chmod, mkdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Stack } from './stack.ts';

/** Leads to the folder of the demo that was started last. */
const link = fileURLToPath(new URL('../../../.cache/demo', import.meta.url));

/** Creates `folder` with a script for each program that runs its command line. */
export async function writePrograms(
  folder: string,
  programs: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  await mkdir(folder);
  for (const [name, argv] of Object.entries(programs)) {
    await writeFile(join(folder, name), `#!/bin/sh\nexec ${argv.map(quoted).join(' ')} "$@"\n`);
    await chmod(join(folder, name), 0o755);
  }
}

/**
 * Lets a second terminal use the stack: `. .cache/demo/env` puts `nerve` and `synapse` on its PATH and sets the variables
 * that name their configuration files.
 * @returns a function that removes the link again, unless a later demo has replaced it
 */
export async function openToShells({ folder, instances, synapse, haproxy, etcd }: Stack): Promise<() => Promise<void>> {
  const [first] = instances;
  if (first === undefined) throw new Error('a demo needs an instance');
  const bin = join(folder, 'bin');
  await writePrograms(bin, { nerve: first.nerve.argv, synapse: synapse.argv });
  const variables = {
    NERVE_CONFIG: first.nerve.configFile,
    SYNAPSE_CONFIG: synapse.configFile,
    ETCD: etcd.urls.join(','),
    HAPROXY_SOCKET: haproxy.socket,
    API_1: String(first.process.pid),
  };
  const lines = Object.entries(variables).map(([name, value]) => `export ${name}=${quoted(value)}\n`);
  await writeFile(join(folder, 'env'), `export PATH=${quoted(bin)}:"$PATH"\n${lines.join('')}`);
  await mkdir(dirname(link), { recursive: true });
  const fresh = `${link}.${process.pid}`;
  await rm(fresh, { force: true });
  await symlink(folder, fresh);
  await rename(fresh, link);
  return async () => {
    if ((await readlink(link).catch(() => undefined)) === folder) await rm(link, { force: true });
  };
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
