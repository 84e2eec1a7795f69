import type { Problem } from '../common/config.ts';
import { joinPath, validate } from '../common/config.ts';
import type { EtcdOptions } from '../common/etcd/options.ts';
import { isObject } from '../common/formats.ts';
import { reasonOf, silentLog } from '../common/log.ts';
import { loadPlugin } from '../common/plugin.ts';
import type { Discovery } from './discovery.ts';
import { type SourceContext, type SourcePlugin, sourceFolder } from './source.ts';

/** Keys of a `discovery` section that every method has. */
const commonKeys = ['method', 'label_filter', 'label_filters'];

/**
 * Reads a `discovery` section: finds the method's file and checks the options against the schema in it. Undefined when
 * there are problems.
 */
export async function readDiscovery(
  value: unknown,
  at: { readonly path: string; readonly problems: Problem[] },
  from: { readonly service: string; readonly etcd: EtcdOptions; readonly ports?: Readonly<Record<string, unknown>> },
): Promise<Discovery | undefined> {
  const { path, problems } = at;
  if (!isObject(value)) {
    const message = `must be an object with a method, such as {method: etcd}`;
    problems.push({ path, message: value === undefined ? `is required: ${message}` : message });
    return undefined;
  }
  const { method } = value;
  if (typeof method !== 'string') {
    const message = 'must be the name of a discovery method, such as etcd';
    problems.push({
      path: joinPath(path, 'method'),
      message: method === undefined ? `is required: ${message}` : message,
    });
    return undefined;
  }
  let plugin: SourcePlugin<unknown>;
  try {
    plugin = await loadPlugin<SourcePlugin<unknown>>(sourceFolder, method);
  } catch (error) {
    problems.push({ path: joinPath(path, 'method'), message: reasonOf(error) });
    return undefined;
  }
  const found: Problem[] = [];
  const section = plugin.takesPorts === true ? { ...from.ports, ...value } : value;
  const options = validate(plugin.schema, section, { path, problems: found }, { elsewhere: commonKeys });
  problems.push(...found);
  if (found.some(({ severity }) => severity !== 'warning')) return undefined;
  const discovery: Discovery = {
    method,
    options,
    takesPorts: plugin.takesPorts === true,
    create: (context) => plugin.create(options, context),
  };
  try {
    discovery.create({
      service: from.service,
      etcd: from.etcd,
      log: silentLog,
      rejected() {},
      gone() {},
      shared: refuse,
    });
  } catch (error) {
    problems.push({ path, message: reasonOf(error) });
  }
  return discovery;
}

/** Making a source opens nothing; only a running one may. */
const refuse: SourceContext['shared'] = () => {
  throw new Error('a source must not connect before it runs');
};
