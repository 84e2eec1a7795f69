import { clock } from '../../common/async/clock.ts';
import { sleep } from '../../common/async/sleep.ts';
import { durationOption } from '../../common/cli/duration-option.ts';
import type { Command } from '../../common/cli/program.ts';
import { type Cell, formatTable, heading, plain, type Style } from '../../common/cli/table.ts';
import { silentLog } from '../../common/daemon/log.ts';
import type { Answer } from '../../common/fleet/ask.ts';
import { ageOf, counted, formatLatency, listed } from '../../common/wording.ts';
import { reportOf } from '../fleet/report.ts';
import { type FleetReport, fleetShape } from '../report/fleet-shape.ts';
import { interrupted, json } from './context.ts';
import { asker, fleetTarget, hintOf, missing } from './fleet-target.ts';

/** With --watch, the fleet is asked this often. */
const watchEveryMs = 5_000;

/** `synapse fleet` */
export const fleet: Command = {
  summary: 'Show every proxy, and how fast it applies changes.',
  options: {
    watch: { type: 'boolean', short: 'w', doc: 'ask again every 5 s' },
    timeout: { type: 'string', placeholder: 'TIME', isTime: true, doc: 'how long to wait for answers, default 5s' },
    ...json,
  },
  notes: [
    'Asks all synapses over etcd whether they have applied everything up to the present revision, with the rights of the ' +
      'configuration that -c names. Each question costs one write for each proxy. Changes nothing.',
    'Shows first what has not answered, then the slowest. With --watch and --json, each answer is one line of JSON.',
  ],
  exits: missing,
  json: fleetShape,
  async run(context) {
    const { options, print, style } = context;
    const timeoutMs = durationOption('timeout', options.timeout ?? '5s');
    const { etcd, fleet: config } = await fleetTarget(context);
    // Loaded here, because the etcd client is large.
    const [{ createEtcdClient }, { askFleet }] = await Promise.all([
      import('../../common/etcd/client/client.ts'),
      import('../../common/fleet/ask.ts'),
    ]);
    const end = new AbortController();
    const client = createEtcdClient(etcd, { log: silentLog }, end.signal);
    const signal = interrupted();
    const asked = { fleet: config, by: asker('synapse fleet'), questions: [{ kind: 'revision' }], timeoutMs } as const;
    try {
      for (;;) {
        const { answers, removed } = await askFleet(client, asked, { log: silentLog }, signal);
        const { state, progress } = answers[0] as Answer;
        if (progress.outcome === 'denied') throw new Error(`${progress.reason}${hintOf(progress)}`);
        if (signal.aborted) return 0;
        const report = reportOf(config.path, { state, progress });
        if (options.json) print(`${JSON.stringify(report, null, options.watch ? undefined : 2)}\n`);
        else print(formatFleet(report, style));
        await removed;
        if (!options.watch) return progress.outcome === 'done' ? 0 : 4;
        if (!options.json) print('\n');
        await sleep(watchEveryMs, signal);
      }
    } finally {
      end.abort();
    }
  },
};

/** What `synapse fleet` prints. */
export function formatFleet(report: FleetReport, style: Style = plain, now: number = clock.wallTime()): string {
  const { revision, reason, proxies } = report;
  const has = proxies.filter((proxy) => proxy.reason === null).length;
  const all = `${has} of ${counted(proxies.length, 'proxy', 'proxies')} have applied revision ${revision}`;
  const head =
    revision === null || proxies.length === 0
      ? style('bad', String(reason))
      : style(has === proxies.length ? 'good' : 'bad', all);
  const rows = proxies.map((proxy): readonly Cell[] => [
    proxy.proxy,
    proxy.host ?? '',
    proxy.version ?? '',
    ageOf(proxy.startedAt, now),
    String(proxy.haproxyProcesses ?? ''),
    listed(proxy.paths, 2),
    proxy.milliseconds === null
      ? { text: String(proxy.reason), tone: 'bad' }
      : { text: formatLatency(proxy.milliseconds), tone: 'good' },
  ]);
  const titles = ['PROXY', 'HOST', 'VERSION', 'SINCE', 'HAPROXY', 'FOLLOWS', 'APPLIED AFTER'];
  return `${head}\n${proxies.length === 0 ? '' : `\n${formatTable([heading(titles), ...rows], style)}`}`;
}
