import { isObject } from '../../../../common/config/formats.ts';
import { isHost, isPort, makeInstance } from '../../../../common/instance.ts';
import { knownHint } from '../../../../common/nearest.ts';
import type { DockerAddress } from '../../../../common/net/docker.ts';
import type { TlsClientOptions } from '../../../../common/net/tls-client.ts';

/** A Docker engine. */
export interface DockerServer {
  /** Name of its instances; default: the names of their containers. */
  readonly name?: string;
  readonly engine: DockerAddress;
  readonly secure?: boolean;
  /** The address for ports that are published on all addresses. */
  readonly address: string;
}

/** Reads the option `host`. @throws when it is not an address of an engine */
export function readEngine(value: unknown): DockerServer {
  const text = typeof value === 'string' ? value : '';
  const socketPath = /^unix:\/\/(\/.+)$/.exec(text)?.[1];
  if (socketPath !== undefined) return { engine: { socketPath }, address: '127.0.0.1' };
  const address = text.replace(/^tcp:/, 'http:');
  if (!/^https?:\/\/[^/@]+\/?$/.test(address) || !URL.canParse(address)) {
    throw new Error('must be unix:///PATH, http://HOST:PORT or https://HOST:PORT');
  }
  const url = new URL(address);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const secure = url.protocol === 'https:';
  // 2376 is Docker's own port for TLS.
  return { engine: { host, port: Number(url.port || (secure ? 2376 : 80)) }, secure, address: host };
}

/** Adds the TLS options to an engine with an https address. */
export function withTls(server: DockerServer, tls: TlsClientOptions): DockerServer {
  if (server.secure !== true || 'socketPath' in server.engine) return server;
  return { ...server, engine: { ...server.engine, tls } };
}

/** Reads the option `servers`, in SmartStack's format, whose default port is Docker's of that time. @throws when it is not valid */
export function readServers(value: unknown): readonly DockerServer[] {
  if (!Array.isArray(value)) throw new Error('must be a list of {name, host, port}');
  return value.map((entry, index) => {
    const { name, host, port: given, ...unknown } = isObject(entry) ? entry : {};
    const [key] = Object.keys(unknown);
    if (key !== undefined)
      throw new Error(`entry ${index}: unknown key ${key}; ${knownHint(key, ['name', 'host', 'port'])}`);
    const port = typeof given === 'string' ? Number(given) : (given ?? 4243);
    if (!isHost(host)) throw new Error(`entry ${index}: host must be an IP address or a host name`);
    if (!isPort(port)) throw new Error(`entry ${index}: port must be from 1 to 65535`);
    if (name != null) makeInstance({ name: name as string, host, port });
    return { ...(name != null && { name: name as string }), engine: { host, port }, address: host };
  });
}
