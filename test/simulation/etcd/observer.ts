import type { Rpc } from '../../../common/etcd/client/connection.ts';
import { EtcdError } from '../../../common/etcd/client/errors.ts';

/** An etcd, real or simulated, as the scripts see it. Calls are tried once. */
export interface EtcdTarget {
  /** The services of one member, for a caller with a token or without. */
  rpc(token?: string): Rpc;
  /** Stops the member as SIGSTOP does, until {@link EtcdTarget.thaw}. */
  freeze(): void;
  thaw(): void;
}

/** A watch stream. */
export interface ObservedWatch {
  write(request: object): void;
  /** What has arrived. */
  readonly responses: readonly WatchResponse[];
  cancel(): void;
}

interface WatchResponse {
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

interface Stream {
  on(event: 'data', listener: (response: never) => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
  write(request: never): void;
  cancel(): void;
}

/** All keys that the scripts use. */
export const allKeys = { key: Buffer.from('/conformance/'), range_end: Buffer.from('/conformance0') };

/** A key that the scripts use. */
export function keyOf(name: string): Buffer {
  return Buffer.from(`/conformance/${name}`);
}

/**
 * Calls etcd and writes down each answer. Revisions count from the first one and leases have names, so that a real and a
 * simulated etcd can be compared line by line.
 */
export class EtcdObserver {
  readonly seen: string[] = [];
  /** The token of the calls that follow. */
  token: string | undefined;
  readonly #target: EtcdTarget;
  readonly #base: number;
  readonly #leases = new Map<string, string>([['0', 'none']]);

  private constructor(target: EtcdTarget, base: number) {
    this.#target = target;
    this.#base = base;
  }

  /** Counts revisions from the present one. */
  static async create(target: EtcdTarget): Promise<EtcdObserver> {
    return new EtcdObserver(target, Number((await target.rpc().kv.range(allKeys)).header.revision));
  }

  get rpc(): Rpc {
    return this.#target.rpc(this.token);
  }

  freeze(): void {
    this.#target.freeze();
  }

  thaw(): void {
    this.#target.thaw();
  }

  /** The revision of the first change is 1. */
  since(revision: string | number): number {
    return Number(revision) - this.#base;
  }

  /** The revision that {@link EtcdObserver.since} calls `count`. */
  revision(count: number): string {
    return String(this.#base + count);
  }

  /** Makes one call, and writes down its answer or its error. */
  async attempt<T>(what: string, run: (rpc: Rpc) => Promise<T>, show: (answer: T) => string): Promise<void> {
    try {
      this.seen.push(`${what}: ${show(await run(this.rpc))}`);
    } catch (error) {
      const details = error instanceof EtcdError ? `${error.code} ${error.details}` : String(error);
      this.seen.push(`${what}: ${details}`);
    }
  }

  put(name: string, value: string, id = '0'): Promise<void> {
    return this.attempt(
      `put ${name}=${value} ${this.#lease(id)}`,
      (rpc) => rpc.kv.put({ key: keyOf(name), value: Buffer.from(value), lease: id }),
      ({ header }) => `at ${this.since(header.revision)}`,
    );
  }

  list(what: string, request: object): Promise<void> {
    return this.attempt(
      `list ${what}`,
      (rpc) => rpc.kv.range({ ...allKeys, ...request }),
      ({ kvs, more, count, header }) =>
        `at ${this.since(header.revision)}, ${count} keys${more ? ', more' : ''}: ${kvs
          .map(
            ({ key, value, create_revision, mod_revision, version, lease }) =>
              `${key}=${value} c${this.since(create_revision)} m${this.since(mod_revision)} v${version} ${this.#lease(lease)}`,
          )
          .join('; ')}`,
    );
  }

  async grant(id: string, name: string, ttl: number): Promise<void> {
    this.#leases.set(id, name);
    await this.attempt(
      `grant ${name}`,
      (rpc) => rpc.lease.leaseGrant({ ID: id, TTL: ttl }),
      (answer) => `${this.#lease(answer.ID)} for ${answer.TTL} s`,
    );
  }

  revoke(what: string, id: string): Promise<void> {
    return this.attempt(
      what,
      (rpc) => rpc.lease.leaseRevoke({ ID: id }),
      ({ header }) => `at ${this.since(header.revision)}`,
    );
  }

  timeToLive(id: string): Promise<void> {
    return this.attempt(
      `time to live of ${this.#lease(id)}`,
      (rpc) => rpc.lease.leaseTimeToLive({ ID: id, keys: true }),
      ({ TTL, grantedTTL, keys }) =>
        `${Number(TTL) > 0 ? 'alive' : TTL}, granted ${grantedTTL}, ${keys.map(String).sort().join(' ')}`,
    );
  }

  compareAndPut(name: string, modRevision: number, value: string): Promise<void> {
    const mod_revision = modRevision === 0 ? '0' : this.revision(modRevision);
    return this.attempt(
      `put ${name}=${value} if its revision is ${modRevision}`,
      (rpc) =>
        rpc.kv.txn({
          compare: [{ key: keyOf(name), target: 'Mod' as never, result: 'Equal' as never, mod_revision }],
          success: [{ request_put: { key: keyOf(name), value: Buffer.from(value) } }],
          failure: [{ request_range: { key: keyOf(name) } }],
        }),
      ({ succeeded, responses, header }) =>
        `${succeeded} at ${this.since(header.revision)} ${responses[0]?.response_range?.kvs.map((kv) => `${kv.value} m${this.since(kv.mod_revision)}`) ?? ''}`,
    );
  }

  remove(name: string, end?: string): Promise<void> {
    return this.attempt(
      `delete ${name}`,
      (rpc) => rpc.kv.deleteRange({ key: keyOf(name), ...(end !== undefined && { range_end: keyOf(end) }) }),
      ({ deleted, header }) => `${deleted} at ${this.since(header.revision)}`,
    );
  }

  /** Forgets the history up to now. */
  async compact(): Promise<void> {
    const { header } = await this.rpc.kv.range(allKeys);
    await this.attempt(
      'compact',
      (rpc) => rpc.kv.compact({ revision: header.revision }),
      () => 'done',
    );
  }

  /** Renews leases over one stream. @returns what renews one, and says its TTL in seconds */
  async openKeepAlive(): Promise<(id: string) => Promise<number>> {
    const stream = (await this.rpc.lease.leaseKeepAlive()) as unknown as Stream;
    const answers: ((ttl: number) => void)[] = [];
    stream.on('data', ({ TTL }: { TTL: string }) => answers.shift()?.(Number(TTL)));
    stream.on('error', () => {});
    return (ID) =>
      new Promise((resolve) => {
        answers.push(resolve);
        stream.write({ ID } as never);
      });
  }

  async openWatch(): Promise<ObservedWatch> {
    const stream = (await this.rpc.watch.watch()) as unknown as Stream;
    const responses: WatchResponse[] = [];
    stream.on('data', (response: never) => responses.push(response));
    stream.on('error', () => {});
    return { responses, write: (request) => stream.write(request as never), cancel: () => stream.cancel() };
  }

  /** Writes down what a watch was told, and ends it. */
  closeWatch(name: string, watch: ObservedWatch): void {
    for (const one of watch.responses) {
      if (one.created) this.seen.push(`${name} ${one.watch_id}: created`);
      if (one.canceled) {
        const compacted = one.compact_revision === '0' ? '' : ` compacted at ${this.since(one.compact_revision)}`;
        this.seen.push(`${name} ${one.watch_id}: canceled${compacted} ${one.cancel_reason}`);
      }
      if (one.created || one.canceled) continue;
      if (one.events.length === 0) this.seen.push(`${name}: progress at ${this.since(one.header.revision)}`);
      // How many revisions come in one response depends on the moment; what one transaction did comes in one.
      const revisions = new Map<string, string[]>();
      for (const { type, kv } of one.events) {
        const events = revisions.get(kv.mod_revision) ?? [];
        revisions.set(kv.mod_revision, events);
        events.push(`${type} ${kv.key}=${kv.value} ${this.#lease(kv.lease)}`);
      }
      for (const [revision, events] of revisions) {
        this.seen.push(`${name} ${one.watch_id} at ${this.since(revision)}: ${events.join('; ')}`);
      }
    }
    watch.cancel();
  }

  #lease(id: string): string {
    return this.#leases.get(id) ?? 'unknown lease';
  }
}
