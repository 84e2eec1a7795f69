import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, extname, resolve } from 'node:path';
import { isObject } from './formats.ts';

/** The names of the services in a configuration file and its `service_conf_dir`; ignores all other errors. @throws when the file cannot be read */
export async function serviceNames(file: string): Promise<readonly string[]> {
  const { parseText } = await import('./parse.ts');
  const value = parseText(await readFile(file, 'utf8'), file, []);
  if (!isObject(value)) return [];
  const own = isObject(value.services) ? Object.keys(value.services) : [];
  const { service_conf_dir: folder } = value;
  if (typeof folder !== 'string') return own;
  const files = await readdir(resolve(dirname(file), folder)).catch(() => []);
  return [...own, ...files.map((name) => basename(name, extname(name)))];
}
