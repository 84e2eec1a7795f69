import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unpackPackages } from '../../../deploy/tools/debian/programs.ts';
import { freePort } from '../../../etcd-cluster/members/ports.ts';
import { listens, type Server, startServer } from './server.ts';

const packages = [
  'rabbitmq-server',
  'erlang-base',
  ...['asn1', 'crypto', 'eldap', 'inets', 'mnesia', 'os-mon', 'parsetools', 'public-key'].map(
    (name) => `erlang-${name}`,
  ),
  ...['runtime-tools', 'ssl', 'syntax-tools', 'tools', 'xmerl'].map((name) => `erlang-${name}`),
] as unknown as readonly [string, ...string[]];

/** How a RabbitMQ server is run. */
export interface RabbitmqOptions {
  /** Lines of its configuration file, beside where to listen. */
  readonly settings?: readonly string[];
  /** What it is to have at the start (users, virtual hosts, queues), in the form of its own exports. */
  readonly definitions?: unknown;
}

/**
 * Debian's RabbitMQ on a free port, with an Erlang port mapper of its own. Started without its shell scripts, which
 * know only the place where Debian installs them.
 */
export async function startRabbitmq(options: RabbitmqOptions = {}): Promise<Server & { readonly port: number }> {
  const { settings = [], definitions = {} } = options;
  const tree = await unpackPackages('bookworm', packages);
  const folder = await mkdtemp(join(tmpdir(), 'smartstack-rabbitmq-'));
  const remove = () => rm(folder, { recursive: true, force: true, maxRetries: 5 });
  const erlang = join(tree, 'usr/lib/erlang');
  const bin = join(erlang, await only(erlang, /^erts-/), 'bin');
  const homes = join(tree, 'usr/lib/rabbitmq/lib');
  const home = join(homes, await only(homes, /^rabbitmq_server-/));
  const [port, mapperPort, nodePort] = [await freePort(), await freePort(), await freePort()];
  const env = {
    ...{ ERL_EPMD_PORT: `${mapperPort}`, ERL_EPMD_ADDRESS: '127.0.0.1' },
    ...{ ROOTDIR: erlang, BINDIR: bin, EMU: 'beam', PROGNAME: 'erl', HOME: folder, ERL_LIBS: `${home}/plugins` },
    RABBITMQ_HOME: home,
    RABBITMQ_PLUGINS_DIR: join(home, 'plugins'),
    RABBITMQ_NODENAME: `test${port}@localhost`,
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_DIST_PORT: `${nodePort}`,
    RABBITMQ_LOGS: '-',
  };
  let mapper: Server | undefined;
  try {
    await writeFile(join(folder, 'definitions.json'), JSON.stringify(definitions));
    const lines = [`listeners.tcp.1 = 127.0.0.1:${port}`, `load_definitions = ${folder}/definitions.json`, ...settings];
    await writeFile(join(folder, 'rabbitmq.conf'), `${lines.join('\n')}\n`);
    // One of our own: Erlang would start a daemon and leave it behind.
    mapper = await startServer([join(bin, 'epmd'), '-port', `${mapperPort}`, '-address', '127.0.0.1'], {
      ready: () => listens(mapperPort),
    });
    const quiet = ['+sbwt', 'none', '+sbwtdcpu', 'none', '+sbwtdio', 'none', '+S', '1:1'];
    const kernel = ['-kernel', 'inet_dist_listen_min', `${nodePort}`, 'inet_dist_listen_max', `${nodePort}`];
    const boot = ['-noinput', '-s', 'rabbit', 'boot', '-boot', 'start_sasl', ...quiet, ...kernel];
    const server = await startServer([join(bin, 'erlexec'), ...boot], { env, cwd: folder, ready: () => listens(port) });
    const stop = async (): Promise<void> => {
      await server.stop();
      await mapper?.stop();
      await remove();
    };
    return { ...server, port, stop };
  } catch (error) {
    await mapper?.stop();
    await remove();
    throw error;
  }
}

async function only(folder: string, pattern: RegExp): Promise<string> {
  const name = (await readdir(folder)).find((entry) => pattern.test(entry));
  if (name === undefined) throw new Error(`${folder} has no ${pattern}`);
  return name;
}
