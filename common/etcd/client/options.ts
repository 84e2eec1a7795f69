import { type Problem, type Schema, validate } from '../../config/config.ts';
import { anyText, type JsonSchema, listOf, textLike } from '../../config/json-values.ts';
import { isError } from '../../config/problem.ts';
import { isHost } from '../../instance.ts';
import { knownHint } from '../../nearest.ts';
import { isLoopbackHost } from '../../net/ip-words.ts';
import { listed } from '../../wording.ts';

/** PEM files; each is read again when it changes. */
export interface EtcdTls {
  /** Certificate authorities to trust; default: the system's. */
  readonly ca?: string;
  /** The client certificate, for members that require one; goes with `key`. */
  readonly cert?: string;
  readonly key?: string;
  /** The name to expect in the members' certificate, when it is not the one in their address. */
  readonly serverName?: string;
}

/** Addresses of etcd, and how this process authenticates itself. */
export interface EtcdOptions {
  /** Addresses of the members, at least one; see {@link parseHosts}. */
  readonly hosts: readonly string[];
  readonly tls?: EtcdTls | null;
  readonly username?: string | null;
  readonly password?: string | null;
  /** A file with the password instead, read again for each login. */
  readonly password_file?: string | null;
}

const address = String.raw`\s*(([Hh][Tt][Tt][Pp][Ss]?://)?(\[[^\]]+\]|[^:/?#@\[\]\s,]+)(:\d{1,5})?/?)?\s*`;
const hostsJson: JsonSchema = {
  anyOf: [textLike(`^${address}(,${address})*$`), listOf(textLike(`^${address}$`), { minItems: 1 })],
};

const tlsJson: JsonSchema = {
  type: 'object',
  properties: Object.fromEntries(['ca', 'cert', 'key', 'serverName'].map((key) => [key, { type: ['string', 'null'] }])),
  additionalProperties: false,
};

/** The `etcd` section of both daemons. */
export const etcdSchema: Schema<EtcdOptions> = {
  hosts: {
    doc: 'Addresses of the etcd members: a list, or one string with commas. https turns TLS on; the port is 2379 unless given.',
    format: (value: unknown) => parseHosts(value).map((host) => host.url),
    json: hostsJson,
    type: 'hosts',
    default: ['http://127.0.0.1:2379'],
  },
  tls: {
    doc: 'PEM files: ca, cert, key; and serverName, the name to expect in the certificate of the members.',
    format: checkTls,
    json: tlsJson,
    type: 'object',
    default: null,
  },
  username: {
    doc: 'User, when etcd has authentication on.',
    format: optionalString,
    json: anyText,
    type: 'string',
    default: null,
  },
  password: {
    doc: 'Password of that user.',
    format: optionalString,
    json: anyText,
    type: 'string',
    default: null,
    sensitive: true,
  },
  password_file: {
    doc: 'File with the password, instead of password; read again when etcd refuses the password or the token.',
    format: optionalString,
    json: anyText,
    names: 'password file',
    default: null,
  },
};

/** One member's client address. */
export interface Host {
  /** In normal form, `http://10.0.0.1:2379`, for people. */
  readonly url: string;
  /** What grpc-js dials. */
  readonly target: string;
  readonly secure: boolean;
}

/**
 * Brings addresses into normal form: `10.0.0.1`, `etcd-1:2379`, `https://etcd-1`, `[::1]:2379`; 2379 where no port is
 * given, plain HTTP where no scheme is given. Repeated addresses are dropped.
 * @throws naming the address that cannot be used
 */
export function parseHosts(value: unknown): readonly Host[] {
  const list = typeof value === 'string' ? value.split(',') : value;
  if (!Array.isArray(list)) throw new Error('must be a list of addresses, or one string with commas');
  const hosts = new Map<string, Host>();
  for (const text of list) {
    if (typeof text === 'string' && text.trim() === '') continue;
    const host = parseHost(text);
    hosts.set(host.url, host);
  }
  if (hosts.size === 0) throw new Error('must have at least one address, such as http://10.0.0.1:2379');
  return [...hosts.values()];
}

function parseHost(value: unknown): Host {
  const problem = (why: string): Error =>
    new Error(`${show(value)} ${why}; allowed is [http://|https://]HOST[:PORT], such as http://10.0.0.1:2379`);
  if (typeof value !== 'string') throw problem('must be a string');
  const match = /^(?:(https?):\/\/)?(?:\[([^\]]+)\]|([^:/?#@[\]]+))(?::(\d{1,5}))?\/?$/i.exec(value.trim());
  if (match === null) throw problem('is not an address');
  const [, scheme, bracketed, plain, digits] = match;
  const name = (bracketed ?? plain ?? '').toLowerCase();
  if (!isHost(name)) throw problem('has neither an IP address nor a host name');
  const port = digits === undefined ? 2379 : Number(digits);
  if (port < 1 || port > 65535) throw problem('has a port that is not from 1 to 65535');
  const address = `${bracketed === undefined ? name : `[${name}]`}:${port}`;
  const secure = scheme?.toLowerCase() === 'https';
  // A bare `[::1]:2379` or `host:2379` without gRPC's own `dns:` could be taken for a scheme.
  const target = bracketed === undefined ? `dns:${address}` : `ipv6:${address}`;
  return { url: `${secure ? 'https' : 'http'}://${address}`, target, secure };
}

/**
 * Reads the section `etcd` of a configuration. With a problem in it, the result is a stand-in, so that services that use
 * it do not report the same problem.
 */
export function readEtcdSection(value: unknown, problems: Problem[]): EtcdOptions {
  const found: Problem[] = [];
  const options = validate(etcdSchema, value, { path: 'etcd', problems: found });
  if (!found.some(isError)) {
    const clash = findClash(options, parseHosts(options.hosts));
    if (clash !== undefined) found.push({ path: `etcd.${clash.key}`, message: clash.message });
    const message = plaintextWarning(options);
    if (message !== null) found.push({ path: 'etcd.hosts', message, severity: 'warning' });
  }
  problems.push(...found);
  return found.some(isError) ? validate(etcdSchema, {}, { path: 'etcd', problems: [] }) : options;
}

/**
 * Checks the options together.
 * @throws naming the option, its value and what is allowed
 */
export function checkEtcdOptions(options: EtcdOptions): readonly Host[] {
  const hosts = parseHosts(options.hosts);
  checkTls(options.tls ?? null);
  optionalString(options.username ?? null);
  optionalString(options.password ?? null);
  optionalString(options.password_file ?? null);
  const clash = findClash(options, hosts);
  if (clash !== undefined) throw new Error(`${clash.key}: ${clash.message}`);
  return hosts;
}

/** Why others on the network could read the password of these options; null when they could not. */
export function plaintextWarning({ hosts, password, password_file }: EtcdOptions): string | null {
  if (!password && !password_file) return null;
  const open = parseHosts(hosts).filter(
    ({ url, secure }) => !secure && !isLoopbackHost(new URL(url).hostname.replace(/^\[|\]$/g, '')),
  );
  if (open.length === 0) return null;
  return `the password goes over the network without encryption to ${listed(open.map(({ url }) => url))}; use https://`;
}

/** An option that does not go together with another one. */
interface Clash {
  readonly key: keyof EtcdOptions;
  readonly message: string;
}

function findClash(options: EtcdOptions, hosts: readonly Host[]): Clash | undefined {
  const { username = null, password = null } = options;
  const hasFile = Boolean(options.password_file);
  if (hasFile && password) return { key: 'password_file', message: 'set only one of password and password_file' };
  if (username !== null && password === null && !hasFile) {
    return { key: 'username', message: `${show(username)} needs a password or a password_file` };
  }
  if (checkTls(options.tls ?? null) !== null && !hosts.some((host) => host.secure)) {
    return { key: 'tls', message: 'is set, but no address of hosts starts with https://' };
  }
  return undefined;
}

const tlsKeys = ['ca', 'cert', 'key', 'serverName'] as const;

/** Checks the TLS options. Drops empty ones, as `${ETCD_TLS_CA:-}` may be; null when none is left. @throws saying what is allowed */
function checkTls(value: unknown): EtcdTls | null {
  if (value === null || value === undefined) return null;
  if (typeof value !== 'object' || Array.isArray(value))
    throw new Error('must be an object with ca, cert, key, serverName');
  for (const [key, file] of Object.entries(value)) {
    if (!(tlsKeys as readonly string[]).includes(key))
      throw new Error(`unknown key ${key}; ${knownHint(key, tlsKeys)}`);
    if (file !== null && file !== undefined && typeof file !== 'string') {
      throw new Error(`${key} ${show(file)}: must be a string`);
    }
  }
  const tls: EtcdTls = Object.fromEntries(Object.entries(value).filter(([, file]) => file));
  if ((tls.cert === undefined) !== (tls.key === undefined)) throw new Error('cert and key must be given together');
  return Object.keys(tls).length === 0 ? null : tls;
}

function optionalString(value: unknown): void {
  if (value !== null && value !== undefined && typeof value !== 'string') throw new Error('must be a string');
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
