import type {
  DescribeInstancesCommandOutput,
  EC2Client,
  EC2ClientConfig,
  Instance as Ec2Instance,
  Filter,
} from '@aws-sdk/client-ec2';
import { onAbort } from '../../../../common/async/abort.ts';
import type { Log } from '../../../../common/daemon/log.ts';
import { lookupAgents } from '../../../../common/net/lookup.ts';
import type { SourceStatus } from '../../../source.ts';
import { Poll } from '../../poll.ts';

export type { Ec2Instance };

/** The access to EC2. The SDK finds missing values: in the environment, a profile, the container, the instance metadata. */
export interface Ec2Access {
  readonly region?: string;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  readonly sessionToken?: string;
  readonly endpoint?: string;
  /** Milliseconds between polls. */
  readonly intervalMs: number;
  /** Milliseconds for one poll with all its pages and the SDK's own retries. */
  readonly timeoutMs: number;
}

/** The tags that an instance must have, each with one of these values, which may have EC2's wildcards. */
export type TagFilter = ReadonlyMap<string, readonly string[]>;

interface Follower {
  readonly tags: TagFilter;
  readonly matches: (instance: Ec2Instance) => boolean;
  readonly onFound: (instances: readonly Ec2Instance[]) => void;
}

/**
 * One poll for all services with the same access, because Amazon limits the rate of calls of an account.
 */
export class Ec2Poller {
  readonly #access: Ec2Access;
  readonly #poll: Poll;
  readonly #followers = new Set<Follower>();
  #client: EC2Client | undefined;

  constructor(access: Ec2Access, deps: { readonly log: Log }) {
    const { intervalMs, timeoutMs } = access;
    this.#access = access;
    this.#poll = new Poll((signal) => this.#read(signal), {
      what: 'EC2',
      intervalMs,
      timeoutMs,
      log: deps.log,
    });
  }

  /**
   * Polls until `signal` aborts. The first poll starts after this round of the event loop, so that it serves all services
   * of a configuration.
   */
  async run(signal: AbortSignal): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    await this.#poll.run(signal).finally(() => this.#dropClient());
  }

  /** Calls `onFound` with the running instances that have the tags, after every poll, until `signal` aborts. */
  follow(tags: TagFilter, onFound: (instances: readonly Ec2Instance[]) => void, signal: AbortSignal): Promise<void> {
    const follower = { tags, matches: matcher(tags), onFound };
    this.#followers.add(follower);
    this.#poll.wake();
    return new Promise((resolve) => {
      onAbort(signal, () => {
        this.#followers.delete(follower);
        resolve();
      });
    });
  }

  status(): SourceStatus {
    return this.#poll.status();
  }

  async #read(signal: AbortSignal): Promise<undefined> {
    const sdk = await import('@aws-sdk/client-ec2');
    if (this.#followers.size === 0) return;
    this.#client ??= new sdk.EC2Client(clientConfig(this.#access));
    const asked = [...this.#followers];
    const request = { Filters: ec2Filters(asked.map(({ tags }) => tags)), MaxResults: 1000 };
    let instances: readonly Ec2Instance[];
    try {
      const pages = sdk.paginateDescribeInstances({ client: this.#client }, request, { abortSignal: signal });
      instances = await runningInstances(pages);
    } catch (error) {
      // The SDK may find other credentials by now; a new client looks for them.
      if (/expired|auth|credential|token/i.test((error as Error).name)) this.#dropClient();
      throw new Error('DescribeInstances', { cause: named(error) });
    }
    // A follower that came meanwhile was not part of the request, and waits for the next poll.
    for (const follower of asked) {
      if (this.#followers.has(follower)) follower.onFound(instances.filter(follower.matches));
    }
  }

  #dropClient(): void {
    this.#client?.destroy();
    this.#client = undefined;
  }
}

function clientConfig({ region, endpoint, timeoutMs, ...access }: Ec2Access): EC2ClientConfig {
  const { accessKeyId, secretAccessKey, sessionToken } = access;
  return {
    ...(region !== undefined && { region }),
    ...(endpoint !== undefined && { endpoint }),
    ...(accessKeyId !== undefined &&
      secretAccessKey !== undefined && {
        credentials: { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) },
      }),
    // This mode sends fewer requests when Amazon throttles them.
    retryMode: 'adaptive',
    maxAttempts: 3,
    requestHandler: {
      ...lookupAgents,
      connectionTimeout: Math.min(5_000, timeoutMs),
      requestTimeout: timeoutMs,
    },
  };
}

/** @throws when a page is not a list of instances, which is not the same as an empty list, or when pages repeat */
async function runningInstances(pages: AsyncIterable<DescribeInstancesCommandOutput>): Promise<readonly Ec2Instance[]> {
  const instances: Ec2Instance[] = [];
  const tokens = new Set<string>();
  for await (const { Reservations, NextToken } of pages) {
    if (Reservations === undefined) throw new Error('the answer holds no list of instances');
    // One by one: the arguments of a call are limited, and a page is as long as the server makes it.
    for (const { Instances = [] } of Reservations) for (const one of Instances) instances.push(one);
    if (!NextToken) continue;
    if (tokens.has(NextToken)) throw new Error('the same page came twice');
    tokens.add(NextToken);
  }
  return instances.filter(({ State }) => State?.Name === 'running');
}

/** Amazon's limit is 200 values in the filters of one request. */
const maxValues = 190;

/**
 * Filters that match the instances of all services, and few others. EC2 combines filters with AND and the values of one
 * filter with OR: services with a tag in common are found by its values, other services by the names of their tags. The
 * poller then selects the instances of each service.
 */
export function ec2Filters(services: readonly TagFilter[]): Filter[] {
  const running: Filter = { Name: 'instance-state-name', Values: ['running'] };
  const [first] = services;
  for (const tag of first?.keys() ?? []) {
    if (!services.every((tags) => tags.has(tag))) continue;
    const values = [...new Set(services.flatMap((tags) => tags.get(tag) ?? []))].sort();
    if (values.length <= maxValues) return [running, { Name: `tag:${tag}`, Values: values }];
  }
  const names = [...new Set(services.flatMap((tags) => [...tags.keys()].slice(0, 1)))].sort();
  return names.length <= maxValues ? [running, { Name: 'tag-key', Values: names }] : [running];
}

/** Matches as EC2's own filters do: case matters, `*` is any text, `?` one character, and `\` takes the next one literally. */
export function matcher(tags: TagFilter): (instance: Ec2Instance) => boolean {
  const patterns = [...tags].map(([tag, values]) => [tag, values.map(pattern)] as const);
  return ({ Tags = [] }) =>
    patterns.every(([tag, allowed]) =>
      Tags.some(({ Key, Value = '' }) => Key === tag && allowed.some((one) => one.test(Value))),
    );
}

function pattern(value: string): RegExp {
  const source = value.replace(/\\([*?\\])|\*+|\?|[\\^$.+()[\]{}|]/g, (part, literal: string | undefined) => {
    if (literal !== undefined) return `\\${literal}`;
    if (part.startsWith('*')) return '.*';
    return part === '?' ? '.' : `\\${part}`;
  });
  return new RegExp(`^${source}$`, 's');
}

/** Puts EC2's error code, which is the name of the SDK's error, into the message, because people search for it. */
function named(error: unknown): unknown {
  if (!(error instanceof Error) || error.name === 'Error' || error.message.includes(error.name)) return error;
  return new Error(`${error.name}: ${error.message}`, { cause: error });
}
