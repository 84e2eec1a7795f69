import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '../repository.ts';

/** The text of a file of the repository. */
export const read = (path: string): Promise<string> => readFile(join(root, path), 'utf8');

/** Not a walk through the whole repository, where other tests unpack programs meanwhile. */
const folders = ['common', 'nerve', 'synapse', 'deploy', 'etcd-cluster', 'test/simulation'];
const below = async (folder: string): Promise<readonly string[]> =>
  (await readdir(join(root, folder), { recursive: true })).map((path) => join(folder, path));
/** Every page of the repository. */
export const pages = [...(await readdir(root)), ...(await Promise.all(folders.map(below))).flat()]
  .filter((path) => path.endsWith('.md'))
  .toSorted();
/** The pages whose commands have a test of their own. */
export const elsewhere = pages.filter((page) =>
  /^(deploy\/(.*\/)?README\.md|etcd-cluster\/.*|CHANGELOG\.md)$/.test(page),
);
/** All others. */
export const tried = pages.filter((page) => !elsewhere.includes(page));
