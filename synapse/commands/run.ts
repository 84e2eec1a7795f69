import type { Command } from '../../common/cli/program.ts';
import { keepHeapSmall } from '../../common/daemon/heap.ts';
import { thisHost } from '../../common/host.ts';
import { load } from './context.ts';

/** `synapse run` */
export const run: Command = {
  summary: 'Keep the local HAProxy up to date.',
  notes: [
    'SIGTERM and SIGINT shut it down cleanly and leave HAProxy running; SIGHUP reads the configuration again and changes ' +
      'only what differs. Logs go to standard error: readable on a terminal, JSON lines otherwise.',
  ],
  async run(context) {
    const configFile = context.needConfig();
    keepHeapSmall();
    // Loaded here, because no other command needs them.
    const { runSynapse } = await import('../run.ts');
    const { LocalHaproxy } = await import('../haproxy/haproxy.ts');
    const { lockFile } = await import('../../common/daemon/file-lock.ts');
    const { createEtcdClient } = await import('../../common/etcd/client/client.ts');
    const { Events } = await import('../report/events.ts');
    const { haproxyStatsd } = await import('../haproxy/metrics.ts');
    const { recordHaproxy } = await import('../report/haproxy-events.ts');
    const { version } = context;
    const events = new Events();
    await runSynapse({
      log: await context.openLog(),
      events,
      version,
      configFile,
      lockFile,
      statsd: haproxyStatsd,
      host: thisHost,
      openEtcd: createEtcdClient,
      load: () => load(context),
      createHaproxy: (config, { log }, signal) =>
        new LocalHaproxy(config, { log, host: thisHost, onEvent: recordHaproxy(events) }, signal),
    });
  },
};
