import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, it } from 'node:test';
import { globPattern } from '../common/glob.ts';
import { root } from './support/repository.ts';

const page = await readFile(join(root, 'CONTRIBUTING.md'), 'utf8');
const folders = ['common', 'nerve', 'synapse', 'etcd-cluster', 'deploy', 'test'];

/** All files, and all folders with a slash at their end. */
async function pathsBelow(folder: string): Promise<readonly string[]> {
  const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true });
  return entries.map((entry) => {
    const path = join(entry.parentPath, entry.name).slice(root.length);
    return entry.isDirectory() ? `${path}/` : path;
  });
}

const paths = [
  ...(await readdir(root)),
  ...folders.map((folder) => `${folder}/`),
  ...(await Promise.all(folders.map(pathsBelow))).flat(),
];

/** The paths between backticks in a text. */
function pathsIn(text: string): readonly string[] {
  const quoted = [...text.matchAll(/`([^`\n]+)`/g)].map(([, path = '']) => path);
  return quoted.filter((path) => /^[\w.*/-]+$/.test(path) && /\/|\.(?:ts|md|json)$/.test(path));
}

describe('CONTRIBUTING.md', () => {
  for (const path of new Set(pathsIn(page))) {
    // Named as a file that must not exist, or made by a command.
    if (path === 'index.ts' || path.startsWith('dist/')) continue;
    it(`names ${path}, which exists`, () => {
      const pattern = globPattern(path);
      assert.ok(paths.some((known) => pattern.test(path.includes('/') ? known : basename(known))));
    });
  }

  it('leads a change from etcd to HAProxy through at most 14 files', () => {
    const [, steps = ''] = /\n## The path of one change\n[^|]*((?:\|.*\n)+)/.exec(page) ?? [];
    const files = pathsIn(steps);
    assert.ok(files.length > 0 && files.length <= 14, `${files.length} files`);
    assert.equal(files[0], 'common/etcd/watch/watch-stream.ts');
    assert.equal(files.at(-1), 'synapse/haproxy/runtime/connection.ts');
  });
});
