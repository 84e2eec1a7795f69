import { createHash } from 'node:crypto';
import { compareText } from '../../../common/compare.ts';
import { isObject } from '../../../common/config/formats.ts';
import { mapOf, oneOrList, textLike } from '../../../common/config/json-values.ts';
import { type Instance, takeInstance } from '../../../common/instance.ts';
import type { Source, SourceContext, SourcePlugin } from '../../source.ts';
import { InstanceSetBuilder, SetPublisher } from '../instance-set-builder.ts';
import { type Ec2Access, type Ec2Instance, Ec2Poller, type TagFilter } from './ec2tag/poller.ts';

/** Options of `method: ec2tag`. */
export interface Ec2TagOptions {
  readonly tag_name?: string;
  readonly tag_value?: readonly string[];
  readonly tags: TagFilter;
  readonly check_interval: number;
  readonly timeout: number;
  readonly aws_region?: string;
  readonly aws_access_key_id?: string;
  readonly aws_secret_access_key?: string;
  readonly aws_session_token?: string;
  readonly endpoint?: string;
  readonly address: 'private' | 'public' | 'ipv6' | 'dns';
  readonly labels: readonly string[];
  readonly port?: number;
  readonly server_backup_port?: number;
}

const tagValues = oneOrList({ type: ['string', 'number', 'boolean'] }, { minItems: 1 });

/** The source `ec2tag`. */
export const source: SourcePlugin<Ec2TagOptions> = {
  description: 'Finds running EC2 instances by their tags; one poll serves all services that share its access.',
  schema: {
    tag_name: { doc: 'Name of the tag.', format: 'non-empty-string', default: undefined },
    tag_value: {
      doc: 'Its value, or a list of values of which the tag must have one; * and ? are wildcards.',
      format: readValues,
      json: tagValues,
      type: 'string or list',
      default: undefined,
    },
    tags: {
      doc: 'More tags, {name: value}; an instance must have all of them.',
      format: readTags,
      json: mapOf(tagValues),
      type: 'object',
      default: new Map(),
    },
    check_interval: {
      doc: 'Time between polls. Amazon limits the rate of calls of each account.',
      format: 'positive-duration',
      default: 15_000,
    },
    timeout: {
      doc: 'Longest time for one poll, with all pages and retries.',
      format: 'positive-duration',
      default: 30_000,
    },
    aws_region: { doc: 'Region; default: the one that the SDK finds.', format: 'string', default: undefined },
    aws_access_key_id: {
      doc: 'Access key; default: the one that the SDK finds (environment, profile, container, instance metadata).',
      format: 'string',
      default: undefined,
      sensitive: true,
    },
    aws_secret_access_key: { doc: 'Secret of the access key.', format: 'string', default: undefined, sensitive: true },
    aws_session_token: {
      doc: 'Session token of the access key, if any.',
      format: 'string',
      default: undefined,
      sensitive: true,
    },
    endpoint: {
      doc: 'Another URL for the EC2 API.',
      format: readUrl,
      json: textLike('^https?://[^/]'),
      type: 'url',
      default: undefined,
    },
    address: {
      doc: 'Which address to use: private, public, ipv6, or dns for the private DNS name.',
      format: ['private', 'public', 'ipv6', 'dns'],
      default: 'private',
    },
    labels: { doc: 'Tags that become labels of the instance, beside az.', format: 'strings', default: [] },
    port: {
      doc: "Port of the instances, default the service's backend_port_override.",
      format: 'port',
      default: undefined,
    },
    server_backup_port: {
      doc: "Port of a second, backup server on each machine, default that of the service's haproxy section.",
      format: 'port',
      default: undefined,
    },
  },
  takesPorts: true,
  example: {
    tag_name: 'servicename',
    tag_value: 'api',
    port: 8080,
    aws_region: 'us-east-1',
    aws_access_key_id: 'AKIDEXAMPLE',
    aws_secret_access_key: 'EXAMPLE',
    endpoint: 'http://127.0.0.1:9',
  },
  create,
};

function create(options: Ec2TagOptions, context: SourceContext): Source {
  const tags = tagsOf(options);
  const { port, server_backup_port: backupPort } = options;
  if (port === undefined) throw new Error('backend_port_override is missing: EC2 does not know which port to use');
  const access = accessOf(options);
  const key = `ec2 ${createHash('sha256').update(JSON.stringify(access)).digest('hex')}`;
  const publisher = new SetPublisher(context);
  let poller: Ec2Poller | undefined;

  const follow: Source = (publish, signal) => {
    if (signal.aborted) return Promise.resolve();
    const publishFound = publisher.start(publish);
    poller = context.shared(key, (end, log) => {
      const made = new Ec2Poller(access, { log });
      void made.run(end);
      return made;
    });
    return poller.follow(
      tags,
      (instances) => {
        const sorted = instances.toSorted((a, b) => compareText(nameOf(a), nameOf(b)));
        const found = new InstanceSetBuilder();
        for (const one of sorted) add(found, one, () => instanceOf(one, { port, backup: false }, options));
        if (backupPort !== undefined) {
          for (const one of sorted) add(found, one, () => instanceOf(one, { port: backupPort, backup: true }, options));
        }
        publishFound(found);
      },
      signal,
    );
  };
  return Object.assign(follow, {
    status: () => poller?.status() ?? { reason: 'has not polled yet', age: null },
  });
}

function add(found: InstanceSetBuilder, { InstanceId, LaunchTime }: Ec2Instance, make: () => Instance): void {
  found.add(InstanceId ?? 'an instance without an id', make, LaunchTime?.getTime() ?? 0);
}

function instanceOf(
  found: Ec2Instance,
  { port, backup }: { readonly port: number; readonly backup: boolean },
  options: Ec2TagOptions,
): Instance {
  const host = hostOf(found, options.address);
  if (!host) throw new Error(`it has no ${options.address} address`);
  const zone = found.Placement?.AvailabilityZone;
  const labels: [string, string][] = zone ? [['az', zone]] : [];
  for (const name of options.labels) {
    const tag = found.Tags?.find(({ Key }) => Key === name);
    if (tag?.Value !== undefined) labels.push([name, tag.Value]);
  }
  return takeInstance({ name: nameOf(found), host, port, backup, labels: Object.fromEntries(labels) });
}

/** The private DNS name, as in SmartStack; in some VPCs, instances have none. */
function nameOf({ PrivateDnsName, InstanceId }: Ec2Instance): string {
  return PrivateDnsName || InstanceId || '';
}

function hostOf(found: Ec2Instance, address: Ec2TagOptions['address']): string | undefined {
  if (address === 'public') return found.PublicIpAddress;
  if (address === 'dns') return found.PrivateDnsName;
  if (address === 'private') return found.PrivateIpAddress;
  const other = found.NetworkInterfaces?.flatMap(({ Ipv6Addresses = [] }) => Ipv6Addresses)[0]?.Ipv6Address;
  return found.Ipv6Address ?? other;
}

function tagsOf({ tag_name, tag_value, tags }: Ec2TagOptions): TagFilter {
  if (tag_name === undefined && tag_value !== undefined) throw new Error('aws tag name is required: tag_name');
  if (tag_name !== undefined && tag_value === undefined) throw new Error('aws tag value required: tag_value');
  if (tag_name === undefined || tag_value === undefined) {
    if (tags.size === 0) throw new Error('aws tag name is required: tag_name and tag_value, or tags');
    return tags;
  }
  if (tags.has(tag_name)) throw new Error(`tags: ${tag_name} is tag_name already`);
  return new Map([[tag_name, tag_value], ...tags]);
}

function accessOf(options: Ec2TagOptions): Ec2Access {
  const { endpoint } = options;
  // `${AWS_REGION:-}` is empty when the variable is not set.
  const aws_region = options.aws_region || undefined;
  const aws_access_key_id = options.aws_access_key_id || undefined;
  const aws_secret_access_key = options.aws_secret_access_key || undefined;
  const aws_session_token = options.aws_session_token || undefined;
  if ((aws_access_key_id === undefined) !== (aws_secret_access_key === undefined)) {
    throw new Error('aws_access_key_id and aws_secret_access_key go together');
  }
  if (aws_session_token !== undefined && aws_access_key_id === undefined) {
    throw new Error('aws_session_token goes with aws_access_key_id');
  }
  return {
    ...(aws_region !== undefined && { region: aws_region }),
    ...(aws_access_key_id !== undefined && { accessKeyId: aws_access_key_id }),
    ...(aws_secret_access_key !== undefined && { secretAccessKey: aws_secret_access_key }),
    ...(aws_session_token !== undefined && { sessionToken: aws_session_token }),
    ...(endpoint !== undefined && { endpoint }),
    intervalMs: options.check_interval,
    timeoutMs: options.timeout,
  };
}

/** YAML reads `true` and `1` as a boolean and a number, but tags are text. */
function readValues(value: unknown): readonly string[] {
  const list = Array.isArray(value) ? value : [value];
  const fine = list.every((item) => ['string', 'number', 'boolean'].includes(typeof item));
  if (!fine || list.length === 0) throw new Error('must be a string, or a list of strings');
  return list.map(String);
}

function readTags(value: unknown): TagFilter {
  if (!isObject(value)) throw new Error('must be an object {name: value} or {name: [value, value]}');
  return new Map(Object.entries(value).map(([name, item]) => [name, readValues(item)]));
}

function readUrl(value: unknown): string {
  if (typeof value === 'string' && /^https?:\/\/[^/]/.test(value) && URL.canParse(value)) return value;
  throw new Error('must be an http:// or https:// URL');
}
