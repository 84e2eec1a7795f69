import { createEtcdClient } from '../common/etcd/client.ts';
import { createLeasedKeys } from '../common/etcd/lease.ts';
import type { Log } from '../common/log.ts';
import { type Announcer, createEtcdAnnouncer } from './announcer.ts';
import type { OnFound } from './nerve.ts';
import type { Registry } from './registry.ts';

/** Connects to an etcd cluster, under a lease of its own. All ends when `signal` aborts. */
export function connectEtcd({ etcd, ttl }: Registry, found: OnFound, log: Log, signal: AbortSignal): Announcer {
  const client = createEtcdClient(etcd, { log }, signal);
  return createEtcdAnnouncer((onFound) => createLeasedKeys(client, { ttl, onFound }, { log }, signal), found);
}
