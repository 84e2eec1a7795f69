import { type KeyRange, keyRange, prefixRange } from '../../common/etcd/client/key-value.ts';

/** What a user may do with a range of keys. */
export interface Permission extends KeyRange {
  readonly may: 'read' | 'write' | 'both';
}

/** `/nerve/services/` is every key below it, `/nerve/config` that key alone. */
export function rangeOf(where: string): KeyRange {
  return where.endsWith('/') ? prefixRange(where) : keyRange(where);
}

/** A user; its role has the same name. */
export interface UserRights {
  readonly name: string;
  readonly permissions: readonly Permission[];
}

/** Users and roles as etcd has them. */
export interface AccessState {
  /** Names of roles, by user. */
  readonly users: ReadonlyMap<string, readonly string[]>;
  readonly roles: ReadonlyMap<string, readonly Permission[]>;
}

/** One change. */
export type Step =
  | { readonly do: 'add user' | 'add role'; readonly name: string }
  | { readonly do: 'give role' | 'take role'; readonly name: string; readonly role: string }
  | { readonly do: 'grant' | 'revoke'; readonly name: string; readonly permission: Permission };

/** etcd lets the user with this role do everything, and wants one before it asks who calls. */
export const rootName = 'root';

/**
 * What makes the users of `wanted`, and root, have exactly the rights they should have. Users and roles that are not in it
 * are left alone. Nothing is to be done when all is as it should be.
 */
export function planAccess(state: AccessState, wanted: readonly UserRights[]): readonly Step[] {
  const others = wanted.filter(({ name }) => name !== rootName);
  return [{ name: rootName, permissions: [] }, ...others].flatMap((user) => planUser(state, user));
}

function planUser({ users, roles }: AccessState, { name, permissions }: UserRights): readonly Step[] {
  const has = roles.get(name);
  const given = users.get(name) ?? [];
  const steps: Step[] = [];
  if (has === undefined) steps.push({ do: 'add role', name });
  // First what is new: while this runs, nobody has less than before and after.
  for (const permission of permissions) {
    if (!has?.some((one) => isSamePlace(one, permission) && one.may === permission.may))
      steps.push({ do: 'grant', name, permission });
  }
  for (const permission of has ?? []) {
    // A grant for the same place has replaced it.
    const replaced = permissions.some((one) => isSamePlace(one, permission));
    if (!replaced && name !== rootName) steps.push({ do: 'revoke', name, permission });
  }
  if (!users.has(name)) steps.push({ do: 'add user', name });
  if (!given.includes(name)) steps.push({ do: 'give role', name, role: name });
  for (const role of given) if (role !== name) steps.push({ do: 'take role', name, role });
  return steps;
}

function isSamePlace(a: KeyRange, b: KeyRange): boolean {
  return a.key.equals(b.key) && a.end.equals(b.end);
}

/** For people. */
export function sayStep(step: Step): string {
  const { name } = step;
  switch (step.do) {
    case 'add user':
    case 'add role':
      return `${step.do} ${name}`;
    case 'give role':
      return `give role ${step.role} to user ${name}`;
    case 'take role':
      return `take role ${step.role} from user ${name}`;
    default:
      return `${step.do} role ${name}: ${sayPermission(step.permission)}`;
  }
}

function sayPermission({ key, end, may }: Permission): string {
  const where = key.toString();
  // A range that is neither one key nor all below one was made by others.
  const place = isSamePlace(rangeOf(where), { key, end }) ? where : `${where} to ${end}`;
  return `${may === 'both' ? 'read and write' : may} ${place}`;
}
