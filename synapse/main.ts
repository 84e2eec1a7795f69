#!/usr/bin/env node
import { followStream, readPath, readState } from '../common/adminclient.ts';
import { loadAdminConfig } from '../common/adminconfig.ts';
import { type Command, type CommandContext, main, UsageError } from '../common/daemon.ts';
import { describeSchema } from '../common/describe.ts';
import { ConfigError, type Problem } from '../common/problem.ts';
import { packageVersion } from '../common/version.ts';
import { collect } from './collect.ts';
import { defaultListen, readSynapseConfig } from './config.ts';
import { describeOptions, formatSections } from './describe.ts';
import type { EventReport, RecordedEvent } from './events.ts';
import { explain } from './explain.ts';
import { checkCandidate } from './haproxy/check.ts';
import { type HaproxyConfig, haproxySchema, serviceHaproxySchema } from './haproxy/config.ts';
import { type Preview, preview } from './haproxy/preview.ts';
import { haproxySection } from './haproxy/section.ts';
import { sampleSnapshot, withTemporaryFile } from './sample.ts';
import { formatStatus, type StatusReport } from './statustable.ts';

const version = packageVersion();

const json = { json: { type: 'boolean', doc: 'print JSON' } } as const;
const wait = {
  wait: { type: 'string', placeholder: 'SECONDS', doc: 'how long the sources may take to answer, default 5' },
} as const;

const run: Command = {
  summary: 'Keep the local HAProxy right.',
  async run(context) {
    context.needConfig();
    // Loaded here: no other command needs it.
    const { runSynapse } = await import('./run.ts');
    const { haproxyOutput } = await import('./haproxy/running-output.ts');
    const { Events } = await import('./events.ts');
    const { haproxyStatsd } = await import('./haproxy/statsd.ts');
    const { recordHaproxy } = await import('./haproxyevents.ts');
    const { log } = context;
    const events = new Events();
    await runSynapse({
      log,
      events,
      version,
      statsd: haproxyStatsd,
      load: () => load(context),
      createOutput: (config, signal) => haproxyOutput(config, { log, onEvent: recordHaproxy(events) }, signal),
    });
  },
};

const check: Command = {
  summary: 'Validate the configuration, ours and the one for HAProxy that follows from it, and start nothing.',
  async run(context) {
    const config = await load(context);
    const { text, problems } = await preview(config.output, sampleSnapshot(config));
    const found: Problem[] = [...problems].map(([service, message]) => ({
      path: `services.${service}.haproxy`,
      message,
    }));
    const verdict = await checkText(text, config.output);
    if (verdict.result === 'refused')
      found.push({ path: 'haproxy', message: `HAProxy refuses it: ${verdict.message}` });
    if (found.length > 0) throw new ConfigError(found.map((problem) => ({ file: context.needConfig(), ...problem })));
    const how = verdict.result === 'unchecked' ? `not checked by HAProxy: ${verdict.reason}` : 'HAProxy accepts it';
    context.print(`the configuration is valid: ${config.services.size} services; ${how}\n`);
  },
};

const render: Command = {
  summary: 'Print the haproxy.cfg that would be written now.',
  options: wait,
  async run(context) {
    const { text } = await previewNow(context);
    context.print(text);
  },
};

const plan: Command = {
  summary: 'Print what would be done to the running HAProxy now; do nothing.',
  options: { ...wait, ...json },
  async run(context) {
    const { sockets, plan: planOf } = await previewNow(context);
    if (sockets.length === 0)
      throw new Error('haproxy.do_socket is false: there is no running HAProxy to compare with');
    for (const socket of sockets) {
      const { commands, reload } = await planOf(socket, AbortSignal.timeout(10_000));
      const lines = [...commands, ...reload.map((reason) => `# reload: ${reason}`)];
      if (context.options.json) context.print(`${JSON.stringify({ socket, commands, reload })}\n`);
      else context.print([`# ${socket}`, ...(lines.length > 0 ? lines : ['# nothing to do']), ''].join('\n'));
    }
  },
};

const status: Command = {
  summary: 'Show what the running synapse sees.',
  options: json,
  async run(context) {
    const state = (await readState(await adminConfig(context), { program: 'synapse' })) as StatusReport;
    context.print(context.options.json ? `${JSON.stringify(state, null, 2)}\n` : formatStatus(state));
  },
};

const explanation: Command = {
  summary: 'Say why each instance of a service is, or is not, in HAProxy.',
  usage: 'SERVICE [SERVER]',
  async run(context) {
    const state = (await readState(await adminConfig(context), { program: 'synapse' })) as StatusReport;
    const [service = '', server] = context.args;
    context.print(explain(state, service, server));
  },
};

const events: Command = {
  summary: 'Show what happened last in the running synapse.',
  options: {
    follow: { type: 'boolean', short: 'f', doc: 'go on with what happens from now on' },
    json: { type: 'boolean', doc: 'print JSON, one event a line' },
  },
  async run(context) {
    const { formatEvent } = await import('./eventline.ts');
    const { options, print } = context;
    const show = (event: unknown): void =>
      print(options.json ? `${JSON.stringify(event)}\n` : formatEvent(event as RecordedEvent));
    const target = await adminConfig(context);
    const { events, last } = (await readPath(target, '/api/v1/events', { program: 'synapse' })) as EventReport;
    for (const event of events) show(event);
    if (!options.follow) return;
    const path = `/api/v1/events/stream?since=${last}`;
    for await (const event of followStream(target, path, { program: 'synapse' }, interrupted())) show(event);
  },
};

const services: Command = {
  summary: 'Show every service and instance in the registry.',
  options: {
    watch: { type: 'boolean', short: 'w', doc: 'go on with one line for each change' },
    prefix: { type: 'string', placeholder: 'PATH', doc: 'where the services are in etcd, default /nerve/services' },
  },
  async run(context) {
    const { etcd } = await load(context);
    const { listServices } = await import('./listservices.ts');
    const { options, print, log } = context;
    const prefix = `${String(options.prefix ?? '/nerve/services').replace(/\/+$/, '')}/`;
    await listServices(etcd, { prefix, watch: options.watch === true, timeout: 5_000, print, log });
  },
};

const describe: Command = {
  summary: 'Show the options of the configuration, or of one source.',
  usage: '[SOURCE]',
  options: json,
  async run({ args, options, print }) {
    const output = [
      { title: 'services.NAME.haproxy', options: describeSchema(serviceHaproxySchema) },
      { title: 'haproxy', options: describeSchema(haproxySchema) },
    ];
    const sections = await describeOptions(args[0], output).catch((error) => {
      throw new UsageError((error as Error).message);
    });
    print(options.json ? `${JSON.stringify(sections, null, 2)}\n` : formatSections(sections));
  },
};

/** Aborts at Ctrl-C, which is how one stops looking. */
function interrupted(): AbortSignal {
  const end = new AbortController();
  process.once('SIGINT', () => end.abort());
  process.once('SIGTERM', () => end.abort());
  return end.signal;
}

function load(context: CommandContext) {
  return readSynapseConfig(context.needConfig(), haproxySection, { env: context.env, log: context.log });
}

/** What would be done about what the sources say now. */
async function previewNow(context: CommandContext): Promise<Preview> {
  const { log } = context;
  const seconds = Number(context.options.wait ?? 5);
  if (!(seconds >= 0 && seconds <= 3600))
    throw new UsageError(`--wait ${context.options.wait}: must be 0 to 3600 seconds`);
  const config = await load(context);
  const { snapshot, unanswered } = await collect(config, { wait: seconds * 1000, log });
  if (unanswered.length > 0) log.warn('some sources did not answer in time', { services: unanswered });
  const found = await preview(config.output, snapshot);
  for (const [service, reason] of found.problems) log.error('a service cannot be in HAProxy', { service, reason });
  return found;
}

function checkText(text: string, config: HaproxyConfig) {
  // The user's own check_command looks at the real candidate's path, which must not be touched here.
  const own = { ...config, do_checks: config.do_checks === false ? null : config.do_checks, check_command: null };
  return withTemporaryFile(text, (path) => checkCandidate(path, own, AbortSignal.timeout(config.check_timeout)));
}

/** Where the running synapse is: as its configuration says, or its default. */
async function adminConfig({ config, env }: CommandContext) {
  if (config !== undefined) return loadAdminConfig(config, { listen: defaultListen, env });
  return { listen: env.SYNAPSE_ADMIN_LISTEN || defaultListen, control_socket: env.SYNAPSE_CONTROL_SOCKET || null };
}

await main({
  name: 'synapse',
  version,
  summary: 'Finds the instances of services and keeps the local HAProxy right.',
  configEnv: 'SYNAPSE_CONFIG',
  commands: { run, check, render, plan, status, services, explain: explanation, events, describe },
});
