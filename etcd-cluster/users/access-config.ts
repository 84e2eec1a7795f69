import {
  joinPath,
  type Problem,
  readConfig,
  type Schema,
  settleProblems,
  validate,
} from '../../common/config/config.ts';
import { isObject } from '../../common/config/formats.ts';
import { reasonOf } from '../../common/daemon/log.ts';
import { checkEtcdOptions, type EtcdOptions, etcdSchema } from '../../common/etcd/client/options.ts';
import { knownHint } from '../../common/nearest.ts';
import { type Permission, rangeOf, type UserRights } from './access-plan.ts';

/** A user as configured. */
export interface AccessUser extends UserRights {
  /** Null: the user proves itself with a certificate that has its name. */
  readonly password: string | null;
}

/** A configuration file of `etcd-cluster/access`. */
export interface AccessConfig {
  /** The connection to etcd, as root. */
  readonly etcd: EtcdOptions;
  readonly users: readonly AccessUser[];
}

interface UserOptions {
  readonly read: readonly string[];
  readonly write: readonly string[];
  readonly password: string | null;
}

const userSchema: Schema<UserOptions> = {
  read: { doc: 'Keys that the user may read.', format: readKeys, default: [] },
  write: { doc: 'Keys that the user may read, write and delete.', format: readKeys, default: [] },
  password: {
    doc: 'Password; default none: the user has a certificate.',
    format: readPassword,
    default: null,
    sensitive: true,
    nullable: true,
  },
};

/**
 * Reads the configuration file.
 * @throws {ConfigError} with every problem in it
 */
export async function readAccess(file: string): Promise<AccessConfig> {
  const document = await readConfig(file);
  const problems: Problem[] = [];
  const { etcd, users, ...unknown } = document.value;
  for (const key of Object.keys(unknown))
    problems.push({ path: key, message: `unknown key; ${knownHint(key, ['etcd', 'users'])}` });
  const options = validate(etcdSchema, etcd, { path: 'etcd', problems });
  if (problems.length === 0) {
    try {
      checkEtcdOptions(options);
    } catch (error) {
      problems.push({ path: 'etcd', message: reasonOf(error) });
    }
  }
  if (!isObject(users))
    problems.push({ path: 'users', message: 'must be an object with the rights of each user by its name' });
  const accessUsers = Object.entries(isObject(users) ? users : {}).map(([name, value]) =>
    readUser(name, value, problems),
  );
  settleProblems(problems, document);
  return { etcd: options, users: accessUsers };
}

function readUser(name: string, value: unknown, problems: Problem[]): AccessUser {
  const path = joinPath('users', name);
  if (name === 'root') problems.push({ path, message: 'root has all rights; its password is etcd.password' });
  const { read, write, password } = validate(userSchema, value, { path, problems });
  const permissions: Permission[] = [
    ...write.map((where) => ({ ...rangeOf(where), may: 'both' as const })),
    ...read.filter((where) => !write.includes(where)).map((where) => ({ ...rangeOf(where), may: 'read' as const })),
  ];
  if (permissions.length === 0) problems.push({ path, message: 'has no rights: add read or write' });
  return { name, permissions, password };
}

function readKeys(value: unknown): readonly string[] {
  const list = typeof value === 'string' ? [value] : value;
  if (!Array.isArray(list) || !list.every((item) => typeof item === 'string' && item !== '')) {
    throw new Error('must be a list of keys; one that ends with / is for every key below it: [/nerve/services/api/]');
  }
  return list;
}

function readPassword(value: unknown): string | null {
  if (value === null) return null;
  if (typeof value !== 'string' || value === '') throw new Error('must be a non-empty string');
  return value;
}
