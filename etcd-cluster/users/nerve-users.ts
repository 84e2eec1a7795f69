import { type Problem, type Schema, validate } from '../../common/config/config.ts';
import { prefixRange } from '../../common/etcd/client/key-value.ts';
import { fleetKeys } from '../../common/fleet/keys.ts';
import { fleetSchema } from '../../common/fleet/options.ts';
import type { Instance } from '../../common/instance.ts';
import { isInstanceName } from '../../common/instance-fields.ts';
import { type Permission, rootName } from './access-plan.ts';
import { type AccessUser, passwordProperty, rootMessage } from './access-user.ts';

/** One entry of `nerves`: the user of the nerves that announce these services. */
interface NerveOptions {
  readonly user: string;
  readonly services: readonly string[];
  readonly paths: readonly string[];
  readonly instance_id: string | null;
  readonly fleet: string | false;
  readonly password: string | null;
}

/** Where nerve announces a service that has no `etcd_path` of its own. */
const defaultPath = '/nerve/services';

const nerveSchema: Schema<NerveOptions> = {
  user: { doc: 'Name of the user.', format: 'non-empty-string', default: null },
  services: {
    doc: 'Services that the user announces below /nerve/services/.',
    format: readServices,
    type: 'list',
    default: [],
  },
  paths: {
    doc: 'Paths of services that have an etcd_path of their own.',
    format: readPaths,
    type: 'list',
    default: [],
  },
  instance_id: {
    doc: "The instance_id of the user's nerve: then it may write only the keys of its own instances.",
    format: readInstanceId,
    default: null,
    nullable: true,
  },
  fleet: {
    doc: "fleet.path of the user's nerve, or false: it may ask the synapses whether they have applied a change, and read the answers.",
    format: readFleet,
    default: fleetSchema.path.default as string,
  },
  password: passwordProperty,
};

interface NerveUser extends AccessUser {
  readonly prefixes: readonly string[];
}

/** Reads the list `nerves`. Reports two nerves of which one may write the keys of the other only because of its name. */
export function readNerves(value: unknown, problems: Problem[]): readonly AccessUser[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) {
    problems.push({
      path: 'nerves',
      message: 'must be a list of nerves, such as - { user: nerve-api, services: [api] }',
    });
    return [];
  }
  const users = value.map((item, index) => readNerve(item, `nerves[${index}]`, problems));
  for (const [index, user] of users.entries()) {
    const covering = users.find((other) => other !== user && isCovered(user, other));
    if (covering === undefined) continue;
    const message =
      `the keys of this instance_id begin with ${covering.prefixes[0]}, so that ${covering.name} could write them: ` +
      'choose instance_ids of which none is the beginning of another, up to an underscore';
    problems.push({ path: `nerves[${index}].instance_id`, message });
  }
  return users.map(({ name, permissions, password }) => ({ name, permissions, password }));
}

function readNerve(value: unknown, path: string, problems: Problem[]): NerveUser {
  const { user, services, paths, instance_id: id, fleet, password } = validate(nerveSchema, value, { path, problems });
  if (user === rootName) problems.push({ path: `${path}.user`, message: rootMessage });
  const folders = [...services.map((service) => `${defaultPath}/${service}/`), ...paths.map((one) => `${one}/`)];
  if (folders.length === 0) problems.push({ path, message: 'has no rights: add services or paths' });
  const prefixes = [...new Set(folders)].map((folder) => (id === null ? folder : `${folder}${id}_`));
  const permissions = prefixes.map((prefix): Permission => ({ ...prefixRange(prefix), may: 'both' }));
  if (fleet !== false) {
    permissions.push({ ...prefixRange(fleetKeys(fleet).requests), may: 'both' });
    permissions.push({ ...prefixRange(`${fleet}/`), may: 'read' });
  }
  return { name: user ?? '', permissions, password, prefixes };
}

/** True when a range of `other`, which is for one `instance_id`, has keys of another `instance_id`. */
function isCovered(user: NerveUser, other: NerveUser): boolean {
  return other.prefixes.some(
    (outer) => outer.endsWith('_') && user.prefixes.some((inner) => inner !== outer && inner.startsWith(outer)),
  );
}

function readServices(value: unknown): readonly string[] {
  const list = typeof value === 'string' ? [value] : value;
  const isService = (item: unknown) => typeof item === 'string' && /^[^/\s]+$/.test(item);
  if (!Array.isArray(list) || !list.every(isService)) {
    throw new Error(
      'must be a list of names of services, such as [api, web]; a service with an etcd_path goes to paths',
    );
  }
  return list;
}

function readPaths(value: unknown): readonly string[] {
  const list = typeof value === 'string' ? [value] : value;
  const isPath = (item: unknown) => typeof item === 'string' && /^\/[^\s]*[^/\s]\/*$/.test(item);
  if (!Array.isArray(list) || !list.every(isPath)) {
    throw new Error('must be a list of etcd_paths of services, such as [/nerve/services/api]');
  }
  return list.map((item: string) => item.replace(/\/+$/, ''));
}

function readFleet(value: unknown): string | false {
  if (value === false) return false;
  const problems: Problem[] = [];
  const { path } = validate(fleetSchema, { path: value }, { path: '', problems });
  const [problem] = problems;
  if (problem !== undefined) throw new Error(`${problem.message.replace(/, not .*$/, '')}, or false`);
  return path;
}

function readInstanceId(value: unknown): Instance['name'] | null {
  if (value === null) return null;
  if (!isInstanceName(value))
    throw new Error('must be up to 128 of A-Z a-z 0-9 _ . : -, as in the configuration of nerve');
  return value;
}
