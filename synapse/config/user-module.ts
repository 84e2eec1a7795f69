import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isObject } from '../../common/config/formats.ts';
import { loadPlugin, type PluginFolder } from '../../common/plugin.ts';

/** The properties that every plugin has. */
interface PluginShape {
  readonly description: string;
  readonly schema: unknown;
  readonly create: unknown;
}

/**
 * Loads one of our plugins by its name or, when `module` is given, a user's own plugin from that file. The file exports
 * it under the same name as our files do (`source`, `resolver`).
 * @throws saying what is wrong with the name or the file
 */
export async function loadOwnOrOurs<Plugin extends PluginShape>(
  folder: PluginFolder,
  name: string,
  module: unknown,
): Promise<Plugin> {
  if (module === undefined) return loadPlugin<Plugin>(folder, name);
  if (typeof module !== 'string' || !isAbsolute(module) || !/\.m?js$/.test(module)) {
    throw new Error('module: must be the absolute path of a .js or .mjs file');
  }
  let exported: Readonly<Record<string, unknown>>;
  try {
    exported = await import(pathToFileURL(module).href);
  } catch (error) {
    throw new Error(`module ${module}: cannot be loaded`, { cause: error });
  }
  const plugin = exported[folder.symbol];
  if (!isObject(plugin) || !isObject(plugin.schema) || typeof plugin.create !== 'function') {
    throw new Error(`module ${module}: must export '${folder.symbol}' with description, schema and create`);
  }
  return plugin as unknown as Plugin;
}
