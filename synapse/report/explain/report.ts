import { verdictOf } from './diagnosis.ts';
import type { ExplainReport } from './explain-shape.ts';
import type { InstanceFacts, ServiceFacts } from './facts.ts';
import { serviceNotes } from './service.ts';

/** The facts and the diagnosis of these instances as one JSON document. */
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
