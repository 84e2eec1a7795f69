import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Log } from '../daemon/log.ts';
import { isObject } from './formats.ts';
import { interpolate } from './interpolate.ts';
import { parseText } from './parse.ts';
import { ConfigError, isError, joinPath, type Problem, unreadable } from './problem.ts';
import { show } from './secrets.ts';

// Both daemons import these from here; each lives in a small file of its own.
export { ConfigError, formatProblem, isError, joinPath, type Problem, type SectionContext } from './problem.ts';
export { type Schema, type SchemaProperty, type ValidateOptions, validate } from './schema.ts';

/** A configuration as it was read: plain data with variables replaced, not validated yet. */
export interface Document {
  /** The main file, as the user named it. */
  readonly file: string;
  /** With `services` of `service_conf_dir` merged in. Keys are never `__proto__`. */
  readonly value: Readonly<Record<string, unknown>>;
  /** About the files, such as JSON that was read as YAML. */
  readonly warnings: readonly Problem[];
  /** The file that contains the option at this path. */
  fileOf(path: string): string;
}

/** How a configuration is read. */
export interface ReadOptions {
  /** Default: the process's own. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Options in which `${…}` is not replaced, see {@link interpolate}. */
  readonly raw?: readonly string[];
  /** The folder that `service_conf_dir` is relative to. Default: the working directory. */
  readonly cwd?: string;
}

/**
 * Reads a configuration file and the files of its `service_conf_dir`, and replaces environment variables. The folder is
 * searched in the working directory, as in SmartStack, and then beside the file.
 * @throws {ConfigError} with all problems in all files
 */
export async function readConfig(path: string, options: ReadOptions = {}): Promise<Document> {
  const { env = process.env, raw = [], cwd = process.cwd() } = options;
  const problems: Problem[] = [];
  const main = await readSection(path, { path: '', keys: [] }, { env, raw }, problems);
  const files = new Map<string, string>();

  const folder = main?.service_conf_dir;
  const services: Record<string, unknown> = isObject(main?.services) ? { ...main.services } : {};
  if (typeof folder === 'string') {
    const candidates = [resolve(cwd, folder), resolve(dirname(path), folder)];
    for (const [name, file] of await serviceFiles(candidates, { file: path, folder }, problems)) {
      const at = joinPath('services', name);
      services[name] = await readSection(file, { path: at, keys: ['services', name] }, { env, raw }, problems);
      files.set(at, file);
    }
  } else if (folder !== undefined && folder !== null) {
    problems.push({ file: path, path: 'service_conf_dir', message: `must be a folder's path, not ${show(folder)}` });
  }
  if (problems.some(isError)) throw new ConfigError(problems);

  // A `services` that is not an object stays: the caller reports it.
  const merged = isObject(main?.services) || files.size > 0 ? { ...main, services } : { ...main };
  const fileOf = (at: string): string => {
    const service = /^services(?:\.[A-Za-z0-9_-]+|\["(?:[^"\\]|\\.)*"\])/.exec(at)?.[0];
    return (service !== undefined ? files.get(service) : undefined) ?? path;
  };
  return { file: path, value: merged, warnings: problems, fileOf };
}

/**
 * Ends the validation of a document: logs its warnings.
 * @throws {ConfigError} with all errors, each with its file
 */
export function settleProblems(problems: readonly Problem[], document: Document, log?: Log): void {
  const placed = [
    ...document.warnings,
    ...problems.map((problem) => ({ file: document.fileOf(problem.path), ...problem })),
  ];
  if (placed.some(isError)) throw new ConfigError(placed);
  for (const { file, path, message } of placed) log?.warn('configuration warning', { file, path, reason: message });
}

interface Place {
  readonly path: string;
  readonly keys: readonly string[];
}

/**
 * Reads one file as an object of options; undefined, with its problems reported, when that fails. The key `$schema` names the
 * JSON Schema of the file for editors.
 */
async function readSection(
  file: string,
  place: Place,
  options: { readonly env: NonNullable<ReadOptions['env']>; readonly raw: readonly string[] },
  problems: Problem[],
): Promise<Record<string, unknown> | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    problems.push({ file, path: '', message: unreadable(error as NodeJS.ErrnoException) });
    return undefined;
  }
  const found: Problem[] = [];
  // A full disk or an unfinished copy leaves an empty file: at a reload it would remove every service.
  if (text.trim() === '') found.push({ path: '', message: 'is empty; write {} for a configuration without options' });
  // A file with only comments is an empty object: all defaults.
  const parsed = parseText(text, file, found) ?? {};
  if (!found.some(isError) && !isObject(parsed)) {
    found.push({ path: '', message: `must be an object of options, not ${show(parsed)}` });
  }
  reportReserved(parsed, '', found);
  const value = found.some(isError) ? undefined : interpolate(parsed, { ...options, keys: place.keys }, found);
  for (const problem of found) {
    const below = problem.path.startsWith('[') || problem.path === '' || place.path === '' ? '' : '.';
    problems.push({ file, ...problem, path: `${place.path}${below}${problem.path}` });
  }
  if (!isObject(value)) return undefined;
  const { $schema: _, ...section } = value;
  return section;
}

/** Refuses the key `__proto__`: no real option has this name, and one careless assignment would change every object. */
function reportReserved(value: unknown, path: string, problems: Problem[]): void {
  if (value === null || typeof value !== 'object') return;
  for (const [key, item] of Object.entries(value)) {
    const at = joinPath(path, Array.isArray(value) ? Number(key) : key);
    if (key === '__proto__') problems.push({ path: at, message: 'this name is reserved' });
    else reportReserved(item, at, problems);
  }
}

async function serviceFiles(
  candidates: readonly string[],
  from: { readonly file: string; readonly folder: string },
  problems: Problem[],
): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  const report = (message: string): void => {
    problems.push({ file: from.file, path: 'service_conf_dir', message });
  };
  for (const folder of candidates) {
    let names: string[];
    try {
      names = await readdir(folder);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      report(`${folder} ${unreadable(error as NodeJS.ErrnoException)}`);
      return files;
    }
    for (const name of names.toSorted()) {
      const service = /^([^.].*)\.(?:json|ya?ml)$/.exec(name)?.[1];
      if (service === undefined) continue;
      const file = join(folder, name);
      const other = files.get(service);
      if (other !== undefined) report(`${file} and ${other} are the same service`);
      else if (service === '__proto__') report(`${file}: this name is reserved`);
      else files.set(service, file);
    }
    if (files.size === 0 && !problems.some(isError)) {
      const message = `${folder} has no .json, .yaml or .yml files`;
      problems.push({ file: from.file, path: 'service_conf_dir', message, severity: 'warning' });
    }
    return files;
  }
  report(`there is no folder ${show(from.folder)}; tried ${[...new Set(candidates)].join(' and ')}`);
  return files;
}
