import type { Rpc } from '../../../common/etcd/client/connection.ts';
import { EtcdError } from '../../../common/etcd/client/errors.ts';

/** An etcd, real or simulated, as the script sees it. */
export interface EtcdTarget {
  /** Calls on one member, one try each. */
  call<T>(run: (rpc: Rpc) => Promise<T>): Promise<T>;
  openWatch(): Promise<WatchTarget>;
  openKeepAlive(): Promise<{ renew(id: string): Promise<number> }>;
  sleep(ms: number): Promise<void>;
}

export interface WatchTarget {
  write(request: object): void;
  /** What has arrived. */
  readonly responses: readonly WatchResponse[];
  cancel(): void;
}

export interface WatchResponse {
  readonly watch_id: string;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compact_revision: string;
  readonly cancel_reason: string;
  readonly header: { readonly revision: string };
  readonly events: readonly {
    readonly type: unknown;
    readonly kv: {
      readonly key: Buffer;
      readonly value: Buffer;
      readonly mod_revision: string;
      readonly lease: string;
    };
  }[];
}

/**
 * Does what the daemons do with etcd, and more, and writes down what it sees. Revisions are counted from the first one, so
 * that a real and a simulated etcd can be compared line by line.
 */
export async function observeEtcd(target: EtcdTarget): Promise<readonly string[]> {
  const seen: string[] = [];
  const key = (name: string): Buffer => Buffer.from(`/conformance/${name}`);
  const all = { key: key(''), range_end: Buffer.from('/conformance0') };
  const base = Number((await target.call((rpc) => rpc.kv.range({ ...all }))).header.revision);
  const since = (revision: string | number): number => Number(revision) - base;
  const leases = new Map<string, string>([['0', 'none']]);
  const lease = (id: string): string => leases.get(id) ?? 'unknown lease';

  const attempt = async <T>(
    what: string,
    run: (rpc: Rpc) => Promise<T>,
    show: (answer: T) => string,
  ): Promise<void> => {
    try {
      seen.push(`${what}: ${show(await target.call(run))}`);
    } catch (error) {
      const details = error instanceof EtcdError ? `${error.code} ${error.details}` : String(error);
      seen.push(`${what}: ${details}`);
    }
  };
  const put = (name: string, value: string, id = '0') =>
    attempt(
      `put ${name}=${value} ${lease(id)}`,
      (rpc) => rpc.kv.put({ key: key(name), value: Buffer.from(value), lease: id }),
      ({ header }) => `at ${since(header.revision)}`,
    );
  const list = (what: string, request: object) =>
    attempt(
      `list ${what}`,
      (rpc) => rpc.kv.range({ ...all, ...request }),
      ({ kvs, more, count, header }) =>
        `at ${since(header.revision)}, ${count} keys${more ? ', more' : ''}: ${kvs
          .map(
            (kv) =>
              `${kv.key}=${kv.value} c${since(kv.create_revision)} m${since(kv.mod_revision)} v${kv.version} ${lease(kv.lease)}`,
          )
          .join('; ')}`,
    );
  const grant = async (id: string, name: string, ttl: number): Promise<void> => {
    leases.set(id, name);
    await attempt(
      `grant ${name}`,
      (rpc) => rpc.lease.leaseGrant({ ID: id, TTL: ttl }),
      (answer) => `${lease(answer.ID)} for ${answer.TTL} s`,
    );
  };
  const timeToLive = (id: string) =>
    attempt(
      `time to live of ${lease(id)}`,
      (rpc) => rpc.lease.leaseTimeToLive({ ID: id, keys: true }),
      ({ TTL, grantedTTL, keys }) =>
        `${Number(TTL) > 0 ? 'alive' : TTL}, granted ${grantedTTL}, ${keys.map(String).sort().join(' ')}`,
    );
  const compareAndPut = (name: string, modRevision: number, value: string, id = '0') =>
    attempt(
      `put ${name}=${value} if its revision is ${modRevision}`,
      (rpc) =>
        rpc.kv.txn({
          compare: [
            {
              key: key(name),
              target: 'Mod' as never,
              result: 'Equal' as never,
              mod_revision: modRevision === 0 ? '0' : String(modRevision + base),
            },
          ],
          success: [{ request_put: { key: key(name), value: Buffer.from(value), lease: id } }],
          failure: [{ request_range: { key: key(name) } }],
        }),
      ({ succeeded, responses, header }) =>
        `${succeeded} at ${since(header.revision)} ${responses[0]?.response_range?.kvs.map((kv) => `${kv.value} m${since(kv.mod_revision)}`) ?? ''}`,
    );
  const remove = (name: string, end?: string) =>
    attempt(
      `delete ${name}`,
      (rpc) => rpc.kv.deleteRange({ key: key(name), ...(end !== undefined && { range_end: key(end) }) }),
      ({ deleted, header }) => `${deleted} at ${since(header.revision)}`,
    );

  const watch = await target.openWatch();
  watch.write({ create_request: { key: all.key, range_end: all.range_end, start_revision: base + 1 } });

  await put('a', '1');
  await put('b', '1');
  await put('a', '2');
  await list('all', {});
  await list('all at the first change', { revision: String(base + 1) });
  await list('one', { limit: 1 });
  await list('a future revision', { revision: String(base + 1_000) });
  await remove('missing');
  await remove('b');
  await compareAndPut('c', 0, 'new');
  await compareAndPut('c', 0, 'again');
  await compareAndPut('c', 5, 'changed');
  await grant('7001', 'first lease', 60);
  await grant('7001', 'first lease', 60);
  await put('leased/1', 'x', '7001');
  await put('leased/2', 'x', '7001');
  await put('leased/3', 'x', '7999');
  await timeToLive('7001');
  await timeToLive('7999');
  await attempt(
    'keep the lease while the value changes',
    (rpc) =>
      rpc.kv.txn({ success: [{ request_put: { key: key('leased/2'), value: Buffer.from('y'), ignore_lease: true } }] }),
    ({ header }) => `at ${since(header.revision)}`,
  );
  const keepAlive = await target.openKeepAlive();
  seen.push(`keepalive: ${await keepAlive.renew('7001')}, of an unknown lease: ${await keepAlive.renew('7999')}`);
  await attempt(
    'revoke',
    (rpc) => rpc.lease.leaseRevoke({ ID: '7001' }),
    ({ header }) => `at ${since(header.revision)}`,
  );
  await attempt(
    'revoke again',
    (rpc) => rpc.lease.leaseRevoke({ ID: '7001' }),
    () => 'done',
  );
  await list('after the revocation', {});
  await grant('7002', 'short lease', 2);
  await put('short', 'x', '7002');
  await target.sleep(5_000);
  await list('after the lease has expired', {});
  await timeToLive('7002');
  await attempt(
    'many writes in one transaction',
    (rpc) =>
      rpc.kv.txn({
        success: [
          { request_put: { key: key('t/1'), value: Buffer.from('1') } },
          { request_put: { key: key('t/2'), value: Buffer.from('2') } },
          { request_delete_range: { key: key('a') } },
        ],
      }),
    ({ header, responses }) => `at ${since(header.revision)}, ${responses.length} answers`,
  );
  await remove('t/', 't0');

  const late = await target.openWatch();
  late.write({ create_request: { key: key('a'), start_revision: base + 1 } });
  late.write({ create_request: { key: key('nothing/'), range_end: key('nothing0') } });
  await target.sleep(500);
  late.write({ progress_request: {} });
  await target.sleep(500);
  const now = Number((await target.call((rpc) => rpc.kv.range({ ...all }))).header.revision);
  await attempt(
    'compact',
    (rpc) => rpc.kv.compact({ revision: String(now) }),
    () => 'done',
  );
  await list('a compacted revision', { revision: String(base + 1) });
  late.write({ create_request: { key: key('a'), start_revision: base + 1 } });
  await target.sleep(500);
  late.write({ cancel_request: { watch_id: '0' } });
  await target.sleep(500);
  for (const [name, { responses }] of [
    ['first watch', watch],
    ['late watch', late],
  ] as const) {
    for (const one of responses) {
      if (one.created) seen.push(`${name} ${one.watch_id}: created`);
      if (one.canceled) seen.push(`${name} ${one.watch_id}: canceled ${since(one.compact_revision)}`);
      if (one.created || one.canceled) continue;
      if (one.events.length === 0) seen.push(`${name}: progress at ${since(one.header.revision)}`);
      // How many revisions come in one response depends on the moment; what one transaction did comes in one.
      const revisions = new Map<string, string[]>();
      for (const { type, kv } of one.events) {
        const events = revisions.get(kv.mod_revision) ?? [];
        revisions.set(kv.mod_revision, events);
        events.push(`${type} ${kv.key}=${kv.value} ${lease(kv.lease)}`);
      }
      for (const [revision, events] of revisions) {
        seen.push(`${name} ${one.watch_id} at ${since(revision)}: ${events.join('; ')}`);
      }
    }
  }
  watch.cancel();
  late.cancel();
  return seen;
}
