import type { RegistryRecord } from '../../source.ts';
import type { ServiceReport } from '../state.ts';
import type { DaemonState, SeenServer } from '../status.ts';
import type { Trace } from '../traces.ts';
import type { InstanceFacts, SentReport, ServiceFacts } from './facts.ts';
import { serviceNotes } from './service.ts';
import { verdictOf } from './verdict.ts';

/** What `synapse explain --json` prints. */
export interface ExplainReport {
  readonly daemon: DaemonState;
  readonly service: string;
  /** What the text says of the service as a whole. */
  readonly notes: readonly string[];
  readonly report: ServiceReport;
  readonly registry: ServiceFacts['registry'];
  readonly haproxy: { readonly reason: string | null };
  readonly instances: readonly ExplainedInstance[];
}

/** One instance and its whole way; what is not known of it is null. */
export interface ExplainedInstance {
  readonly id: string;
  readonly used: boolean;
  readonly level: 'good' | 'warn' | 'bad';
  readonly verdict: string;
  readonly record: RegistryRecord | null;
  readonly trace: Trace | null;
  readonly sent: readonly SentReport[];
  readonly server: SeenServer | null;
}

export function explainReport(facts: ServiceFacts, instances: readonly InstanceFacts[]): ExplainReport {
  const { daemon, service, report, registry, seen } = facts;
  return {
    daemon,
    service,
    notes: serviceNotes(facts),
    report,
    registry,
    haproxy: { reason: seen.reason },
    instances: instances.map((one) => {
      const { level, text: verdict } = verdictOf(facts, one);
      const { id, instance, record = null, trace = null, sent, server = null } = one;
      return { id, used: instance !== undefined, level, verdict, record, trace, sent, server };
    }),
  };
}
