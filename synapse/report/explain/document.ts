import { diagnose } from './diagnosis.ts';
import type { ExplainReport } from './explain-shape.ts';
import { type InstanceFacts, notesOf, type ServiceFacts } from './facts.ts';

/** The facts and the diagnosis of these instances as one JSON document. */
export function explainReport(facts: ServiceFacts, instances: readonly InstanceFacts[]): ExplainReport {
  const { daemon, service, report, registry, seen } = facts;
  return {
    daemon,
    service,
    notes: notesOf(facts),
    report,
    registry,
    haproxy: { reason: seen.reason },
    instances: instances.map((one) => {
      const { level, text: verdict } = diagnose(facts, one);
      const { id, instance, dropped, record = null, trace = null, sent, server = null } = one;
      return { id, used: instance !== undefined, level, verdict, dropped, record, trace, sent, server };
    }),
  };
}
