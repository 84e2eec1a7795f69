import { createHash } from 'node:crypto';
import type { Log } from '../../common/daemon/log.ts';
import type { EtcdClient } from '../../common/etcd/client/client.ts';
import type { EtcdOptions } from '../../common/etcd/client/options.ts';
import { revokesWrongly } from '../../common/etcd/client/version.ts';
import { DeleteJudge } from '../../common/etcd/watch/judged-deletes.ts';
import { LeaseVerdicts } from '../../common/etcd/watch/lease-verdicts.ts';
import { createReflector, type Reflector } from '../../common/etcd/watch/reflector.ts';
import type { SourceContext } from '../source.ts';

/** The connection to one cluster that all sources of it share, and the fleet. */
export interface EtcdConnection {
  readonly client: EtcdClient;
  readonly reflector: Reflector;
  /** Says how each deleted key went. */
  readonly judge: DeleteJudge;
}

/**
 * Within this time a nerve notices that its lease is gone (a quarter of its TTL) and announces its instances again, even if its
 * member does not answer and it has to use another one.
 */
const renewalTimeMs = 6_000;
/**
 * For this time after an election, a former leader that was frozen or cut off may come back and, before it learns of the new
 * leader, revoke leases that are kept alive (seen on 3.5.30 too, though more rarely).
 */
const unsettledMs = 15 * 60_000;

/** The connection to a cluster, opened for the first who asks. */
export function sharedConnection(
  cluster: EtcdOptions,
  { shared, openEtcd }: Pick<SourceContext, 'shared' | 'openEtcd'>,
): EtcdConnection {
  return shared(clusterKey(cluster), (end, log) => connect(openEtcd(cluster, { log }, end), { log }, end));
}

/** A key that is equal for equal clusters and credentials, and contains neither. */
export function clusterKey(cluster: EtcdOptions): string {
  return `etcd ${createHash('sha256').update(JSON.stringify(cluster)).digest('hex')}`;
}

function connect(client: EtcdClient, { log }: { readonly log: Log }, signal: AbortSignal): EtcdConnection {
  const reflector = createReflector(client, { log }, signal);
  const verdicts = new LeaseVerdicts(client, { log }, signal);
  // Servers that revoke leases which are kept alive: the owners notice that at their next renewal, and come back.
  const mayReturnMs = (): number => {
    const isUnsettled = (reflector.status.electionAgeMs ?? unsettledMs) < unsettledMs;
    return isUnsettled || revokesWrongly(client.status.version ?? undefined) ? renewalTimeMs : 0;
  };
  return {
    client,
    reflector,
    judge: new DeleteJudge({ verdictOf: (lease) => verdicts.of(lease), mayReturnMs }, signal),
  };
}
