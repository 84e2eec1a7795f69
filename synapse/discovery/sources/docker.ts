import { clock } from '../../../common/async/clock.ts';
import { supervise } from '../../../common/async/supervise.ts';
import { compareText } from '../../../common/compare.ts';
import { anyText, type JsonSchema, listOf, textLike, wholeNumber } from '../../../common/config/json-values.ts';
import { type Instance, takeInstance } from '../../../common/instance.ts';
import { checkTlsClient, type TlsClientOptions, tlsClientSchema as tls } from '../../../common/net/tls-client.ts';
import type { Source, SourceContext, SourcePlugin } from '../../source.ts';
import { InstanceSetBuilder, SetPublisher } from '../instance-set-builder.ts';
import { type Container, followContainers } from './docker/engine.ts';
import { type DockerServer, readEngine, readServers, withTls } from './docker/server.ts';

/** Options of `method: docker`. */
export interface DockerOptions extends TlsClientOptions {
  readonly host?: DockerServer;
  readonly servers: readonly DockerServer[];
  readonly address?: string;
  readonly label: readonly string[];
  readonly image_name?: string;
  readonly container_port?: number;
  readonly network?: string;
  readonly labels: readonly string[];
  readonly check_interval: number;
  readonly timeout: number;
}

const server: JsonSchema = {
  type: 'object',
  properties: { name: anyText, host: anyText, port: wholeNumber({ minimum: 1, maximum: 65_535 }) },
  required: ['host'],
  additionalProperties: false,
};

/** The source `docker`. */
export const source: SourcePlugin<DockerOptions> = {
  description: 'Finds running containers by label or image, through the API of one or more Docker engines.',
  schema: {
    host: {
      doc: "The engine's API: unix:///PATH, http://HOST:PORT or https://HOST:PORT, default unix:///var/run/docker.sock.",
      format: readEngine,
      json: textLike('^(unix:///|https?://|tcp://)'),
      type: 'address',
      names: 'socket',
      default: undefined,
    },
    servers: {
      doc: 'Several engines: [{name, host, port}], port 4243.',
      format: readServers,
      json: listOf(server),
      type: 'list',
      default: [],
    },
    address: {
      doc: "Address of published ports; default: the engine's host, or 127.0.0.1 with a unix socket.",
      format: 'host',
      default: undefined,
    },
    label: { doc: 'Labels that containers must have, KEY or KEY=VALUE.', format: 'strings', default: [] },
    image_name: { doc: 'Image of the containers, without a tag.', format: 'non-empty-string', default: undefined },
    container_port: {
      doc: 'Port inside the container; default: its only published port.',
      format: 'port',
      default: undefined,
    },
    network: {
      doc: "Name of a network: use the containers' own addresses in it instead of published ports.",
      format: 'non-empty-string',
      default: undefined,
    },
    labels: { doc: 'Labels of the container that become labels of the instance.', format: 'strings', default: [] },
    check_interval: {
      doc: 'How often to list the containers without an event.',
      format: 'positive-duration',
      default: 15_000,
    },
    timeout: { doc: 'Longest time for one answer of an engine.', format: 'positive-duration', default: 10_000 },
    ssl_verify: { ...tls.ssl_verify, doc: 'With https: refuse a certificate of an unknown authority.' },
    ssl_ca: { ...tls.ssl_ca, doc: 'File with the authorities to trust (PEM); default those that Node trusts.' },
    ssl_cert: { ...tls.ssl_cert, doc: "File with synapse's own certificate (PEM), for engines that require one." },
    ssl_key: { ...tls.ssl_key, doc: 'File with the key of ssl_cert (PEM).' },
    ssl_server_name: {
      ...tls.ssl_server_name,
      doc: "Name that the certificate must have; default the engine's host.",
    },
  },
  example: { host: 'http://127.0.0.1:9', image_name: 'api', container_port: 80 },
  create,
};

/** The state of one engine. */
interface Engine {
  readonly server: DockerServer;
  /** Undefined before the first list. */
  containers: readonly Container[] | undefined;
  reason: string | null;
  /** When the engine listed its containers last, milliseconds of `clock.now()`. */
  listedAt: number | null;
}

function create(options: DockerOptions, context: SourceContext): Source {
  const {
    host = readEngine('unix:///var/run/docker.sock'),
    servers,
    label: labels,
    check_interval: interval,
    timeout,
  } = options;
  if (labels.length === 0 && options.image_name === undefined) {
    throw new Error('label or image_name is required, because not every container is an instance');
  }
  if (options.host !== undefined && servers.length > 0) throw new Error('host and servers: set only one of them');
  if (options.network !== undefined && options.container_port === undefined) {
    throw new Error('container_port is required with network');
  }
  checkTlsClient(options);
  const engines: readonly Engine[] = (servers.length > 0 ? servers : [host]).map((server) => ({
    server: withTls(server, options),
    containers: undefined,
    reason: 'has not answered yet',
    listedAt: null,
  }));
  const publisher = new SetPublisher(context);

  const follow: Source = async (publish, signal) => {
    const publishFound = publisher.start(publish);
    const update = (): void => {
      const found = new InstanceSetBuilder();
      // All or nothing: without the containers of one engine, the set would not be complete.
      for (const { server, containers } of engines) {
        if (containers === undefined) return;
        for (const container of containers) {
          const where = `container ${container.name || container.id}`;
          if (isImage(container.image, options.image_name)) {
            found.add(where, () => instanceOf(container, server, options));
          }
        }
      }
      publishFound(found);
    };
    const run = (engine: Engine): Promise<void> => {
      const onList = (containers: readonly Container[]): void => {
        engine.containers = containers.toSorted((a, b) => compareText(a.name, b.name));
        engine.reason = null;
        engine.listedAt = clock.now();
        update();
      };
      const onReason = (reason: string | null): void => {
        if (reason !== null) engine.reason = reason;
      };
      return supervise(
        (end) =>
          followContainers(engine.server.engine, { labels, intervalMs: interval, timeoutMs: timeout }, onList, end),
        { what: 'Docker', log: context.log, onReason, healthyAfterMs: timeout + 1_000 },
        signal,
      );
    };
    await Promise.all(engines.map(run));
  };
  return Object.assign(follow, {
    status() {
      const ages = engines.map(({ listedAt }) => (listedAt === null ? null : clock.now() - listedAt));
      return {
        reason: engines.find(({ reason }) => reason !== null)?.reason ?? null,
        age: ages.reduce((a, b) => (a === null || b === null ? null : Math.max(a, b))) ?? null,
      };
    },
  });
}

function instanceOf(container: Container, server: DockerServer, options: DockerOptions): Instance {
  // A label that is no text is left out, with a reason.
  const labels = options.labels.flatMap((name): [string, unknown][] =>
    Object.hasOwn(container.labels, name) ? [[name, container.labels[name]]] : [],
  );
  return takeInstance({
    name: server.name ?? (container.name || container.id),
    ...addressOf(container, server, options),
    ...(labels.length > 0 && { labels: Object.fromEntries(labels) }),
  });
}

function addressOf(container: Container, server: DockerServer, options: DockerOptions): { host: string; port: number } {
  const { network, container_port: inside } = options;
  if (network !== undefined && inside !== undefined) {
    const host = container.networks.get(network);
    if (host === undefined) throw new Error(`it has no address in the network ${network}`);
    return { host, port: inside };
  }
  const published = container.ports.filter((port) => inside === undefined || port.inside === inside);
  const insides = new Set(published.map((port) => port.inside));
  if (insides.size > 1) throw new Error(`it publishes ${insides.size} ports; set container_port to one of them`);
  // The same port may be published more than once, on IPv4 and IPv6 for example.
  const [port] = published.toSorted((a, b) => a.outside - b.outside || compareText(a.address, b.address));
  if (port === undefined)
    throw new Error(inside === undefined ? 'it publishes no port' : `it does not publish port ${inside}`);
  return { host: port.address || (options.address ?? server.address), port: port.outside };
}

/** Compares images without tag and digest; the colon before a registry's port does not start a tag. */
function isImage(image: string, wanted: string | undefined): boolean {
  return wanted === undefined || image.replace(/@.*$/, '').replace(/:[^:/]*$/, '') === wanted;
}
