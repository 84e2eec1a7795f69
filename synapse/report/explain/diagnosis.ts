import { oneLine } from '../../../common/reason.ts';
import type { InstanceFacts, ServiceFacts } from './facts.ts';

/** What is to be said of one instance in one line. */
export interface Verdict {
  /** `good`: as it should be; `warn`: on purpose, or it will pass; `bad`: somebody has to do something. */
  readonly level: 'good' | 'warn' | 'bad';
  readonly text: string;
}

/** Why an instance is, or is not, in HAProxy. Pure. */
export function verdictOf(facts: ServiceFacts, one: InstanceFacts): Verdict {
  if (one.rejected !== undefined) {
    return bad(`not in HAProxy: its record cannot be used: ${one.rejected}`);
  }
  return one.instance === undefined ? whyNot(facts, one) : howItIs(facts, one);
}

/** It is not among the instances in use. */
function whyNot(facts: ServiceFacts, { leftOut, record, trace, server }: InstanceFacts): Verdict {
  const { report, daemon, registry } = facts;
  if (leftOut !== undefined) return warn(`not in HAProxy: ${leftOut}`);
  // HAProxy keeps what it has of a service of which nothing is known.
  if (server !== undefined && report.instances === null) {
    return warn(`in HAProxy (${server.status}); whether it should be is not known: the source has not answered yet`);
  }
  if (server !== undefined && !/^(MAINT|DRAIN)/.test(server.status)) {
    return bad(`in HAProxy (${server.status}), and no source of the service has it`);
  }
  if (record !== undefined) {
    const used = report.sources?.filter(({ role }) => role === 'used') ?? [];
    const names = used.map(({ name, method }) => `${name} (${method})`).join(', ');
    const others = used.length > 0 && used.every(({ method }) => method !== 'etcd');
    if (report.reason !== null) {
      return bad(`not in HAProxy: it is announced, and synapse may be out of date: ${report.reason}`);
    }
    if (others) return warn(`not in HAProxy: the service gets its instances from ${names}`);
    return warn(`not in HAProxy yet: it is announced${daemon.running ? ', and synapse has not taken it over' : ''}`);
  }
  if (trace?.change === 'removed') {
    return trace.how === 'expired'
      ? bad('gone: its lease ran out, so its nerve or host died or was cut off from etcd')
      : warn('gone: it was withdrawn in good order');
  }
  if (server !== undefined)
    return warn(`out of service in HAProxy (${server.status}), as it should be: no source of the service has it`);
  return registry.records === null
    ? bad(`not in use, and whether it is announced is not known: ${registry.reason}`)
    : bad('nobody announces it');
}

/** It is in use: does HAProxy have it, and does it get traffic? */
function howItIs(facts: ServiceFacts, one: InstanceFacts): Verdict {
  const { service, haproxy, seen } = facts;
  const { instance, server, held, suspectUntil } = one;
  if (seen.reason !== null) return bad(`HAProxy cannot be asked whether it has it: ${seen.reason}`);
  if (server === undefined) {
    const problem = haproxy?.problems[service];
    if (problem !== undefined) return bad(`not in HAProxy: ${problem}`);
    if (haproxy?.rejected) return bad(`not in HAProxy, which refuses the new configuration: ${haproxy.rejected}`);
    const [due] = haproxy?.pendingReload ?? [];
    if (due !== undefined) return warn(`not in HAProxy yet: it waits for a reload: ${due}`);
    return bad(facts.daemon.running ? 'not in HAProxy, and it should be' : 'not in HAProxy, and nobody puts it there');
  }
  const { status, check, detail } = server;
  // Part of it may be what the server itself has said.
  const said = oneLine(`${check} ${detail}`);
  if (held === 'maintenance' || held === 'drain') return warn(`in ${held}: set in HAProxy by somebody else, and kept`);
  if (/^MAINT/.test(status)) return bad('in maintenance in HAProxy, and it should take traffic');
  if (instance?.state === 'drain') {
    if (/^UP/.test(status)) return bad('it is to drain, and HAProxy still gives it new connections');
    return warn('drains: it finishes what it has and gets nothing new');
  }
  if (/^(DOWN|NOLB)/.test(status))
    return bad(`in HAProxy, which does not use it: its own check fails (${said || status})`);
  if (/^DRAIN/.test(status)) return bad('drained in HAProxy, and it should take traffic');
  const checks = /^no check/.test(status)
    ? 'HAProxy does not check it'
    : status === 'UP'
      ? `HAProxy's own check agrees${said === '' ? '' : ` (${said})`}`
      : `HAProxy's own check is about to change its mind (${status}, ${said})`;
  if (suspectUntil !== undefined) {
    return warn(
      `takes traffic as a suspect: its lease ran out together with most others; ${checks}; kept until ${suspectUntil}`,
    );
  }
  if (instance?.backup) return good(`stands by as a backup; ${checks}`);
  if (server.weight === 0) return warn('gets no traffic: its weight is 0');
  return /^UP \d/.test(status) ? warn(`takes traffic; ${checks}`) : good(`takes traffic; ${checks}`);
}

const good = (text: string): Verdict => ({ level: 'good', text });
const warn = (text: string): Verdict => ({ level: 'warn', text });
const bad = (text: string): Verdict => ({ level: 'bad', text });
