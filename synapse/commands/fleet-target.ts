import { hostname } from 'node:os';
import type { CommandContext } from '../../common/cli/program.ts';
import { type Problem, readConfig, settleProblems } from '../../common/config/config.ts';
import { formats, isObject } from '../../common/config/formats.ts';
import type { EtcdClient } from '../../common/etcd/client/client.ts';
import { prefixRange } from '../../common/etcd/client/key-value.ts';
import { type EtcdOptions, readEtcdSection } from '../../common/etcd/client/options.ts';
import { etcdFolder, readEtcdPath } from '../../common/etcd/records/service-folder.ts';
import { list } from '../../common/etcd/watch/list.ts';
import { type FleetConfig, readFleetMember } from '../../common/fleet/options.ts';
import type { Progress } from '../../common/fleet/progress.ts';

/** Whom a command asks, and where. */
export interface FleetTarget {
  readonly etcd: EtcdOptions;
  readonly fleet: FleetConfig;
  /** The folder of keys of each service that is found with `method: etcd`. */
  readonly paths: ReadonlyMap<string, string>;
}

/** The exit code of commands that ask the fleet. */
export const missing = { 4: 'proxies are missing, and named; also when no proxy takes part' } as const;

/**
 * Reads from the configuration only what is needed to ask the fleet: the sections `etcd` and `fleet`, and the paths of services.
 * So a person can have a file with rights of their own, of which nothing else has to be right.
 * @throws {ConfigError} when these cannot be used
 */
export async function fleetTarget({
  env,
  openLog,
  needConfig,
}: Pick<CommandContext, 'env' | 'openLog' | 'needConfig'>): Promise<FleetTarget> {
  const document = await readConfig(needConfig(), { env, raw: ['haproxy', 'services'] });
  const problems: Problem[] = [];
  const etcd = readEtcdSection(document.value.etcd, problems);
  const fleet = readFleetMember(document.value.fleet, problems, 'command');
  if (fleet === false) problems.push({ path: 'fleet', message: 'is false: this command has no fleet to ask' });
  settleProblems(problems, document, await openLog());
  return { etcd, fleet: fleet || { path: '' }, paths: pathsOf(document.value.services) };
}

function pathsOf(services: unknown): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  for (const [name, section] of Object.entries(isObject(services) ? services : {})) {
    const discovery = isObject(section) && isObject(section.discovery) ? section.discovery : {};
    const path = discovery.method === 'etcd' ? folderIn(discovery, name) : undefined;
    if (path !== undefined) paths.set(name, path);
  }
  return paths;
}

/** The folder that the source `etcd` follows with these options; undefined when they cannot be used. */
function folderIn({ path, leading_slash: slash }: Readonly<Record<string, unknown>>, service: string) {
  // A variable of the environment of synapse, which this command may not have.
  if (typeof path === 'string' && path.includes('${')) return undefined;
  try {
    const options = {
      path: path === undefined ? undefined : readEtcdPath(path),
      leading_slash: slash === undefined ? undefined : formats.boolean(slash),
    };
    return etcdFolder(options, service);
  } catch {
    // Nothing else of the file has to be right.
    return undefined;
  }
}

/** The folder of a service's keys. */
export function pathOf({ paths }: FleetTarget, service: string, given: unknown): string {
  if (typeof given === 'string') return given.replace(/\/+$/, '');
  return paths.get(service) ?? `/nerve/services/${service}`;
}

/** The key of a server below a path: the one that has its name as the last segment. Without one, directly below the path. */
export async function keyOfServer(
  client: EtcdClient,
  { path, server }: { readonly path: string; readonly server: string },
  signal: AbortSignal,
): Promise<string> {
  const { entries } = await list(client, prefixRange(`${path}/`), signal);
  const keys = [...entries.keys()].filter((key) => key.endsWith(`/${server}`));
  // As in the catalog: the one at the least depth is used.
  keys.sort((a, b) => a.split('/').length - b.split('/').length || (a < b ? -1 : 1));
  return keys[0] ?? `${path}/${server}`;
}

/** Who asks, for people. */
export function asker(command: string): string {
  return `${command} on ${hostname()}`;
}

/** What a person can do about an outcome that is no answer. */
export function hintOf({ outcome }: Progress): string {
  if (outcome !== 'denied') return '';
  return '; name a configuration with -c whose user may write below fleet.path/requests/ and read fleet.path/, such as the operator of etcd-cluster/access.yaml';
}
