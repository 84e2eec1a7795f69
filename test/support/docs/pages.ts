import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { shell } from '../../../common/daemon/exec.ts';
import { findProgram } from '../../../deploy/tools/debian/programs.ts';
import { root } from '../repository.ts';

const page = join(root, 'etcd-cluster/README.md');

/** All of etcd-cluster/README.md. */
export function pageText(): Promise<string> {
  return readFile(page, 'utf8');
}

/** The block of shell commands in etcd-cluster/README.md that has this in it. @throws when there is none, or more than one */
export async function pageBlock(has: RegExp): Promise<string> {
  const blocks = [...(await pageText()).matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block ?? '');
  const found = blocks.filter((block) => has.test(block));
  assert.equal(found.length, 1, `etcd-cluster/README.md has ${found.length} blocks with ${has}`);
  return found[0] as string;
}

/** Runs commands of the page with etcd's own programs on the PATH. @returns what they print, errors and warnings last */
export async function runBlock(block: string, env: NodeJS.ProcessEnv, cwd: string): Promise<string> {
  const folders = await Promise.all(
    (['etcdctl', 'etcdutl'] as const).map(async (name) => dirname(await findProgram(name, { version: '3.5' }))),
  );
  const PATH = [...folders, process.env.PATH].join(delimiter);
  const { code, stdout, stderr } = await shell(`set -eu\n${block}`, { timeoutMs: 120_000, cwd, env: { PATH, ...env } });
  assert.equal(code, 0, `${block}\n${stdout}${stderr}`);
  return stdout + stderr;
}
