import type { EtcdClient } from '../../../common/etcd/client/client.ts';
import type { OnChange } from '../../../common/etcd/watch/prefix-state.ts';
import { createReflector } from '../../../common/etcd/watch/reflector.ts';
import { acksPrefix, fleetKeys, newRequestId, requestKey } from '../../../common/fleet/keys.ts';
import { type AckRecord, formatRequest, parseAck, type RequestRecord } from '../../../common/fleet/records.ts';
import { dump, grantLease, put, remove, testLog } from '../etcd/etcd.ts';
import { fleetPath } from './fleet-host.ts';

/** A request that stays until the test ends it, whatever is acknowledged. */
export interface RawRequest {
  readonly id: string;
  /** The acknowledgements that etcd has now. */
  acks(): Promise<readonly AckRecord[]>;
  /** Everything that was acknowledged, one after the other, also what was corrected a moment later. */
  readonly said: readonly AckRecord[];
  end(): Promise<void>;
}

/** Writes a request. `value` stands for a record that {@link formatRequest} does not make. */
export async function rawRequest(
  client: EtcdClient,
  record: RequestRecord | { readonly value: string },
  { hasLease = true } = {},
): Promise<RawRequest> {
  const keys = fleetKeys(fleetPath);
  const id = newRequestId();
  const lease = hasLease ? await grantLease(client, 120) : '0';
  const end = new AbortController();
  const said: AckRecord[] = [];
  const onChange: OnChange = ({ changed }) => {
    for (const { entry } of changed) if (entry !== undefined) said.push(parseAck(entry.value));
  };
  void createReflector(client, { log: testLog() }, end.signal).follow(acksPrefix(keys, id), onChange, end.signal);
  await put(client, requestKey(keys, id), 'value' in record ? record.value : formatRequest(record), lease);
  return {
    id,
    said,
    async acks() {
      return Object.values(await dump(client, acksPrefix(keys, id))).map((value) => parseAck(value));
    },
    async end() {
      end.abort();
      await remove(client, requestKey(keys, id));
    },
  };
}
