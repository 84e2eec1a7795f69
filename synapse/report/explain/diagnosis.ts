import { oneLine } from '../../../common/reason.ts';
import type { ServerStatistics } from '../../haproxy/statistics/server-shape.ts';
import type { InstanceFacts, ServiceFacts } from './facts.ts';

/** One sentence about an instance. */
export interface Diagnosis {
  /** `good`: as it should be; `warn`: on purpose, or it will pass; `bad`: an operator has to act. */
  readonly level: 'good' | 'warn' | 'bad';
  readonly text: string;
}

/** Why an instance is, or is not, in HAProxy. Pure. */
export function diagnose(facts: ServiceFacts, one: InstanceFacts): Diagnosis {
  if (one.rejected !== undefined) return bad(`not in HAProxy: its record cannot be used: ${one.rejected}`);
  return one.instance === undefined ? diagnoseUnused(facts, one) : diagnoseUsed(facts, one);
}

/** Why the instance is not among those in use. */
function diagnoseUnused(facts: ServiceFacts, { leftOut, record, trace, server }: InstanceFacts): Diagnosis {
  const { report, registry } = facts;
  if (leftOut !== undefined) return warn(`not in HAProxy: ${leftOut}`);
  // While nothing is known of a service, HAProxy keeps the servers it has.
  if (server !== undefined && report.instances === null) {
    return warn(`in HAProxy (${server.status}), and kept there until the source answers`);
  }
  if (server !== undefined && !isOutOfService(server)) {
    return bad(`in HAProxy (${server.status}), but no source of the service has it`);
  }
  if (record !== undefined) return diagnoseAnnounced(facts);
  if (trace?.change === 'removed') {
    return trace.how === 'expired'
      ? bad('gone: its lease expired, so its nerve or its host died, or lost its connection to etcd')
      : warn('gone: its nerve withdrew it');
  }
  if (server !== undefined) {
    return warn(`out of service in HAProxy (${server.status}), as it should be: no source of the service has it`);
  }
  return registry.records === null
    ? bad(`not in use; whether it is announced is not known: ${registry.reason}`)
    : bad('not announced');
}

/** Why the instance is not in use although its record is in the registry. */
function diagnoseAnnounced({ report, daemon }: ServiceFacts): Diagnosis {
  if (report.reason !== null) {
    return bad(`not in HAProxy: it is announced, but synapse may be out of date: ${report.reason}`);
  }
  const used = report.sources?.filter(({ role }) => role === 'used') ?? [];
  if (used.length > 0 && used.every(({ method }) => method !== 'etcd')) {
    const names = used.map(({ name, method }) => `${name} (${method})`).join(', ');
    return warn(`not in HAProxy: the service gets its instances from ${names} now`);
  }
  return warn(`not in HAProxy yet: it is announced${daemon.running ? ', but synapse has not taken it over' : ''}`);
}

/** How an instance in use is doing: does HAProxy have it, and does it get traffic? */
function diagnoseUsed(facts: ServiceFacts, one: InstanceFacts): Diagnosis {
  const { server, held, instance } = one;
  if (facts.seen.reason !== null) return bad(`not known, because HAProxy does not answer: ${facts.seen.reason}`);
  if (server === undefined) return diagnoseMissing(facts);
  const { status } = server;
  if (held?.what === 'maintenance' || held?.what === 'drain')
    return warn(`in ${held.what}: set in HAProxy by hand; synapse leaves it so${held.undo}`);
  if (/^MAINT/.test(status)) return bad('in maintenance in HAProxy, but it should take traffic');
  if (instance?.state === 'drain') {
    if (/^UP/.test(status)) return bad('should drain, but HAProxy still gives it new connections');
    return warn('drains: it finishes its connections and gets no new ones');
  }
  if (/^(DOWN|NOLB)/.test(status)) {
    return bad(`in HAProxy, but gets no traffic: HAProxy's own check fails (${checkText(server) || status})`);
  }
  // HAProxy shows a server of weight 0 as DRAIN too.
  if (server.weight === 0) return diagnoseWeightless(one);
  if (/^DRAIN/.test(status)) return bad('drained in HAProxy, but it should take traffic');
  return diagnoseServing(one, server);
}

/** Why a server of weight 0 has it: it gets no requests but those of clients that stick to it. */
function diagnoseWeightless({ held, instance }: InstanceFacts): Diagnosis {
  if (held !== undefined) {
    return warn(`gets no new traffic: its weight was set to 0 in HAProxy by hand; synapse leaves it so${held.undo}`);
  }
  return warn(
    instance?.weight === 0
      ? 'gets no traffic: its weight is 0, as its record says'
      : 'gets no traffic: its weight in HAProxy is 0',
  );
}

/** Why HAProxy does not have an instance in use. */
function diagnoseMissing({ service, haproxy, daemon }: ServiceFacts): Diagnosis {
  const problem = haproxy?.problems[service];
  if (problem !== undefined)
    return bad(`not in HAProxy, which cannot take the configuration of ${service}: ${problem}`);
  if (haproxy?.rejected) return bad(`not in HAProxy, which refuses the new configuration: ${haproxy.rejected}`);
  const [due] = haproxy?.pendingReload ?? [];
  if (due !== undefined) return warn(`not in HAProxy yet: it waits for a reload: ${due}`);
  return bad(
    daemon.running ? 'not in HAProxy, but it should be' : 'not in HAProxy, and synapse does not run to add it',
  );
}

/** How a server that HAProxy uses is doing. */
function diagnoseServing({ instance, suspectUntil, held }: InstanceFacts, server: ServerStatistics): Diagnosis {
  const { status, weight } = server;
  const check = ownCheckText(server);
  if (suspectUntil !== undefined) {
    return warn(
      `takes traffic as a suspect, because its lease was lost together with many others; ${check}; kept until ${suspectUntil}`,
    );
  }
  if (instance?.backup) return good(`stands by as a backup; ${check}`);
  if (held !== undefined) {
    return warn(
      `takes traffic with weight ${weight}, set in HAProxy by hand; synapse leaves it so${held.undo}; ${check}`,
    );
  }
  return /^UP \d/.test(status) ? warn(`takes traffic; ${check}`) : good(`takes traffic; ${check}`);
}

function ownCheckText(server: ServerStatistics): string {
  const { status } = server;
  if (/^no check/.test(status)) return 'HAProxy does not check it';
  const said = checkText(server);
  if (status === 'UP') return `HAProxy's own check agrees${said === '' ? '' : ` (${said})`}`;
  return `HAProxy's own check is about to fail (${status}, ${said})`;
}

/** The last check; a part of the text may come from the server itself. */
function checkText({ check, detail }: ServerStatistics): string {
  return oneLine(`${check} ${detail}`);
}

/** In maintenance or draining: no new traffic. */
function isOutOfService({ status }: ServerStatistics): boolean {
  return /^(MAINT|DRAIN)/.test(status);
}

const good = (text: string): Diagnosis => ({ level: 'good', text });
const warn = (text: string): Diagnosis => ({ level: 'warn', text });
const bad = (text: string): Diagnosis => ({ level: 'bad', text });
