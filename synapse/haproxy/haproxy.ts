import type { Output, ServersOf, Snapshot } from '../output.ts';
import { observeHaproxy } from './metrics.ts';
import { type HaproxyConfig, socketPaths } from './options/config.ts';
import { type HaproxyDeps, HaproxyOutput } from './output.ts';
import type { Sent } from './runtime/command-log.ts';
import { type ServicesStatistics, statisticsByService } from './statistics/counters.ts';
import { StatisticsReader } from './statistics/reader.ts';
import { haproxyTrouble } from './status.ts';

/** The output, whether it does its work, and what HAProxy itself says. */
export interface RunningHaproxy extends Output, Omit<HaproxyOutput, 'portBackends' | 'sent'> {
  statistics(of?: ServersOf): Promise<ServicesStatistics>;
  /** What was sent last about one server, to each HAProxy. */
  sent(service: string, name: string): readonly Sent[];
}

/** Makes it; see {@link HaproxyOutput}. */
export function haproxyOutput(config: HaproxyConfig, deps: HaproxyDeps, signal: AbortSignal): RunningHaproxy {
  const output = new HaproxyOutput(config, deps, signal);
  const reader = new StatisticsReader(config.do_socket ? socketPaths(config) : [], deps.host);
  observeHaproxy(() => output.status);
  let latest: Snapshot = new Map();
  const backendOf = (name: string, portBackends = output.portBackends): string =>
    Object.hasOwn(portBackends, name) ? String(portBackends[name]) : (latest.get(name)?.config.backend_name ?? name);
  return {
    apply(snapshot, dirty) {
      latest = snapshot;
      return output.apply(snapshot, dirty);
    },
    run: (end) => output.run(end),
    get status() {
      return output.status;
    },
    get reason() {
      return haproxyTrouble(output.status);
    },
    async statistics(of) {
      const { sockets } = output.status;
      // What it said a moment ago says nothing of a HAProxy that is away now.
      if (sockets.every(({ connected }) => !connected)) {
        throw new Error(sockets[0]?.lastError ?? 'it has not been connected to yet');
      }
      const single = typeof of === 'object' && latest.has(of.service) ? { backend: backendOf(of.service) } : undefined;
      const statistics = await reader.read(of === 'all' ? 'all' : single);
      const { portBackends } = output;
      return statisticsByService(
        statistics,
        new Map([...latest.keys()].map((name) => [name, backendOf(name, portBackends)])),
      );
    },
    sent: (service, name) => output.sent(backendOf(service), name),
  };
}
