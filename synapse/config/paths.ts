import { adminSchema } from '../../common/admin/options.ts';
import { isObject } from '../../common/config/formats.ts';
import { type NamedPath, pathsIn } from '../../common/config/named-paths.ts';
import { joinPath } from '../../common/config/problem.ts';
import { etcdSchema } from '../../common/etcd/client/options.ts';
import { loadPlugin, pluginNames } from '../../common/plugin.ts';
import { fileOutputSchema } from '../file-output.ts';
import { type HaproxyConfig, haproxySchema } from '../haproxy/options/config.ts';
import { type SourcePlugin, sourceFolder } from '../source.ts';
import { topSchema } from './config.ts';
import { defaultListen } from './listen.ts';

/** All paths that a configuration names and uses. `value`: a valid configuration, as it was read. */
export async function pathsOfSynapse(
  value: Readonly<Record<string, unknown>>,
  haproxy: HaproxyConfig,
): Promise<readonly NamedPath[]> {
  const unused = new Set([
    ...(haproxy.do_writes ? [] : ['haproxy.config_file_path', 'haproxy.candidate_config_file_path']),
    ...(value.state_file_path === undefined ? [] : ['haproxy.state_file_path']),
  ]);
  const isUsed = ({ path }: NamedPath): boolean =>
    !unused.has(path) && (haproxy.do_socket || !path.startsWith('haproxy.socket_file_path'));
  return [
    ...pathsIn(topSchema, value, ''),
    ...pathsIn(etcdSchema, value.etcd, 'etcd'),
    ...pathsIn(adminSchema(defaultListen), value.admin, 'admin'),
    ...pathsIn(fileOutputSchema, value.file_output, 'file_output'),
    ...pathsIn(haproxySchema, value.haproxy, 'haproxy').filter(isUsed),
    ...(await pathsOfSources(value.services, 'services', await pluginNames(sourceFolder))),
  ];
}

/** Sources are at several depths: of a service, of a fallback, and of several sources at once. */
async function pathsOfSources(value: unknown, at: string, methods: readonly string[]): Promise<readonly NamedPath[]> {
  if (!isObject(value)) return [];
  const { method, module } = value;
  const found: NamedPath[] = [];
  if (typeof method === 'string' && module === undefined && methods.includes(method)) {
    const { schema } = await loadPlugin<SourcePlugin<Record<string, unknown>>>(sourceFolder, method);
    found.push(...pathsIn(schema, value, at));
  }
  for (const [key, item] of Object.entries(value)) {
    found.push(...(await pathsOfSources(item, joinPath(at, key), methods)));
  }
  return found;
}
