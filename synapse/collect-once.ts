import type { Log } from '../common/daemon/log.ts';
import { createEtcdClient } from '../common/etcd/client/client.ts';
import { thisHost } from '../common/host.ts';
import { Catalog } from './catalog/catalog.ts';
import { inspectStateFile, type StateFileContent } from './catalog/state-file.ts';
import type { SynapseConfig } from './config/config.ts';
import { Discoverer } from './discovery/discoverer.ts';
import { InstanceAddresses } from './instance-addresses.ts';
import type { Snapshot } from './output.ts';
import { InstanceReturns } from './report/returns.ts';
import { stateOf } from './report/state.ts';
import type { SynapseState } from './report/status-shape.ts';

/** The answers of all sources to one question, for a command. */
export interface Collected {
  readonly snapshot: Snapshot;
  /** Services whose source did not answer in time; the snapshot has what the state file says of them. */
  readonly unanswered: readonly string[];
  /** What a synapse that starts now would report of itself, without its outputs. */
  readonly state: SynapseState;
  /** What the state file says; undefined when the configuration names none. */
  readonly stateFile: StateFileContent | undefined;
}

/**
 * Asks all sources once, as the daemon does at its start, and waits at most `waitMs` milliseconds for their answers.
 * Reads only: nothing is written, and a damaged state file stays where it is.
 */
export async function collect(
  config: Pick<SynapseConfig, 'services' | 'etcd' | 'stateFile' | 'dns' | 'haproxy' | 'admin'>,
  options: { readonly waitMs: number; readonly log: Log },
): Promise<Collected> {
  const { waitMs, log } = options;
  const addresses: InstanceAddresses = new InstanceAddresses(config, {
    host: thisHost,
    services: () => catalog.configs(),
    onChange: (names) => addresses.take(catalog.placeAgain(names)),
  });
  const catalog: Catalog = new Catalog(addresses.addressing);
  const end = new AbortController();
  await addresses.start(end.signal);
  addresses.take(catalog.configure(config.services));
  const stateFile = config.stateFile && (await inspectStateFile(config.stateFile, thisHost.files));
  for (const [name, saved] of stateFile?.services ?? []) addresses.take(catalog.restore(name, saved));
  const discoverer = new Discoverer(
    { onSet: (service, set) => addresses.take(catalog.update(service, set)) },
    { log, openEtcd: createEtcdClient },
  );
  try {
    discoverer.configure(config.services, config.etcd);
    const unanswered = await discoverer.answers(waitMs);
    await addresses.firstNames(end.signal, Math.min(waitMs, config.dns.timeout));
    const facts = { haproxy: null, health: () => undefined, returns: new InstanceReturns(), look: addresses.look };
    return {
      snapshot: catalog.snapshot(),
      unanswered,
      state: stateOf(catalog, discoverer, facts),
      stateFile,
    };
  } finally {
    end.abort();
    await discoverer.end();
  }
}
