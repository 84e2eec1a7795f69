import { failures, type RpcFailure } from './failures.ts';
import { inRange, type Range } from './store.ts';

/** What a call does to keys. */
export interface Access {
  readonly kind: 'read' | 'write';
  readonly range: Range;
}

/** What a call asks of its caller: a user, and leave for what it does; or a user that has the role `root`. */
export type Demand = readonly Access[] | 'root';

/** etcd's authentication with simple tokens: users have roles, roles have permissions. */
export class Users {
  enabled = false;
  readonly #passwords = new Map<string, string>();
  readonly #rolesOf = new Map<string, Set<string>>();
  readonly #permissions = new Map<string, Access[]>();
  /** Token to user. */
  readonly #tokens = new Map<string, string>();

  add(name: string, password: string): void {
    this.#passwords.set(name, password);
    this.#rolesOf.set(name, new Set());
  }

  addRole(role: string): void {
    this.#permissions.set(role, []);
  }

  grantPermission(role: string, accesses: readonly Access[]): void {
    this.#permissions.get(role)?.push(...accesses);
  }

  grantRole(name: string, role: string): void {
    this.#rolesOf.get(name)?.add(role);
  }

  /** @returns a new token @throws {RpcFailure} when authentication is off or the password is wrong */
  login(name: string, password: string): string {
    if (!this.enabled) throw failures.authOff();
    if (this.#passwords.get(name) !== password) throw failures.badPassword();
    const token = `${name}.${this.#tokens.size + 1}`;
    this.#tokens.set(token, name);
    return token;
  }

  /** Why a call is refused; undefined when it is not. */
  refusal(token: string | undefined, demand: Demand): RpcFailure | undefined {
    if (!this.enabled) return undefined;
    if (token === undefined) return failures.emptyUser();
    const name = this.#tokens.get(token);
    if (name === undefined) return failures.badToken();
    const roles = [...(this.#rolesOf.get(name) ?? [])];
    if (roles.includes('root')) return undefined;
    const permissions = roles.flatMap((role) => this.#permissions.get(role) ?? []);
    const may = demand !== 'root' && demand.every((access) => permissions.some((one) => covers(one, access)));
    return may ? undefined : failures.denied();
  }
}

/** The end of a range is its first key that is not in it. */
function covers(given: Access, wanted: Access): boolean {
  if (given.kind !== wanted.kind || !inRange(wanted.range.key, given.range)) return false;
  return wanted.range.end === '' || (wanted.range.end !== '\0' && wanted.range.end <= given.range.end);
}
