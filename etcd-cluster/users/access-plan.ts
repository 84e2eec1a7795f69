import { type KeyRange, keyRange, prefixRange } from '../../common/etcd/client/key-value.ts';

/** A right to a range of keys. */
export interface Permission extends KeyRange {
  readonly may: 'read' | 'write' | 'both';
}

/** The range that a key of the configuration stands for: `/nerve/services/` all keys below it, `/nerve/config` one key. */
export function rangeOf(key: string): KeyRange {
  return key.endsWith('/') ? prefixRange(key) : keyRange(key);
}

/** The rights of a user, which are those of a role with the same name. */
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

/** One change in etcd. */
export type Step =
  | { readonly do: 'add user' | 'add role' | 'remove user' | 'remove role'; readonly name: string }
  | { readonly do: 'give role' | 'take role'; readonly name: string; readonly role: string }
  | { readonly do: 'grant' | 'revoke'; readonly name: string; readonly permission: Permission };

/** The name of the user and role with all rights; etcd enables authentication only when they exist. */
export const rootName = 'root';

/** Users and roles in etcd that are not wanted. */
export interface OtherAccess {
  readonly users: readonly string[];
  readonly roles: readonly string[];
}

/** The users and roles in etcd besides those of `wanted` and root. */
export function otherAccess({ users, roles }: AccessState, wanted: readonly UserRights[]): OtherAccess {
  const names = new Set([rootName, ...wanted.map(({ name }) => name)]);
  const others = (all: Iterable<string>): readonly string[] => [...all].filter((name) => !names.has(name)).sort();
  return { users: others(users.keys()), roles: others(roles.keys()) };
}

/**
 * The steps after which the users of `wanted`, and root, have exactly their rights, and after which `others` are gone.
 * Other users and roles are not touched. Empty when nothing differs.
 */
export function planAccess(
  state: AccessState,
  wanted: readonly UserRights[],
  others: OtherAccess = { users: [], roles: [] },
): readonly Step[] {
  const wantedOthers = wanted.filter(({ name }) => name !== rootName);
  return [
    ...[{ name: rootName, permissions: [] }, ...wantedOthers].flatMap((user) => planUser(state, user)),
    // Last: when a step fails, no listed user lacks a right because of it.
    ...others.users.map((name): Step => ({ do: 'remove user', name })),
    ...others.roles.map((name): Step => ({ do: 'remove role', name })),
  ];
}

function planUser({ users, roles }: AccessState, { name, permissions }: UserRights): readonly Step[] {
  const has = roles.get(name);
  const given = users.get(name) ?? [];
  const steps: Step[] = [];
  if (has === undefined) steps.push({ do: 'add role', name });
  // New permissions come first, so that no user lacks a permission meanwhile that it had before and has after.
  for (const permission of permissions) {
    if (!has?.some((one) => isSameRange(one, permission) && one.may === permission.may))
      steps.push({ do: 'grant', name, permission });
  }
  for (const permission of has ?? []) {
    // A grant for the same range has replaced it.
    const replaced = permissions.some((one) => isSameRange(one, permission));
    if (!replaced && name !== rootName) steps.push({ do: 'revoke', name, permission });
  }
  if (!users.has(name)) steps.push({ do: 'add user', name });
  if (!given.includes(name)) steps.push({ do: 'give role', name, role: name });
  for (const role of given) if (role !== name) steps.push({ do: 'take role', name, role });
  return steps;
}

function isSameRange(a: KeyRange, b: KeyRange): boolean {
  return a.key.equals(b.key) && a.end.equals(b.end);
}

/** A step as text for people. */
export function formatStep(step: Step): string {
  const { name } = step;
  switch (step.do) {
    case 'add user':
    case 'add role':
    case 'remove user':
    case 'remove role':
      return `${step.do} ${name}`;
    case 'give role':
      return `give role ${step.role} to user ${name}`;
    case 'take role':
      return `take role ${step.role} from user ${name}`;
    default:
      return `${step.do} role ${name}: ${formatPermission(step.permission)}`;
  }
}

function formatPermission({ key, end, may }: Permission): string {
  const where = key.toString();
  // Other programs may have made a range that is neither one key nor all keys below one.
  const range = isSameRange(rangeOf(where), { key, end })
    ? where
    : isSameRange(prefixRange(where), { key, end })
      ? `${where}*`
      : `${where} to ${end}`;
  return `${may === 'both' ? 'read and write' : may} ${range}`;
}
