import type { Instance } from '../../common/instance.ts';
import { isCookieOfServer } from '../../common/server-cookie.ts';
import { type OutputInstance, takenCookies } from '../output.ts';
import type { InstanceSet } from '../source.ts';
import { ranksOf } from './limit.ts';
import { replaceInstance } from './port-override.ts';

/** A cookie in `haproxy_server_options`. */
const asked = /(?:^|\s)cookie\s+(\S+)/g;

/**
 * The same instances. Of those that ask for one cookie, it belongs to the one that was announced first; others are marked, so
 * that they get none: HAProxy would send the clients of the first one to whichever of the two it finds first.
 */
export function withCookieOwners(
  instances: readonly Instance[],
  set: InstanceSet | undefined,
): readonly OutputInstance[] {
  const shared = sharedCookies(instances);
  if (shared.size === 0) return instances;
  const ranks = ranksOf(instances, set);
  const rankOf = (index: number): number => ranks[index] ?? 0;
  const taken = new Map<number, Map<string, string>>();
  for (const [cookie, indexes] of shared) {
    const owner = indexes.reduce((best, index) => (rankOf(index) < rankOf(best) ? index : best));
    for (const index of indexes) {
      if (index === owner) continue;
      const cookies = taken.get(index) ?? new Map<string, string>();
      taken.set(index, cookies.set(cookie, instances[owner]?.id ?? ''));
    }
  }
  return instances.map((instance, index) => {
    const cookies = taken.get(index);
    return cookies === undefined ? instance : withTaken(instance, cookies);
  });
}

/** The cookies for which several instances ask → the places of these, in order. */
function sharedCookies(instances: readonly Instance[]): ReadonlyMap<string, readonly number[]> {
  const askers = new Map<string, number[]>();
  for (const [index, { serverOptions }] of instances.entries()) {
    if (serverOptions === undefined || !serverOptions.includes('cookie')) continue;
    for (const [, cookie = ''] of serverOptions.matchAll(asked)) {
      const indexes = askers.get(cookie);
      if (isCookieOfServer(cookie)) continue;
      if (indexes === undefined) askers.set(cookie, [index]);
      else if (indexes.at(-1) !== index) indexes.push(index);
    }
  }
  for (const [cookie, indexes] of askers) if (indexes.length === 1) askers.delete(cookie);
  return askers;
}

const marked = new WeakMap<Instance, { readonly by: string; readonly instance: OutputInstance }>();

/** The same object for the same cookies and owners. */
function withTaken(instance: Instance, cookies: ReadonlyMap<string, string>): OutputInstance {
  const by = JSON.stringify([...cookies]);
  const known = marked.get(instance);
  if (known?.by === by) return known.instance;
  const made = replaceInstance(instance, Object.freeze({ ...instance, [takenCookies]: cookies }));
  marked.set(instance, { by, instance: made });
  return made;
}
