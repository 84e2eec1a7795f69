import { isError, joinPath, type Problem, type SectionContext, validate } from '../../common/config/config.ts';
import { isObject } from '../../common/config/formats.ts';
import { reasonOf, silentLog } from '../../common/daemon/log.ts';
import type { Discovery, DiscoveryFrom } from '../discovery/discoverer.ts';
import { type SourcePlugin, sourceFolder } from '../source.ts';
import { readFallback, readMulti } from './multi-config.ts';
import { loadOwnOrOurs } from './user-module.ts';

/** Keys that the `discovery` section of every method may have. */
const commonKeys = ['method', 'module', 'label_filter', 'label_filters'];

/**
 * Reads a `discovery` section: loads the file of the method and checks the options against its schema. With a
 * `fallback`, and with the method `multi`, it does that for each source. Undefined when there are problems.
 */
export async function readDiscovery(
  value: unknown,
  at: SectionContext,
  from: DiscoveryFrom,
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
  if (value.fallback !== undefined && value.fallback !== null)
    return readFallback(value, at, { from, read: readDiscovery });
  if (method === 'multi') return readMulti(value, at, { from, read: readDiscovery });
  const { fallback: _, ...section } = value;
  return readSource({ ...section, method }, at, from);
}

async function readSource(
  section: Readonly<Record<string, unknown>> & { readonly method: string },
  at: SectionContext,
  from: DiscoveryFrom,
): Promise<Discovery | undefined> {
  const { path, problems } = at;
  const { method, module } = section;
  let plugin: SourcePlugin<unknown>;
  try {
    plugin = await loadOwnOrOurs<SourcePlugin<unknown>>(sourceFolder, method, module);
  } catch (error) {
    problems.push({ path: joinPath(path, module === undefined ? 'method' : 'module'), message: reasonOf(error) });
    return undefined;
  }
  const found: Problem[] = [];
  const given = { ...portsFor(plugin, from), ...section };
  const options = validate(plugin.schema, given, { path, problems: found }, { elsewhere: commonKeys });
  problems.push(...found);
  if (found.some(isError)) return undefined;
  for (const { option, message } of plugin.warnings?.(options, from.service) ?? []) {
    problems.push({ path: joinPath(path, option), message, severity: 'warning' });
  }
  const discovery: Discovery = {
    method,
    options: module === undefined ? options : { module, options },
    takesPorts: plugin.takesPorts === true,
    create: (context) => plugin.create(options, context),
    ...(plugin.inspect !== undefined && {
      inspect: (request) => plugin.inspect?.(options, request) ?? Promise.resolve([]),
    }),
  };
  try {
    discovery.create({
      service: from.service,
      etcd: from.etcd,
      log: silentLog,
      rejected() {},
      dropped() {},
      gone() {},
      openEtcd: refuse,
      shared: refuse,
    });
  } catch (error) {
    problems.push({ path, message: reasonOf(error) });
  }
  return discovery;
}

/** The service's ports, as options of a source that takes them. */
function portsFor({ takesPorts, needsPort }: SourcePlugin<unknown>, { ports }: DiscoveryFrom): DiscoveryFrom['ports'] {
  if (takesPorts === true) return ports;
  return needsPort === true && ports?.port !== undefined ? { port: ports.port } : undefined;
}

/** Creating a source opens nothing; only a running one may. */
const refuse = (): never => {
  throw new Error('a source must not connect before it runs');
};
