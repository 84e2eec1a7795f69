import { createEtcdClient } from '../../../common/etcd/client/client.ts';
import { prefixRange } from '../../../common/etcd/client/key-value.ts';
import type { LocalCluster } from '../../../etcd-cluster/members/local-cluster.ts';
import { testLog } from './etcd.ts';

/** Turns authentication on: user `root` with password `root-secret`, and `nerve` with `secret`, who may use `prefix`. */
export async function enableAuth(cluster: Pick<LocalCluster, 'urls'>, prefix: string): Promise<void> {
  const setup = new AbortController();
  const client = createEtcdClient({ hosts: cluster.urls }, { log: testLog() }, setup.signal);
  const call: typeof client.call = (run) => client.call(run);
  await call((rpc) => rpc.auth.userAdd({ name: 'root', password: 'root-secret' }));
  await call((rpc) => rpc.auth.roleAdd({ name: 'root' }));
  await call((rpc) => rpc.auth.userGrantRole({ user: 'root', role: 'root' }));
  await call((rpc) => rpc.auth.userAdd({ name: 'nerve', password: 'secret' }));
  await call((rpc) => rpc.auth.roleAdd({ name: 'nerve' }));
  await call((rpc) => rpc.auth.roleGrantPermission({ name: 'nerve', perm: permissionOn(prefix) }));
  await call((rpc) => rpc.auth.userGrantRole({ user: 'nerve', role: 'nerve' }));
  await call((rpc) => rpc.auth.authEnable({}));
  setup.abort();
}

/** Reading and writing below a prefix, as etcd's API takes it. */
export function permissionOn(prefix: string): { permType: 'Readwrite'; key: Buffer; range_end: Buffer } {
  const { key, end } = prefixRange(prefix);
  return { permType: 'Readwrite', key, range_end: end };
}
