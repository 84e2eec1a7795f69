import { ConfigError, type Document, type Problem } from '../../common/config/config.ts';

/**
 * The configuration of one nerve beside one service, from the environment alone: `NERVE_SERVICE`, `NERVE_HOST` (default
 * auto), `NERVE_PORT`, `NERVE_CHECK` (`http:/health`, `tcp`; default tcp), `ETCD_HOSTS`, `ETCD_TLS_CA`, `ETCD_TLS_CERT`,
 * `ETCD_TLS_KEY`, `ETCD_USERNAME`, `ETCD_PASSWORD`; and `NERVE_ADMIN_LISTEN`, `NERVE_ADMIN_HOSTS` and
 * `NERVE_CONTROL_SOCKET` for its admin section.
 * @throws {ConfigError} when neither a file nor a service is named
 */
export function environmentDocument(env: Readonly<Record<string, string | undefined>>): Document {
  const problems: Problem[] = [];
  const need = (name: string, what: string): string => {
    const value = env[name] ?? '';
    if (value === '') problems.push({ file: 'environment', path: name, message: `is not set: ${what}` });
    return value;
  };
  if (!env.NERVE_SERVICE) {
    const message =
      'name a configuration file with -c FILE or NERVE_CONFIG, or one service with NERVE_SERVICE and NERVE_PORT';
    throw new ConfigError([{ path: '', message }]);
  }
  const port = need('NERVE_PORT', 'the port of the service');
  const [type = '', uri] = split(env.NERVE_CHECK || 'tcp');
  if (uri !== undefined && type !== 'http' && type !== 'https') {
    const message = `must be the type of a check, or http:/PATH, not ${JSON.stringify(env.NERVE_CHECK)}`;
    problems.push({ file: 'environment', path: 'NERVE_CHECK', message });
  }
  if (problems.length > 0) throw new ConfigError(problems);
  const check = type === 'https' ? { type: 'http', ssl: true, uri } : { type, ...(uri !== undefined && { uri }) };
  const { NERVE_HOST: host, NERVE_ADMIN_LISTEN: listen, NERVE_ADMIN_HOSTS: names, NERVE_CONTROL_SOCKET: socket } = env;
  return {
    file: 'environment',
    warnings: [],
    fileOf: () => 'environment',
    value: {
      services: { [env.NERVE_SERVICE]: { host: host || 'auto', port, checks: [check] } },
      etcd: etcdSection(env),
      admin: {
        ...(listen && { listen }),
        ...(names && { hosts: names.split(',').map((name) => name.trim()) }),
        ...(socket && { control_socket: socket }),
      },
    },
  };
}

/** Treats an empty variable as one that is not set. */
function etcdSection(env: Readonly<Record<string, string | undefined>>): Readonly<Record<string, unknown>> {
  const { ETCD_HOSTS: hosts, ETCD_USERNAME: username, ETCD_PASSWORD: password } = env;
  const tls = { ca: env.ETCD_TLS_CA, cert: env.ETCD_TLS_CERT, key: env.ETCD_TLS_KEY };
  return { ...(hosts && { hosts }), ...(username && { username }), ...(password && { password }), tls };
}

/** `http:/health` into its type and path. */
function split(check: string): readonly [string, string?] {
  const colon = check.indexOf(':');
  return colon === -1 ? [check] : [check.slice(0, colon), check.slice(colon + 1)];
}
