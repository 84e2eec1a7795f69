import { NotRunning } from '../../common/admin/client.ts';
import type { Command, CommandContext } from '../../common/cli/program.ts';
import { reasonOf, silentLog } from '../../common/daemon/log.ts';
import type { SynapseConfig } from '../config/config.ts';
import { explainReport } from '../report/explain/document.ts';
import { explainShape } from '../report/explain/explain-shape.ts';
import { instancesOf, type ServiceFacts } from '../report/explain/facts.ts';
import { formatInstances, formatService } from '../report/explain/text.ts';
import { unknownServer } from '../report/explain/unknown-server.ts';
import { noService } from '../report/state.ts';
import { ask } from './ask.ts';
import { adminTarget, directly, json, load, wait, waitOf } from './context.ts';
import { readStatus } from './status.ts';

/** `synapse explain` */
export const explain: Command = {
  summary: 'Say why each instance of a service is, or is not, in HAProxy.',
  usage: 'SERVICE [SERVER]',
  arguments: ['service', 'server'],
  options: { ...json, ...wait },
  notes: [
    'With SERVER (its name in HAProxy and in etcd), shows every step of that instance: which nerve announces it and at ' +
      'which revision of etcd, when synapse saw it, which rule selects it or leaves it out, which commands HAProxy got ' +
      'and how it replied, what HAProxy says now, and a diagnosis. Works also for a server that is not in HAProxy.',
    'Asks the running synapse and, with a configuration (-c), etcd itself. When synapse is down, reads the sources, the ' +
      'state file and HAProxy itself. Changes nothing.',
  ],
  exits: { ...directly, 1: 'failed while running; also when the service or the server does not exist' },
  json: explainShape,
  examples: [
    ['synapse explain api', 'all instances of api, one line each'],
    ['synapse explain api i-1_10.0.0.5:3000', 'every step of one instance'],
  ],
  async run(context) {
    const { args, options, print, style } = context;
    const [service = '', server] = args;
    const facts = await factsOf(context, service);
    const instances = instancesOf(facts, server);
    if (server !== undefined && instances.length === 0) {
      throw new Error(unknownServer(facts, server));
    }
    if (options.json) print(`${JSON.stringify(explainReport(facts, instances), null, 2)}\n`);
    else print(server === undefined ? formatService(facts, style) : formatInstances(facts, instances, style));
    return facts.daemon.running ? 0 : 3;
  },
};

async function factsOf(context: CommandContext, service: string): Promise<ServiceFacts> {
  const config = context.config === undefined ? undefined : await load(context).catch(() => undefined);
  const [registry, facts] = await Promise.all([
    lookUp(config, { service, timeoutMs: waitOf(context) }),
    daemonFacts(context, service),
  ]);
  return { ...facts, registry };
}

async function lookUp(
  config: SynapseConfig | undefined,
  { service, timeoutMs }: { readonly service: string; readonly timeoutMs: number },
): Promise<ServiceFacts['registry']> {
  if (config === undefined)
    return { records: null, reason: 'etcd was not asked, because -c names no valid configuration' };
  const known = config.services.get(service);
  if (known === undefined) return { records: null, reason: `the configuration has no service ${service}` };
  const { inspect } = known.discovery;
  if (inspect === undefined) return { records: [], reason: null };
  try {
    const records = await inspect({ service, etcd: config.etcd, log: silentLog, timeoutMs });
    return { records, reason: null };
  } catch (error) {
    return { records: null, reason: reasonOf(error) };
  }
}

type DaemonFacts = Omit<ServiceFacts, 'registry'>;

async function daemonFacts(context: CommandContext, service: string): Promise<DaemonFacts> {
  try {
    const document = await ask(await adminTarget(context), '/api/v1/explain', { query: { service } });
    return { ...document, daemon: { running: true, reason: null } };
  } catch (error) {
    if (!(error instanceof NotRunning)) throw error;
    return readFacts(context, service, error);
  }
}

/** The same without a daemon. @throws when there is no such service */
async function readFacts(context: CommandContext, service: string, why: NotRunning): Promise<DaemonFacts> {
  const { daemon, services, haproxy, servers } = await readStatus(context, why);
  const report = Object.hasOwn(services, service) ? services[service] : undefined;
  if (report === undefined) throw new Error(noService(service, services));
  const [first] = haproxy?.sockets ?? [];
  const reason =
    servers !== null ? null : first === undefined ? 'haproxy.do_socket is false' : `${first.path}: ${first.lastError}`;
  return {
    daemon,
    service,
    report,
    haproxy,
    seen: { servers: servers?.[service] ?? null, reason },
    traces: {},
    sent: {},
  };
}
