import { adminSchema } from '../../common/admin/options.ts';
import { isObject } from '../../common/config/formats.ts';
import { type NamedPath, pathsIn } from '../../common/config/named-paths.ts';
import { joinPath } from '../../common/config/problem.ts';
import { etcdSchema } from '../../common/etcd/client/options.ts';
import { type CheckTypes, ownCheckTypes } from '../check.ts';
import { nerveSchema } from './config.ts';
import { defaultListen } from './listen.ts';

/** All paths that a configuration names. `value`: a valid configuration, as it was read. */
export async function pathsOfNerve(
  value: Readonly<Record<string, unknown>>,
  types: CheckTypes = ownCheckTypes,
): Promise<readonly NamedPath[]> {
  return [
    ...pathsIn(nerveSchema, value, ''),
    ...pathsIn(etcdSchema, value.etcd, 'etcd'),
    ...pathsIn(adminSchema(defaultListen), value.admin, 'admin'),
    ...(await pathsOfChecks(value.services, 'services', types)),
  ];
}

/** A list `checks` may be at several places of a service: its own, and those of its instances. */
async function pathsOfChecks(value: unknown, at: string, types: CheckTypes): Promise<readonly NamedPath[]> {
  const found: NamedPath[] = [];
  for (const [key, item] of isObject(value) ? Object.entries(value) : []) {
    const path = joinPath(at, key);
    if (key === 'checks' && Array.isArray(item)) {
      for (const [index, check] of item.entries()) {
        if (!isObject(check) || typeof check.type !== 'string') continue;
        const { schema } = await types.load(check.type);
        found.push(...pathsIn(schema, check, joinPath(path, index)));
      }
    } else found.push(...(await pathsOfChecks(item, path, types)));
  }
  return found;
}
