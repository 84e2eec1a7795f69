import { createHash } from 'node:crypto';
import { isObject } from '../../../common/config/formats.ts';
import { type Instance, makeInstance } from '../../../common/instance.ts';
import type { Source, SourceContext, SourcePlugin } from '../../source.ts';
import { createPublisher, Findings } from '../instance-set-builder.ts';
import { createEc2Poller, type Ec2Access, type Machine, type TagFilter } from './ec2tag/poller.ts';

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

export const source: SourcePlugin<Ec2TagOptions> = {
  description: 'Finds running EC2 instances by their tags; one poll serves all services that share its access.',
  schema: {
    tag_name: { doc: 'Name of the tag.', format: 'non-empty-string', default: undefined },
    tag_value: {
      doc: 'Its value, or a list of which one is enough; * and ? are wildcards.',
      format: readValues,
      type: 'string or list',
      default: undefined,
    },
    tags: {
      doc: 'More tags, {name: value}; an instance must have all of them.',
      format: readTags,
      type: 'object',
      default: new Map(),
    },
    check_interval: {
      doc: 'Time between polls. Amazon limits the rate of calls of a whole account.',
      format: 'positive-duration',
      default: 15_000,
    },
    timeout: {
      doc: 'Longest time for one poll, with all pages and retries.',
      format: 'positive-duration',
      default: 30_000,
    },
    aws_region: { doc: "Region; default: what the SDK's own chain finds.", format: 'string', default: undefined },
    aws_access_key_id: {
      doc: "Access key; default: what the SDK's own chain finds (environment, profile, container, instance metadata).",
      format: 'string',
      default: undefined,
      sensitive: true,
    },
    aws_secret_access_key: { doc: 'Its secret.', format: 'string', default: undefined, sensitive: true },
    aws_session_token: { doc: 'Its session token, if any.', format: 'string', default: undefined, sensitive: true },
    endpoint: { doc: 'Another URL for the EC2 API.', format: readUrl, type: 'url', default: undefined },
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
  const publisher = createPublisher(context);
  let poller: ReturnType<typeof createEc2Poller> | undefined;

  const follow: Source = (publish, signal) => {
    if (signal.aborted) return Promise.resolve();
    const hand = publisher.start(publish);
    poller = context.shared(key, (end, log) => createEc2Poller(access, { log }, end));
    return poller.follow(
      tags,
      (machines) => {
        const sorted = machines.toSorted((a, b) => compare(nameOf(a), nameOf(b)));
        const found = new Findings();
        for (const machine of sorted) add(found, machine, () => instanceOf(machine, port, false, options));
        if (backupPort !== undefined) {
          for (const machine of sorted) add(found, machine, () => instanceOf(machine, backupPort, true, options));
        }
        hand(found);
      },
      signal,
    );
  };
  return Object.assign(follow, {
    status: () => poller?.status() ?? { reason: 'has not asked yet', age: null },
  });
}

function add(found: Findings, machine: Machine, make: () => Instance): void {
  found.add(machine.InstanceId ?? 'an instance without an id', make, machine.LaunchTime?.getTime() ?? 0);
}

function instanceOf(machine: Machine, port: number, backup: boolean, options: Ec2TagOptions): Instance {
  const host = hostOf(machine, options.address);
  if (!host) throw new Error(`it has no ${options.address} address`);
  const zone = machine.Placement?.AvailabilityZone;
  const labels: [string, string][] = zone ? [['az', zone]] : [];
  for (const name of options.labels) {
    const tag = machine.Tags?.find(({ Key }) => Key === name);
    if (tag?.Value !== undefined) labels.push([name, tag.Value]);
  }
  return makeInstance({ name: nameOf(machine), host, port, backup, labels: Object.fromEntries(labels) });
}

/** The private DNS name, as in the original; a VPC may be set up to have none. */
function nameOf({ PrivateDnsName, InstanceId }: Machine): string {
  return PrivateDnsName || InstanceId || '';
}

function hostOf(machine: Machine, address: Ec2TagOptions['address']): string | undefined {
  if (address === 'public') return machine.PublicIpAddress;
  if (address === 'dns') return machine.PrivateDnsName;
  if (address === 'private') return machine.PrivateIpAddress;
  const other = machine.NetworkInterfaces?.flatMap(({ Ipv6Addresses = [] }) => Ipv6Addresses)[0]?.Ipv6Address;
  return machine.Ipv6Address ?? other;
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
  // Empty is what a variable that is not set leaves: `${AWS_REGION:-}`.
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
    interval: options.check_interval,
    timeout: options.timeout,
  };
}

/** YAML reads `true` and `1` as what they are; tags are always text. */
function readValues(value: unknown): readonly string[] {
  const list = Array.isArray(value) ? value : [value];
  const fine = list.every((item) => ['string', 'number', 'boolean'].includes(typeof item));
  if (!fine || list.length === 0) throw new Error('must be a string, or a list of strings of which one is enough');
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

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
