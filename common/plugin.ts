import { readdir } from 'node:fs/promises';
import { reasonOf } from './daemon/log.ts';
import { knownHint } from './nearest.ts';

/** Plugins of one kind live in one folder, one file each: the file name is the name in the configuration. */
export interface PluginFolder {
  /** What a plugin is called in messages: 'check type', 'discovery method'. */
  readonly kind: string;
  readonly url: URL;
  /** The name under which each file exports its plugin: `check`, `source`. */
  readonly symbol: string;
  /** Other names that existing configurations use, such as SmartStack's `base` for `static`. */
  readonly aliases?: Readonly<Record<string, string>>;
}

/** The names of all plugins in a folder, sorted. Reads file names only; loads none of them. */
export async function pluginNames(folder: PluginFolder): Promise<readonly string[]> {
  const files = await readdir(folder.url);
  return files
    .map((file) => /^([a-z0-9_]+)\.[jt]s$/.exec(file)?.[1])
    .filter((name) => name !== undefined)
    .sort();
}

/**
 * Loads one plugin. Only names in the folder are imported, so a configuration cannot reach other files. What a plugin
 * imports is loaded only when a configuration uses it.
 * @throws when there is no such plugin; the message names the nearest one, or lists all of them
 */
export async function loadPlugin<Plugin>(folder: PluginFolder, name: string): Promise<Plugin> {
  const known = await pluginNames(folder);
  const file = folder.aliases?.[name] ?? name;
  if (!known.includes(file)) {
    throw new Error(`unknown ${folder.kind} ${JSON.stringify(name)}; ${knownHint(name, known)}`);
  }
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const module = (await import(new URL(`${file}.${extension}`, folder.url).href)) as Record<string, Plugin>;
  const plugin = module[folder.symbol];
  if (plugin === undefined) throw new Error(`${folder.kind} ${name}: its file exports no '${folder.symbol}'`);
  return plugin;
}

/**
 * Loads an npm package that only some configurations need. Never rejects: it resolves to a function that returns the
 * package, or throws an error that says what to install. Configurations that do not use the package never see the error.
 */
export async function optionalPackage<Module>(name: string, load: () => Promise<Module>): Promise<() => Module> {
  try {
    const module = await load();
    return () => module;
  } catch (error) {
    return () => {
      const missing = (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND';
      const reason = missing ? 'it is not installed' : reasonOf(error);
      throw new Error(`needs the npm package ${name}: ${reason}; npm install ${name}`, { cause: error });
    };
  }
}
