import { hostname } from 'node:os';
import type { Schema } from '../../../common/config/config.ts';
import { anyText, listOf, mapOf, oneOrList, textLike } from '../../../common/config/json-values.ts';
import { fraction, nameSuffix, optionalPath, optionalText, sections, seed, stringOrList } from './formats.ts';
import { type ReloadFreeOptions, reloadFree, reloadFreeJson } from './reload-free.ts';
import type { FileTemplate } from './template.ts';

/** The top-level `haproxy` section, and the template that it names. */
export interface HaproxyConfig extends HaproxyOptions {
  /** The template at `template_path`. */
  readonly template?: FileTemplate;
  /** False where HAProxy is known to be too old for `init-state`, which commands replace then. */
  readonly knowsInitState?: boolean;
}

/** The options of the section. Names are SmartStack's unless marked otherwise. Durations are in milliseconds. */
export interface HaproxyOptions {
  readonly global: readonly string[];
  readonly defaults: readonly string[];
  readonly extra_sections: Readonly<Record<string, readonly string[]>>;
  readonly shared_frontend: readonly string[] | null;
  readonly bind_address: string;
  readonly frontend_suffix: string | null;
  readonly config_file_path: string | null;
  /** Not SmartStack's. */
  readonly template_path: string | null;
  readonly candidate_config_file_path: string | null;
  /** One runtime API socket, or one for each HAProxy process. */
  readonly socket_file_path: string | readonly string[] | null;
  readonly master_socket_path: string | null;
  readonly haproxy_path: string;
  readonly do_writes: boolean;
  readonly do_socket: boolean;
  readonly do_reloads: boolean;
  readonly do_checks: boolean | null;
  readonly check_command: string | null;
  readonly check_timeout: number;
  readonly reload_command: string | null;
  readonly reload_timeout: number;
  /** Not SmartStack's. */
  readonly watched: boolean;
  /** Not SmartStack's. */
  readonly reload_free_services: ReloadFreeOptions | null;
  /** Null: 2 s, and a second reload may follow the first at once. */
  readonly restart_interval: number | null;
  readonly restart_jitter: number;
  /** Not SmartStack's. */
  readonly service_reload_interval: number;
  readonly drain_timeout: number;
  /** Not SmartStack's. */
  readonly sticky_drain_timeout: number;
  readonly delete_servers: boolean | null;
  readonly delete_servers_after: number;
  readonly server_order_seed: string | number | null;
  readonly max_server_id: number;
  readonly use_nerve_weights: boolean | null;
  readonly trust_server_options: readonly string[];
  readonly state_file_path: string | null;
  readonly state_file_ttl: number;
}

/** Keywords that an announcer may set on its own server unless `trust_server_options` says otherwise. */
export const defaultTrustedOptions: readonly string[] = [
  'backup',
  'weight',
  'maxconn',
  'cookie',
  'check',
  'inter',
  'fastinter',
  'downinter',
  'rise',
  'fall',
  'port',
  'slowstart',
  'id',
];

/** The schema of {@link HaproxyOptions}. */
export const haproxySchema: Schema<HaproxyOptions> = {
  global: { doc: "Lines of HAProxy's global section.", format: 'lines', default: [] },
  defaults: { doc: "Lines of HAProxy's defaults section.", format: 'lines', default: [] },
  extra_sections: {
    doc: 'More sections, title → lines, written as they are. synapse never touches their servers.',
    format: sections,
    json: mapOf(listOf(anyText)),
    type: 'object',
    default: {},
  },
  shared_frontend: {
    doc: 'Lines of one frontend that services add their own shared_frontend lines to.',
    format: 'optional-lines',
    default: null,
  },
  bind_address: {
    doc: 'Address that frontends bind unless their service says otherwise.',
    format: 'string',
    default: 'localhost',
  },
  frontend_suffix: {
    doc: "What follows a service's name in the name of its frontend. Default: nothing up to HAProxy 3.2; '.in' from 3.3, which refuses a frontend and a backend of one name.",
    format: nameSuffix,
    json: textLike('^[A-Za-z0-9_.:-]*$'),
    type: 'string',
    default: null,
  },
  config_file_path: optionalPath('The haproxy.cfg that synapse writes.', 'file to write'),
  template_path: optionalPath(
    'A mustache template of your own for the whole file; synapse/haproxy/README.md says what it can use. Default: built in.',
    'file',
  ),
  candidate_config_file_path: optionalPath(
    'Where a new file is written and checked first, with the owner, group and permissions of config_file_path; same file system. Default: in the private folder .synapse/ beside the file, where no watcher looks.',
    'file to write',
  ),
  socket_file_path: {
    doc: "Path of HAProxy's runtime API socket (level admin), or a list with one per HAProxy process.",
    format: stringOrList,
    json: oneOrList({ type: 'string', minLength: 1 }, { minItems: 1 }),
    names: 'socket',
    default: null,
  },
  master_socket_path: optionalPath(
    "Path of the master process's socket (haproxy -W -S PATH), through which synapse reloads.",
    'socket',
  ),
  haproxy_path: {
    doc: 'The haproxy program, for checking a new file.',
    format: 'string',
    names: 'file of a program',
    default: 'haproxy',
  },
  do_writes: { doc: 'Write config_file_path.', format: Boolean, default: true },
  do_socket: { doc: 'Change the running HAProxy through its runtime API.', format: Boolean, default: true },
  do_reloads: {
    doc: 'Reload HAProxy when something changed that the runtime API cannot change.',
    format: Boolean,
    default: true,
  },
  do_checks: {
    doc: 'Check a new file before it replaces the old one. Default: with check_command if given, else with `haproxy -c` where the program is installed.',
    format: 'optional-boolean',
    default: null,
  },
  check_command: optionalText(
    'Shell command that checks the new file at candidate_config_file_path; fails when it must not be used.',
  ),
  check_timeout: { doc: 'How long a check may take.', format: 'duration', default: 60_000 },
  reload_command: optionalText('Shell command that reloads HAProxy, when there is no master socket.'),
  reload_timeout: {
    doc: 'How long a reload may take before it counts as failed.',
    format: 'duration',
    default: 60_000,
  },
  watched: {
    doc: 'A program watches config_file_path and reloads HAProxy whenever it is replaced, as for a HAProxy in a container of its own. synapse asks for no reload then, writes at most once per second, and writes changes that are live already 30s later.',
    format: Boolean,
    default: false,
  },
  reload_free_services: {
    doc: 'Services on these ports come and go without a reload: {ports: FIRST-LAST, listen: [lines], frontend, backend}. HAProxy listens on all of them from the start; services must have just these lines. Their backends are called port-PORT. Default: none.',
    format: reloadFree,
    json: reloadFreeJson,
    type: 'object',
    default: null,
  },
  restart_interval: {
    doc: 'At least this long between two reloads. Default: one per 2s, of which the second may follow the first at once.',
    format: 'optional-duration',
    default: null,
  },
  restart_jitter: {
    doc: 'Lengthens restart_interval by a random part of it, up to this factor.',
    format: fraction,
    json: { type: 'number', minimum: 0, maximum: 100 },
    type: 'number',
    default: 0,
  },
  service_reload_interval: {
    doc: 'What the records of one service want of HAProxy beyond its runtime API, such as other options of a server, may cause three reloads one after the other, and then one per this time. Without the runtime API (`do_socket: false`), where every change of a server is a reload, it is 20, and then three per this time. Changes of the configuration file do not count. 0: no limit.',
    format: 'duration',
    default: 30_000,
  },
  drain_timeout: {
    doc: 'How long a drained server that is withdrawn may finish its connections before it goes into maintenance.',
    format: 'duration',
    default: 30_000,
  },
  sticky_drain_timeout: {
    doc: 'In a backend with persistence (cookie, stick), clients come back to a drained server. While a command such as `nerve drain --wait` waits for the drain, the server goes into maintenance as soon as it has no connections, or after this time; then clients go to other servers.',
    format: 'duration',
    default: 30_000,
  },
  delete_servers: {
    doc: 'Delete servers that left from the running HAProxy, 3.0 or newer, after delete_servers_after. Default: from 3.2 on. Otherwise they stay in maintenance until a reload.',
    format: 'optional-boolean',
    default: null,
  },
  delete_servers_after: {
    doc: 'How long a server has to be out of service and without connections before it is deleted.',
    format: 'duration',
    default: 60_000,
  },
  server_order_seed: {
    doc: 'Seed of the order of servers that are neither sorted nor in discovery order. Default: made from the host name.',
    format: seed,
    json: { type: ['number', 'string'] },
    type: 'number or string',
    default: null,
  },
  max_server_id: { doc: 'Largest server id to give out.', format: 'positive-integer', default: 65_535 },
  use_nerve_weights: {
    doc: 'true: weights from the registry replace those in server_options; false: they are ignored. Default: they are used where server_options has no weight.',
    format: 'optional-boolean',
    default: null,
  },
  trust_server_options: {
    doc: "Server keywords that are accepted from the registry's haproxy_server_options; '*' accepts all.",
    format: 'strings',
    default: [...defaultTrustedOptions],
  },
  state_file_path: optionalPath(
    "SmartStack's place of the top level's state_file_path, which is used when that one is not given.",
    'file to write',
  ),
  state_file_ttl: {
    doc: 'How long the entry of a service in that file may be used.',
    format: 'duration',
    default: 86_400_000,
  },
};

/** The runtime API sockets, in order. */
export function socketPaths(config: Pick<HaproxyConfig, 'socket_file_path'>): readonly string[] {
  const value = config.socket_file_path;
  if (value === null) return [];
  return typeof value === 'string' ? [value] : value;
}

/** True when a program watches the file and reloads HAProxy, and synapse never does. */
export function isReloadedByOthers(config: HaproxyConfig): boolean {
  return config.watched && config.reload_command === null && config.master_socket_path === null;
}

/** How the file is used, which decides how soon and how often it may be written. */
export type FileUse =
  /** Changes of servers are live already; the file follows for the next reload. */
  | 'merged'
  /** The file is the only way to HAProxy. */
  | 'only'
  /** Changes of servers are live already, and each write makes a program reload HAProxy. */
  | 'watched';

/** How these options use the file. */
export function fileUse(config: HaproxyConfig): FileUse {
  if (!config.do_socket) return 'only';
  return config.watched ? 'watched' : 'merged';
}

/** The seed of the shuffle. By default this host's name: the order differs between hosts and stays over restarts. */
export function orderSeed(config: Pick<HaproxyConfig, 'server_order_seed'>): string {
  return String(config.server_order_seed ?? hostname());
}
