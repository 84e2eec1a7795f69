import type { DescribeInstancesCommandOutput, EC2Client, Filter, Instance as Machine } from '@aws-sdk/client-ec2';
import type { Log } from '../../../../common/daemon/log.ts';
import type { SourceStatus } from '../../../source.ts';
import { createPoll } from '../../poll.ts';

export type { Machine };

/** How to reach EC2. What is not given, the SDK's own chains find: environment, profile, container, instance metadata. */
export interface Ec2Access {
  readonly region?: string;
  readonly accessKeyId?: string;
  readonly secretAccessKey?: string;
  readonly sessionToken?: string;
  readonly endpoint?: string;
  /** Milliseconds. */
  readonly interval: number;
  /** For one poll with all its pages and the SDK's own retries, milliseconds. */
  readonly timeout: number;
}

/** Tags that an instance must all have, each with one of its values. Values may hold EC2's wildcards. */
export type TagFilter = ReadonlyMap<string, readonly string[]>;

interface Follower {
  readonly tags: TagFilter;
  readonly matches: (machine: Machine) => boolean;
  readonly onFound: (machines: readonly Machine[]) => void;
}

/** One poll for all services with the same access, however many there are: Amazon limits the rate of calls. */
export interface Ec2Poller {
  /** Calls `onFound` with the running machines that have the tags, after every poll, until `signal` aborts. */
  follow(tags: TagFilter, onFound: (machines: readonly Machine[]) => void, signal: AbortSignal): Promise<void>;
  status(): SourceStatus;
}

/** Starts as soon as this round of the event loop is over, so that all services of a configuration share the first poll. */
export function createEc2Poller(access: Ec2Access, deps: { readonly log: Log }, signal: AbortSignal): Ec2Poller {
  const { interval, timeout } = access;
  const followers = new Set<Follower>();
  let client: EC2Client | undefined;

  const look = async (end: AbortSignal): Promise<undefined> => {
    const sdk = await import('@aws-sdk/client-ec2');
    if (followers.size === 0) return;
    client ??= new sdk.EC2Client({
      ...(access.region !== undefined && { region: access.region }),
      ...(access.endpoint !== undefined && { endpoint: access.endpoint }),
      ...(access.accessKeyId !== undefined &&
        access.secretAccessKey !== undefined && {
          credentials: {
            accessKeyId: access.accessKeyId,
            secretAccessKey: access.secretAccessKey,
            ...(access.sessionToken !== undefined && { sessionToken: access.sessionToken }),
          },
        }),
      // Slows down by itself when Amazon throttles.
      retryMode: 'adaptive',
      maxAttempts: 3,
      requestHandler: { connectionTimeout: Math.min(5_000, timeout), requestTimeout: timeout },
    });
    const asked = [...followers];
    const Filters = ec2Filters(asked.map(({ tags }) => tags));
    const machines: Machine[] = [];
    const tokens = new Set<string>();
    let NextToken: string | undefined;
    try {
      do {
        const request = { Filters, MaxResults: 1000, ...(NextToken !== undefined && { NextToken }) };
        const page = await client.send(new sdk.DescribeInstancesCommand(request), { abortSignal: end });
        machines.push(...machinesOf(page));
        NextToken = page.NextToken || undefined;
        if (NextToken !== undefined && tokens.has(NextToken)) throw new Error('the same page came twice');
        if (NextToken !== undefined) tokens.add(NextToken);
      } while (NextToken !== undefined);
    } catch (error) {
      // Credentials that a chain found once may be new by now; a new client looks again.
      if (/expired|auth|credential|token/i.test((error as Error).name)) drop();
      throw new Error('DescribeInstances', { cause: named(error) });
    }
    // Who came while we were asking was not asked for, and waits for the next look.
    for (const follower of asked) {
      if (followers.has(follower)) follower.onFound(machines.filter(follower.matches));
    }
  };
  const drop = (): void => {
    client?.destroy();
    client = undefined;
  };

  const poll = createPoll(look, { what: 'EC2', interval, timeout, log: deps.log });
  setImmediate(() => {
    void poll.run(signal).finally(drop);
  });

  return {
    follow(tags, onFound, end) {
      const follower = { tags, matches: matcher(tags), onFound };
      return new Promise((resolve) => {
        if (end.aborted) return resolve();
        followers.add(follower);
        poll.wake();
        end.addEventListener(
          'abort',
          () => {
            followers.delete(follower);
            resolve();
          },
          { once: true },
        );
      });
    },
    status: poll.status,
  };
}

/** @throws when the answer is no list of instances at all: that is not the same as an empty list */
function machinesOf({ Reservations }: DescribeInstancesCommandOutput): readonly Machine[] {
  if (Reservations === undefined) throw new Error('the answer holds no list of instances');
  return Reservations.flatMap(({ Instances = [] }) => Instances).filter(({ State }) => State?.Name === 'running');
}

/** Amazon's limit for all values of one request. */
const maxValues = 190;

/**
 * Filters that let everything through that any of the services wants, and little else: EC2 ANDs filters and ORs the
 * values of one, so services with a tag in common are asked for by its values, others by the names of their tags. What
 * comes back is split here.
 */
export function ec2Filters(wanted: readonly TagFilter[]): Filter[] {
  const running: Filter = { Name: 'instance-state-name', Values: ['running'] };
  const [first] = wanted;
  for (const tag of first?.keys() ?? []) {
    if (!wanted.every((tags) => tags.has(tag))) continue;
    const values = [...new Set(wanted.flatMap((tags) => tags.get(tag) ?? []))].sort();
    if (values.length <= maxValues) return [running, { Name: `tag:${tag}`, Values: values }];
  }
  const names = [...new Set(wanted.flatMap((tags) => [...tags.keys()].slice(0, 1)))].sort();
  return names.length <= maxValues ? [running, { Name: 'tag-key', Values: names }] : [running];
}

/** The same decision as EC2's own filters make: case matters, `*` is any text, `?` one character, `\` takes them as they are. */
export function matcher(tags: TagFilter): (machine: Machine) => boolean {
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

/** EC2's error codes are the names of the SDK's errors, and people search for those. */
function named(error: unknown): unknown {
  if (!(error instanceof Error) || error.name === 'Error' || error.message.includes(error.name)) return error;
  return new Error(`${error.name}: ${error.message}`, { cause: error });
}
