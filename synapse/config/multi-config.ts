import { isError, joinPath, type Problem, type SectionContext, validate } from '../../common/config/config.ts';
import { isObject } from '../../common/config/formats.ts';
import { reasonOf } from '../../common/daemon/log.ts';
import { knownHint } from '../../common/nearest.ts';
import type { Discovery, DiscoveryFrom, ReadDiscovery } from '../discovery/discoverer.ts';
import { multiSource } from '../discovery/multi/multi.ts';
import type { Part } from '../discovery/multi/parts.ts';
import type { ResolverPlugin } from '../discovery/multi/resolver.ts';
import { resolverFolder } from '../discovery/multi/resolver-folder.ts';
import { readFilters } from './filters.ts';
import { loadOwnOrOurs } from './user-module.ts';

/** What the parts of a section are read with. */
interface PartReader {
  readonly from: DiscoveryFrom;
  readonly read: ReadDiscovery;
}

/** The path of the section that became `watchers.primary` of a service with `discovery_multi`. */
const primaryAt = Symbol('path of the primary source');

/**
 * Reads SmartStack's `discovery_multi` beside `discovery` as the method `multi`, with `discovery` as the source
 * `primary` after the listed ones.
 */
export function withDiscoveryMulti(
  discovery: unknown,
  multi: unknown,
  at: SectionContext,
  primaryPath: string,
): unknown {
  const { path, problems } = at;
  if (!isObject(multi)) {
    problems.push({ path, message: 'must be an object with watchers and resolver' });
    return discovery;
  }
  const { method = 'multi', watchers, ...rest } = multi;
  if (method !== 'multi') {
    problems.push({ path: joinPath(path, 'method'), message: 'must be multi, or left out' });
  }
  if (watchers !== undefined && !isObject(watchers)) return { ...rest, method: 'multi', watchers };
  const { primary, ...others } = watchers ?? {};
  if (primary !== undefined) {
    const message = 'is ignored: the primary source is that of discovery';
    problems.push({ path: joinPath(joinPath(path, 'watchers'), 'primary'), message, severity: 'warning' });
  }
  return { ...rest, method: 'multi', watchers: { ...others, primary: discovery }, [primaryAt]: primaryPath };
}

/** Reads `method: multi`: sources by name, and the resolver that decides between them. */
export async function readMulti(
  section: Readonly<Record<string | symbol, unknown>>,
  at: SectionContext,
  reader: PartReader,
): Promise<Discovery | undefined> {
  const { path, problems } = at;
  const { method: _, module: __, watchers, resolver, label_filter, label_filters, ...unknown } = section;
  for (const key of Object.keys(unknown)) {
    problems.push({
      path: joinPath(path, key),
      message: `unknown key; ${knownHint(key, ['watchers', 'resolver', 'label_filters'])}`,
    });
  }
  const watchersPath = joinPath(path, 'watchers');
  if (!isObject(watchers) || Object.keys(watchers).length === 0) {
    const message = watchers === undefined ? 'is required: watchers not defined' : 'watcher config is empty';
    problems.push({ path: watchersPath, message: `${message}; must be an object of discovery sections by name` });
    return undefined;
  }
  const parts: Part[] = [];
  for (const [name, child] of Object.entries(watchers)) {
    const own = name === 'primary' ? section[primaryAt] : undefined;
    const childPath = typeof own === 'string' ? own : joinPath(watchersPath, name);
    const part = await readPart({ name, value: child }, { path: childPath, problems }, reader);
    if (part !== undefined) parts.push(part);
  }
  const names = Object.keys(watchers);
  const found = await readResolver(resolver, names, { path: joinPath(path, 'resolver'), problems });
  return found && parts.length === names.length ? discoveryOf('multi', parts, found) : undefined;
}

/** Reads `fallback: {method, …, after}` inside a `discovery` section. */
export async function readFallback(
  section: Readonly<Record<string, unknown>>,
  at: SectionContext,
  reader: PartReader,
): Promise<Discovery | undefined> {
  const { fallback, ...discovery } = section;
  const path = joinPath(at.path, 'fallback');
  if (!isObject(fallback)) {
    at.problems.push({ path, message: 'must be an object with a method, such as {method: ec2tag, …, after: 30s}' });
    return undefined;
  }
  const { after = '30s', ...other } = fallback;
  const primary = await readPart({ name: 'primary', value: discovery }, at, reader);
  const second = await readPart({ name: 'fallback', value: other }, { ...at, path }, reader);
  const order = { method: 'sequential', sequential_order: ['primary', 'fallback'], after };
  const resolver = await readResolver(order, order.sequential_order, { ...at, path });
  if (primary === undefined || second === undefined || resolver === undefined) return undefined;
  return discoveryOf(`${primary.discovery.method}, else ${second.discovery.method}`, [primary, second], resolver);
}

async function readPart(
  { name, value }: { readonly name: string; readonly value: unknown },
  at: SectionContext,
  reader: PartReader,
): Promise<Part | undefined> {
  const filters = isObject(value) ? readFilters(value, at) : [];
  const { from, read } = reader;
  const discovery = await read(value, at, from);
  if (discovery === undefined) return undefined;
  return { name, discovery, filters, portOverride: discovery.takesPorts === true ? undefined : from.ports?.port };
}

interface FoundResolver {
  readonly plugin: ResolverPlugin<unknown>;
  readonly options: unknown;
  /** Plain data that is equal for equal resolvers. */
  readonly identity: unknown;
}

async function readResolver(
  value: unknown,
  names: readonly string[],
  at: SectionContext,
): Promise<FoundResolver | undefined> {
  const { path, problems } = at;
  if (!isObject(value) || typeof value.method !== 'string') {
    const message = value === undefined ? 'is required: resolver not defined' : 'resolver method undefined';
    problems.push({ path, message: `${message}; must be an object such as {method: sequential}` });
    return undefined;
  }
  const { method, module, ...given } = value;
  try {
    const plugin = await loadOwnOrOurs<ResolverPlugin<unknown>>(resolverFolder, method as string, module);
    const found: Problem[] = [];
    const options = validate(plugin.schema, given, { path, problems: found });
    problems.push(...found);
    if (found.some(isError)) return undefined;
    plugin.create(options, names);
    return { plugin, options, identity: { method, module, options } };
  } catch (error) {
    problems.push({ path, message: reasonOf(error) });
    return undefined;
  }
}

function discoveryOf(method: string, parts: readonly Part[], { plugin, options, identity }: FoundResolver): Discovery {
  const names = parts.map(({ name }) => name);
  return {
    method,
    // Plain data: two equal ones find the same instances.
    options: {
      resolver: identity,
      parts: parts.map(({ name, discovery, filters, portOverride }) => {
        return { name, method: discovery.method, options: discovery.options, filters, portOverride };
      }),
    },
    takesPorts: true,
    create: (context) => multiSource(parts, () => plugin.create(options, names), context),
    async inspect(request) {
      const found = await Promise.all(parts.map(({ discovery }) => discovery.inspect?.(request) ?? []));
      return found.flat();
    },
  };
}
