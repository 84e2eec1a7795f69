import { reasonOf, silentLog } from '../../common/daemon/log.ts';
import { type InspectedRecord, inspectRecords } from '../../common/etcd/records/inspect.ts';
import { usualRules } from '../../common/etcd/records/record-rules.ts';
import { etcdOptionsOf } from '../announce/registries.ts';
import type { NerveConfig } from '../config/config.ts';
import type { ServiceConfig } from '../config/service-config.ts';
import type { RegistryState } from '../status-shape.ts';

/** Deadline of reading one service. All are read at the same time. */
const timeoutMs = 3_000;

/** What etcd has of each configured service, read without a running nerve. Changes nothing and never rejects. */
export function readRegistry(config: NerveConfig): Promise<readonly RegistryState[]> {
  return Promise.all([...config.services.values()].map((service) => stateOf(config, service)));
}

async function stateOf({ etcd }: NerveConfig, service: ServiceConfig): Promise<RegistryState> {
  const { name, key, instance } = service;
  const nothing = { name, instance: instance.id, key, revision: null, lease: null, ttl: null, left: null };
  try {
    const records = await inspectRecords(etcdOptionsOf(etcd, service), key, {
      rules: usualRules,
      timeoutMs,
      log: silentLog,
    });
    const record: InspectedRecord | undefined = records.find(({ where }) => where === key);
    if (record === undefined) return { ...nothing, announced: false, reason: null };
    const { reason, revision, lease, ttl, left } = record;
    return { ...nothing, announced: true, reason, revision, lease, ttl, left };
  } catch (error) {
    return { ...nothing, announced: null, reason: reasonOf(error) };
  }
}
