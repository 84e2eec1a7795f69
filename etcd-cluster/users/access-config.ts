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
import { type Permission, rangeOf, rootName } from './access-plan.ts';
import { type AccessUser, passwordProperty, rootMessage } from './access-user.ts';
import { readNerves } from './nerve-users.ts';

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
  password: passwordProperty,
};

/**
 * Reads the configuration file.
 * @throws {ConfigError} with every problem in it
 */
export async function readAccess(file: string): Promise<AccessConfig> {
  const document = await readConfig(file);
  const problems: Problem[] = [];
  const options = validate(etcdSchema, document.value.etcd, { path: 'etcd', problems });
  if (problems.length === 0) {
    try {
      checkEtcdOptions(options);
    } catch (error) {
      problems.push({ path: 'etcd', message: reasonOf(error) });
    }
  }
  const users = readUsers(document.value, problems);
  settleProblems(problems, document);
  return { etcd: options, users };
}

/**
 * The users in the file that prove themselves with a certificate. The variables of the connection and of passwords need not
 * be set.
 * @throws {ConfigError} with every problem in the users
 */
export async function readCertificateUsers(file: string): Promise<readonly string[]> {
  const document = await readConfig(file, { raw: ['etcd', 'password'] });
  const problems: Problem[] = [];
  const users = readUsers(document.value, problems);
  settleProblems(problems, document);
  return users.filter(({ password }) => password === null).map(({ name }) => name);
}

function readUsers(document: Readonly<Record<string, unknown>>, problems: Problem[]): readonly AccessUser[] {
  const { etcd: _, users = {}, nerves, ...unknown } = document;
  for (const key of Object.keys(unknown)) {
    problems.push({ path: key, message: `unknown key; ${knownHint(key, ['etcd', 'nerves', 'users'])}` });
  }
  if (!isObject(users))
    problems.push({ path: 'users', message: 'must be an object with the rights of each user by its name' });
  const own = Object.entries(isObject(users) ? users : {}).map(([name, value]) => readUser(name, value, problems));
  const all = [...readNerves(nerves, problems), ...own];
  if (all.length === 0) problems.push({ path: '', message: 'has no users: add nerves or users' });
  for (const [index, { name }] of all.entries()) {
    if (all.findIndex((other) => other.name === name) < index)
      problems.push({ path: 'users', message: `the user ${name} is named twice` });
  }
  return all;
}

function readUser(name: string, value: unknown, problems: Problem[]): AccessUser {
  const path = joinPath('users', name);
  if (name === rootName) problems.push({ path, message: rootMessage });
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
