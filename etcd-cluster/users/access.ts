import { randomBytes } from 'node:crypto';
import { linkAbort } from '../../common/async/abort.ts';
import { reasonOf, silentLog } from '../../common/daemon/log.ts';
import { createEtcdClient, type EtcdClient } from '../../common/etcd/client/client.ts';
import type { Rpc } from '../../common/etcd/client/connection.ts';
import { EtcdError, isAnswer, isAuthOff } from '../../common/etcd/client/errors.ts';
import type { AccessConfig } from './access-config.ts';
import {
  type AccessState,
  formatStep,
  type OtherAccess,
  otherAccess,
  type Permission,
  planAccess,
  rootName,
  type Step,
} from './access-plan.ts';
import type { AccessUser } from './access-user.ts';

/** etcd's names of the permission types. */
const permissionTypes = { read: 'Read', write: 'Write', both: 'Readwrite' } as const;

/** How access is applied. */
export interface ApplyOptions {
  /** Only says what would be changed. */
  readonly dryRun: boolean;
  /** Removes the users and roles that the configuration does not name, besides root. */
  readonly removeOthers: boolean;
}

/** What was applied. */
export interface AppliedAccess {
  /** The changes as text; with `dryRun` they were not made. */
  readonly done: readonly string[];
  /** Users and roles that the configuration does not name, and that keep their rights. */
  readonly others: OtherAccess;
}

/**
 * Gives the users of `config` exactly their rights, and enables authentication. May be run again at any time: it changes
 * only what differs.
 * @throws {EtcdError} when a change fails; earlier changes are not undone
 */
export async function applyAccess(
  config: AccessConfig,
  { dryRun, removeOthers }: ApplyOptions,
  signal: AbortSignal,
): Promise<AppliedAccess> {
  const client = createEtcdClient(config.etcd, { log: silentLog }, signal);
  const enabled = await isEnabled(client);
  const done: string[] = [];
  const run = async (what: string, change: (rpc: Rpc) => Promise<unknown>): Promise<void> => {
    done.push(what);
    // Sent once: a second try would fail because the first one had made the change.
    if (!dryRun) await client.call(change, { maxTries: 1, attemptMs: 10_000, totalMs: 10_000 });
  };
  const state = await readState(client);
  const passwords = new Map(config.users.map((user) => [user.name, user.password]));
  const rootPassword = config.etcd.username === rootName ? config.etcd.password : null;
  // A random password is thrown away: then root has a certificate.
  const secret = rootPassword ?? randomPassword();
  passwords.set(rootName, secret);
  const others = otherAccess(state, config.users);
  const kept = removeOthers ? { users: [], roles: [] } : others;
  for (const step of planAccess(state, config.users, removeOthers ? others : undefined)) {
    await run(formatStep(step), requestFor(step, passwords));
  }
  for (const user of config.users) {
    if (!state.users.has(user.name) || (await hasPassword(config, user, { enabled }, signal))) continue;
    await run(`set the password of user ${user.name}`, (rpc) =>
      rpc.auth.userChangePassword({ name: user.name, password: String(user.password) }),
    );
  }
  if (enabled) return { done, others: kept };
  if (state.users.has(rootName)) {
    await run('set the password of user root', (rpc) =>
      rpc.auth.userChangePassword({ name: rootName, password: secret }),
    );
  }
  await run('enable authentication', (rpc) => rpc.auth.authEnable({}));
  if (!dryRun) await assertRoot(config, secret, signal);
  return { done, others: kept };
}

/** Disables authentication again when this client is not root: with a random password, no other client could. */
async function assertRoot(config: AccessConfig, secret: string, signal: AbortSignal): Promise<void> {
  const over = linkAbort(signal);
  try {
    const again = createEtcdClient(config.etcd, { log: silentLog }, over.signal);
    await again.call((rpc) => rpc.auth.userList(), { maxTries: 1, attemptMs: 10_000, totalMs: 10_000 });
  } catch (error) {
    // Without an answer from etcd it is not known whether this client is root.
    if (!(error instanceof EtcdError && isAnswer(error))) throw error;
    const root = { ...config.etcd, username: rootName, password: secret };
    await createEtcdClient(root, { log: silentLog }, over.signal).call((rpc) => rpc.auth.authDisable({}));
    throw new Error(
      `authentication is disabled again, because etcd does not accept this client as root (${reasonOf(error)}): set ` +
        'etcd.username to root with a password, or use a certificate of root with members that run with --client-cert-auth',
      { cause: error },
    );
  } finally {
    over.abort();
    over.release();
  }
}

/** Whether authentication is enabled. */
async function isEnabled(client: EtcdClient): Promise<boolean> {
  try {
    await client.call((rpc) => rpc.auth.authenticate({ name: rootName, password: '' }));
    return true;
  } catch (error) {
    if (!(error instanceof EtcdError)) throw error;
    if (isAuthOff(error.details)) return false;
    if (/authentication failed|user name is empty|invalid user|permission denied/.test(error.details)) return true;
    throw error;
  }
}

async function readState(client: EtcdClient): Promise<AccessState> {
  const { users } = await client.call((rpc) => rpc.auth.userList());
  const { roles } = await client.call((rpc) => rpc.auth.roleList());
  const state = { users: new Map<string, readonly string[]>(), roles: new Map<string, readonly Permission[]>() };
  for (const name of users) state.users.set(name, (await client.call((rpc) => rpc.auth.userGet({ name }))).roles);
  for (const role of roles) {
    const { perm } = await client.call((rpc) => rpc.auth.roleGet({ role }));
    const permissions = perm.map(({ permType, key, range_end: end }): Permission => {
      const may = permType === permissionTypes.both ? 'both' : permType === permissionTypes.read ? 'read' : 'write';
      return { key, end, may };
    });
    state.roles.set(role, permissions);
  }
  return state;
}

function requestFor(step: Step, passwords: ReadonlyMap<string, string | null>): (rpc: Rpc) => Promise<unknown> {
  const { name } = step;
  switch (step.do) {
    case 'add user':
      return (rpc) => rpc.auth.userAdd({ name, password: passwords.get(name) ?? randomPassword() });
    case 'add role':
      return (rpc) => rpc.auth.roleAdd({ name });
    case 'remove user':
      return (rpc) => rpc.auth.userDelete({ name });
    case 'remove role':
      return (rpc) => rpc.auth.roleDelete({ role: name });
    case 'give role':
      return (rpc) => rpc.auth.userGrantRole({ user: name, role: step.role });
    case 'take role':
      return (rpc) => rpc.auth.userRevokeRole({ name, role: step.role });
    case 'grant': {
      const { key, end } = step.permission;
      const perm = { permType: permissionTypes[step.permission.may], key, range_end: end };
      return (rpc) => rpc.auth.roleGrantPermission({ name, perm });
    }
    case 'revoke': {
      const { key, end } = step.permission;
      return (rpc) => rpc.auth.roleRevokePermission({ role: name, key, range_end: end });
    }
  }
}

/** True when the user has the configured password, or none is configured. While authentication is disabled, the answer is false. */
async function hasPassword(
  config: AccessConfig,
  { name, password }: AccessUser,
  { enabled }: { readonly enabled: boolean },
  signal: AbortSignal,
): Promise<boolean> {
  if (password === null) return true;
  if (!enabled) return false;
  const client = createEtcdClient({ ...config.etcd, username: null, password: null }, { log: silentLog }, signal);
  try {
    await client.call((rpc) => rpc.auth.authenticate({ name, password }));
    return true;
  } catch (error) {
    if (error instanceof EtcdError && /authentication failed/.test(error.details)) return false;
    throw error;
  }
}

function randomPassword(): string {
  return randomBytes(32).toString('base64url');
}
