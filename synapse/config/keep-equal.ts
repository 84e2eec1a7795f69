import { isDeepStrictEqual } from 'node:util';
import type { SynapseConfig } from './config.ts';
import type { ServiceConfig } from './service-config.ts';

/**
 * The new configuration, with the objects of the old one wherever both are equal, so that a comparison by identity
 * finds the changes and nothing else.
 */
export function keepEqual(old: SynapseConfig, next: SynapseConfig): SynapseConfig {
  const services = new Map<string, ServiceConfig>();
  for (const [name, service] of next.services) {
    const known = old.services.get(name);
    services.set(name, known === undefined ? service : keepService(known, service));
  }
  return {
    ...next,
    services,
    etcd: keep(old.etcd, next.etcd),
    haproxy: keep(old.haproxy, next.haproxy),
    fleet: keep(old.fleet, next.fleet),
  };
}

function keepService(old: ServiceConfig, next: ServiceConfig): ServiceConfig {
  const policy = keep(old.policy, next.policy);
  const config = keep(old.config, next.config);
  const same =
    old.discovery.method === next.discovery.method && isDeepStrictEqual(old.discovery.options, next.discovery.options);
  const discovery = same ? old.discovery : next.discovery;
  const unchanged =
    policy === old.policy &&
    config === old.config &&
    same &&
    old.hasFile === next.hasFile &&
    isDeepStrictEqual(old.publishedBase, next.publishedBase);
  return unchanged ? old : { ...next, policy, config, discovery };
}

function keep<T>(old: T, next: T): T {
  return isDeepStrictEqual(old, next) ? old : next;
}
