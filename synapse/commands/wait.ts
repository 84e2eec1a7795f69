import { durationOption } from '../../common/cli/duration-option.ts';
import { numberOption } from '../../common/cli/number-option.ts';
import { type Command, type CommandContext, UsageError } from '../../common/cli/program.ts';
import { silentLog } from '../../common/daemon/log.ts';
import type { EtcdClient } from '../../common/etcd/client/client.ts';
import type { Answer } from '../../common/fleet/ask.ts';
import { asking, membersText, noProxy, type Progress, progressShape } from '../../common/fleet/progress.ts';
import type { Question } from '../../common/fleet/question.ts';
import type { Expectation } from '../../common/fleet/records.ts';
import { counted, formatLatency } from '../../common/wording.ts';
import { interrupted, json } from './context.ts';
import { asker, type FleetTarget, fleetTarget, hintOf, keyOfServer, missing, pathOf } from './fleet-target.ts';

const expectations = ['up', 'drained', 'gone'] as const;

const revisionRange = { least: 1 } as const;

/** `synapse wait` */
export const wait: Command = {
  summary: 'Wait until every proxy has applied a change.',
  usage: 'SERVICE [SERVER [up|drained|gone]]',
  arguments: ['service', 'server'],
  options: {
    timeout: { type: 'string', placeholder: 'TIME', isTime: true, doc: 'how long to wait, default 60s' },
    revision: {
      type: 'string',
      placeholder: 'N',
      range: revisionRange,
      doc: 'without SERVER: the revision of etcd to wait for, default the present one',
    },
    path: {
      type: 'string',
      placeholder: 'PATH',
      doc: 'path of the service in etcd; default: that in the configuration, or /nerve/services/SERVICE',
    },
    ...json,
  },
  notes: [
    'Without SERVER, waits until every proxy that follows the service has applied everything up to the present revision of etcd. With ' +
      'SERVER (its name in HAProxy and in etcd), until it is up in every HAProxy and no check of HAProxy says DOWN; or drained: no ' +
      'HAProxy sends new requests to it, and the last connection to it has ended; or gone.',
    'Asks all synapses over etcd, with the rights of the configuration that -c names. Changes nothing.',
  ],
  exits: missing,
  json: progressShape,
  examples: [
    ['synapse wait api', 'what is in etcd now is in every HAProxy'],
    ['synapse wait api i-1_10.0.0.5:3000 drained --timeout 5m', 'nothing is open to this server any more'],
  ],
  async run(context) {
    const { args, options, print, progress } = context;
    const [service = '', server, expect = 'up'] = args;
    if (!(expectations as readonly string[]).includes(expect)) {
      throw new UsageError(`${expect}: must be up, drained or gone`);
    }
    const timeoutMs = durationOption('timeout', options.timeout ?? '60s');
    const target = await fleetTarget(context);
    const show = ([found]: readonly Progress[]): void => {
      if (!options.json && found?.reason && found.reason !== asking) progress(found.reason);
    };
    const signal = interrupted();
    const questionOf = (client: EtcdClient): Promise<Question> =>
      findQuestion(client, { service, server, expect: expect as Expectation, target, context }, signal);
    const found = await ask(target, { questionOf, timeoutMs, show }, signal);
    if (found.outcome === 'denied') throw new Error(`${found.reason}${hintOf(found)}`);
    print(options.json ? `${JSON.stringify(found, null, 2)}\n` : `${service}: ${resultText(found, server)}\n`);
    return found.outcome === 'done' ? 0 : 4;
  },
};

async function findQuestion(
  client: EtcdClient,
  asked: {
    readonly service: string;
    readonly server: string | undefined;
    readonly expect: Expectation;
    readonly target: FleetTarget;
    readonly context: CommandContext;
  },
  signal: AbortSignal,
): Promise<Question> {
  const { service, server, expect, target, context } = asked;
  const { options } = context;
  const path = pathOf(target, service, options.path);
  if (server === undefined) {
    const revision =
      options.revision === undefined ? {} : { revision: numberOption('revision', options.revision, revisionRange) };
    return { kind: 'revision', path, ...revision };
  }
  if (options.revision !== undefined) throw new UsageError('--revision goes without SERVER');
  return { kind: 'instance', path, key: await keyOfServer(client, { path, server }, signal), expect };
}

/** Asks one question. */
async function ask(
  { etcd, fleet }: FleetTarget,
  options: {
    readonly questionOf: (client: EtcdClient) => Promise<Question>;
    readonly timeoutMs: number;
    readonly show: (progress: readonly Progress[]) => void;
  },
  signal: AbortSignal,
): Promise<Progress> {
  // Loaded here, because the etcd client is large.
  const [{ createEtcdClient }, { askFleet }] = await Promise.all([
    import('../../common/etcd/client/client.ts'),
    import('../../common/fleet/ask.ts'),
  ]);
  const end = new AbortController();
  const client = createEtcdClient(etcd, { log: silentLog }, end.signal);
  try {
    const questions = [await options.questionOf(client)];
    const asked = { fleet, by: asker('synapse wait'), questions, timeoutMs: options.timeoutMs };
    const { answers, removed } = await askFleet(client, asked, { log: silentLog, onProgress: options.show }, signal);
    await removed;
    return (answers[0] as Answer).progress;
  } finally {
    end.abort();
  }
}

function resultText(progress: Progress, server?: string): string {
  const { outcome, expect, reason, proxies, unused, milliseconds } = progress;
  if (outcome === 'nobody') return noProxy;
  if (outcome !== 'done') return String(reason);
  const what = server === undefined ? 'applied' : `${server} is ${expect}`;
  const not = unused === 0 ? '' : `, ${unused} of which ${unused === 1 ? 'does' : 'do'} not use it`;
  return `${what} in ${counted(proxies, 'proxy', 'proxies')}${not} after ${formatLatency(milliseconds)}: ${membersText(progress)}`;
}
