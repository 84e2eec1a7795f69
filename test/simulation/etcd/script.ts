import { sleep } from '../../../common/async/sleep.ts';
import { allKeys, type EtcdObserver, keyOf } from './observer.ts';

/** How long a watch gets for what it has to tell, milliseconds. */
const pauseMs = 500;

/** Puts, lists, compares and deletes, while a watch looks on. */
export async function observeKeys(etcd: EtcdObserver): Promise<void> {
  const watch = await etcd.openWatch();
  watch.write({ create_request: { ...allKeys, start_revision: etcd.revision(1) } });
  await etcd.put('a', '1');
  await etcd.put('b', '1');
  await etcd.put('a', '2');
  await etcd.list('all', {});
  await etcd.list('all at the first change', { revision: etcd.revision(1) });
  await etcd.list('one', { limit: 1 });
  await etcd.list('a future revision', { revision: etcd.revision(1_000) });
  await etcd.remove('missing');
  await etcd.remove('b');
  await etcd.compareAndPut('c', 0, 'new');
  await etcd.compareAndPut('c', 0, 'again');
  await etcd.compareAndPut('c', 5, 'changed');
  await etcd.attempt(
    'many writes in one transaction',
    (rpc) =>
      rpc.kv.txn({
        success: [
          { request_put: { key: keyOf('t/1'), value: Buffer.from('1') } },
          { request_put: { key: keyOf('t/2'), value: Buffer.from('2') } },
          { request_delete_range: { key: keyOf('a') } },
        ],
      }),
    ({ header, responses }) => `at ${etcd.since(header.revision)}, ${responses.length} answers`,
  );
  await etcd.list('the newest key', { limit: 1, sort_order: 'Descend', sort_target: 'Mod' });
  await etcd.list('the oldest keys', { limit: 2, keys_only: true, sort_order: 'Ascend', sort_target: 'Mod' });
  await etcd.list('the number of keys', { count_only: true });
  await etcd.remove('t/', 't0');
  await sleep(pauseMs);
  etcd.closeWatch('watch', watch);
}

/** Grants, renews, revokes leases, and lets one expire. */
export async function observeLeases(etcd: EtcdObserver): Promise<void> {
  await etcd.grant('7001', 'first lease', 60);
  await etcd.grant('7001', 'first lease', 60);
  await etcd.put('leased/1', 'x', '7001');
  await etcd.put('leased/2', 'x', '7001');
  await etcd.put('leased/3', 'x', '7999');
  await etcd.timeToLive('7001');
  await etcd.timeToLive('7999');
  await etcd.attempt(
    'keep the lease while the value changes',
    (rpc) =>
      rpc.kv.txn({
        success: [{ request_put: { key: keyOf('leased/2'), value: Buffer.from('y'), ignore_lease: true } }],
      }),
    ({ header }) => `at ${etcd.since(header.revision)}`,
  );
  const renew = await etcd.openKeepAlive();
  etcd.seen.push(`keepalive: ${await renew('7001')}, of an unknown lease: ${await renew('7999')}`);
  await etcd.revoke('revoke', '7001');
  await etcd.revoke('revoke again', '7001');
  etcd.seen.push(`keepalive after the revocation: ${await renew('7001')}`);
  await etcd.list('after the revocation', {});
  await etcd.grant('7002', 'short lease', 2);
  await etcd.put('short', 'x', '7002');
  await sleep(5_000);
  await etcd.list('after the lease has expired', {});
  await etcd.timeToLive('7002');
  etcd.seen.push(`keepalive after the expiry: ${await renew('7002')}`);
}

/** Compacts while watchers look on, creates watchers in the past, and cancels watchers. */
export async function observeWatchers(etcd: EtcdObserver): Promise<void> {
  const present = await etcd.openWatch();
  present.write({ create_request: { ...allKeys } });
  await sleep(pauseMs);
  await etcd.put('a', '1');
  await etcd.put('a', '2');
  const past = await etcd.openWatch();
  past.write({ create_request: { key: keyOf('a'), start_revision: etcd.revision(1) } });
  past.write({ create_request: { key: keyOf('nothing/'), range_end: keyOf('nothing0') } });
  await sleep(pauseMs);
  past.write({ progress_request: {} });
  await sleep(pauseMs);
  await etcd.compact();
  await etcd.compact();
  await etcd.list('a compacted revision', { revision: etcd.revision(1) });
  past.write({ create_request: { key: keyOf('a'), start_revision: etcd.revision(1) } });
  await sleep(pauseMs);
  await etcd.put('a', '3');
  await sleep(pauseMs);
  past.write({ cancel_request: { watch_id: '0' } });
  past.write({ cancel_request: { watch_id: '0' } });
  past.write({ cancel_request: { watch_id: '77' } });
  await sleep(pauseMs);
  await etcd.put('a', '4');
  await etcd.remove('a');
  await sleep(pauseMs);
  etcd.closeWatch('watch from the present', present);
  etcd.closeWatch('watch from the past', past);
}

/** Writes to a member that is frozen: nothing is answered, and after the thaw the write is carried out. */
export async function observeFrozenMember(etcd: EtcdObserver): Promise<void> {
  await etcd.put('before', '1');
  etcd.freeze();
  let isAnswered = false;
  const late = etcd.compareAndPut('late', 0, 'sent while frozen').finally(() => {
    isAnswered = true;
  });
  await sleep(pauseMs);
  etcd.seen.push(`answered while frozen: ${isAnswered}`);
  etcd.thaw();
  await late;
  await etcd.list('after the thaw', {});
  await etcd.compareAndPut('late', 0, 'created again');
  await etcd.remove('before');
  await etcd.remove('late');
}

/** Writes while etcd is at its quota: its alarm says so. */
export async function observeQuota(etcd: EtcdObserver): Promise<void> {
  const { header } = await etcd.rpc.kv.range(allKeys);
  const alarm = (action: 'Activate' | 'Deactivate') =>
    etcd.rpc.maintenance.alarm({ action, memberID: header.member_id, alarm: 'Nospace' });
  const putOf = (name: string) => ({ request_put: { key: keyOf(name), value: Buffer.from('x') } });
  await etcd.grant('7003', 'lease from before', 60);
  await etcd.put('before', '1', '7003');
  await alarm('Activate');
  await etcd.put('before', '2');
  await etcd.grant('7004', 'lease at the quota', 60);
  await etcd.attempt(
    'a transaction with a put',
    (rpc) => rpc.kv.txn({ success: [putOf('one')] }),
    ({ succeeded }) => String(succeeded),
  );
  await etcd.attempt(
    'a transaction with a put in the branch that is not taken',
    (rpc) => rpc.kv.txn({ success: [{ request_delete_range: { key: keyOf('missing') } }], failure: [putOf('one')] }),
    ({ succeeded }) => String(succeeded),
  );
  await etcd.attempt(
    'a transaction that deletes',
    (rpc) => rpc.kv.txn({ success: [{ request_delete_range: { key: keyOf('missing') } }] }),
    ({ succeeded }) => String(succeeded),
  );
  await etcd.list('at the quota', {});
  const renew = await etcd.openKeepAlive();
  etcd.seen.push(`keepalive at the quota: ${await renew('7003')}`);
  await etcd.remove('missing');
  await etcd.revoke('revoke at the quota', '7003');
  await alarm('Deactivate');
  await etcd.put('after', '1');
}

/** Turns authentication on, and calls with and without a token, as users that may and may not. It stays on. */
export async function observeUsers(etcd: EtcdObserver): Promise<void> {
  const { auth } = etcd.rpc;
  const login = (name: string, password: string) =>
    etcd.attempt(
      `log in as ${name} with ${password}`,
      (rpc) => rpc.auth.authenticate({ name, password }),
      ({ token }) => {
        etcd.token = token;
        return 'a token';
      },
    );
  await login('root', 'secret');
  await auth.userAdd({ name: 'root', password: 'secret' });
  await auth.roleAdd({ name: 'root' });
  await auth.userGrantRole({ user: 'root', role: 'root' });
  await auth.userAdd({ name: 'reader', password: 'secret' });
  await auth.roleAdd({ name: 'reads' });
  await auth.roleGrantPermission({ name: 'reads', perm: { permType: 'Read', ...allKeys } });
  await auth.userGrantRole({ user: 'reader', role: 'reads' });
  await auth.authEnable({});
  for (const [who, name, password] of [
    ['without a token', '', ''],
    ['with an invalid token', '', ''],
    ['as a reader', 'reader', 'secret'],
    ['as root', 'root', 'secret'],
  ] as const) {
    // The number in a token is a Raft index, and etcd waits until it has come: 1 has.
    etcd.token = who === 'with an invalid token' ? 'reader.1' : undefined;
    etcd.seen.push(`— ${who}`);
    if (name !== '') await login(name, 'wrong');
    if (name !== '') await login(name, password);
    await tryEverything(etcd);
  }
}

async function tryEverything(etcd: EtcdObserver): Promise<void> {
  await etcd.put('a', '1');
  await etcd.list('', {});
  await etcd.attempt(
    'list another prefix',
    (rpc) => rpc.kv.range({ key: Buffer.from('/other/'), range_end: Buffer.from('/other0') }),
    ({ count }) => `${count} keys`,
  );
  await etcd.remove('a');
  await etcd.compareAndPut('c', 0, 'new');
  await etcd.grant('7005', 'lease', 60);
  await etcd.timeToLive('7005');
  await etcd.revoke('revoke', '7005');
  await etcd.attempt(
    'status',
    (rpc) => rpc.maintenance.status({}),
    () => 'known',
  );
  const watch = await etcd.openWatch();
  watch.write({ create_request: { ...allKeys } });
  watch.write({ create_request: { key: Buffer.from('/other/'), range_end: Buffer.from('/other0') } });
  await sleep(pauseMs);
  etcd.closeWatch('watch', watch);
}
