import { counted, formatAge, listed } from '../../common/wording.ts';
import type { HaproxyReport } from '../haproxy/status-shape.ts';
import type { EventKind } from './event-shape.ts';
import type { Problem } from './status-shape.ts';
import type { ServiceSummary, Summary } from './summary.ts';

/** A problem, and the kinds of event that tell since when. */
export interface FoundProblem extends Problem {
  readonly kinds: readonly EventKind[];
}

/**
 * What is wrong, the worst first; empty when all is well. `ready` is the reason why synapse is not ready, or null.
 * Pure: `synapse status` and the live page both run it, so that they agree.
 */
export function findProblems(summary: Summary, ready: string | null): readonly FoundProblem[] {
  const services = Object.entries(summary.services);
  const found = [...(summary.haproxy === null ? [] : haproxyProblems(summary.haproxy)), ...serviceProblems(services)];
  if (found.length === 0 && ready !== null) {
    found.push({
      level: 'warn',
      title: 'synapse is not ready yet',
      reason: ready,
      remedy: 'After a start or a change this passes by itself within seconds.',
      kinds: ['reload_begun', 'configuration_read'],
    });
  }
  return found.sort((a, b) => Number(b.level === 'bad') - Number(a.level === 'bad'));
}

/** Whether a service needs attention. */
export function isTroubled({ reason, up, suspects, over_limit, rejected, fallback, refused }: ServiceSummary): boolean {
  if (over_limit > 0) return true;
  return reason !== null || up === 0 || suspects > 0 || rejected > 0 || fallback !== null || refused !== null;
}

function haproxyProblems(haproxy: HaproxyReport): readonly FoundProblem[] {
  return [
    ...unconnectedSockets(haproxy),
    ...refusedServices(haproxy),
    ...refusedConfiguration(haproxy),
    ...reloadProblems(haproxy),
    ...stuckServers(haproxy),
    ...heldServers(haproxy),
    ...droppedOptions(haproxy),
  ];
}

function unconnectedSockets({ sockets }: HaproxyReport): readonly FoundProblem[] {
  return sockets
    .filter(({ connected }) => !connected)
    .map(({ path, lastError }) => ({
      level: 'bad',
      title: `HAProxy does not answer at ${path}`,
      reason: lastError ?? 'synapse has not tried yet',
      remedy: 'Does it run? systemctl status haproxy. synapse brings it up to date as soon as it answers.',
      kinds: ['haproxy_lost'],
    }));
}

function refusedServices({ problems }: HaproxyReport): readonly FoundProblem[] {
  return Object.entries(problems).map(([service, reason]) => ({
    level: 'bad',
    title: `HAProxy cannot take the configuration of ${service}`,
    reason,
    remedy:
      'Its last good configuration stays in force, and the other services are not affected. ' +
      'Correct the haproxy section of the service; synapse check tests it.',
    kinds: ['haproxy_refused', 'configuration_read'],
  }));
}

function refusedConfiguration({ rejected, problems }: HaproxyReport): readonly FoundProblem[] {
  if (!rejected || Object.keys(problems).length > 0) return [];
  return [
    {
      level: 'bad',
      title: 'HAProxy refuses the new configuration',
      reason: rejected,
      remedy: 'The last good one stays in force. Correct the global and defaults sections; synapse check tests them.',
      kinds: ['haproxy_refused'],
    },
  ];
}

function reloadProblems({
  sockets,
  lastError,
  pendingReload = [],
  waitingReload = {},
}: HaproxyReport): readonly FoundProblem[] {
  if (lastError) {
    // A HAProxy that does not answer may not run at all.
    const goesOn = sockets.some(({ connected }) => connected) ? 'HAProxy still runs its previous configuration. ' : '';
    return [
      {
        level: 'bad',
        title: 'The last reload of HAProxy failed',
        reason: lastError,
        remedy: `${goesOn}Look into its log: journalctl -u haproxy.`,
        kinds: ['reload_failed'],
      },
    ];
  }
  if (pendingReload.length === 0) return [];
  const waiting = Object.keys(waitingReload);
  const [seconds = 0] = Object.values(waitingReload).sort((a, b) => a - b);
  return [
    {
      level: 'warn',
      title: 'HAProxy needs a reload',
      reason: listed(pendingReload),
      remedy:
        waiting.length === 0
          ? 'synapse reloads it soon, unless haproxy.do_reloads is false.'
          : `The records of ${listed(waiting)} change options of servers too often: their next reload is due in ${seconds} s ` +
            '(haproxy.service_reload_interval). Changes of the configuration do not wait for it.',
      kinds: ['reload_begun', 'configuration_read'],
    },
  ];
}

function stuckServers({ stuck = [] }: HaproxyReport): readonly FoundProblem[] {
  if (stuck.length === 0) return [];
  return [
    {
      level: 'bad',
      title: `HAProxy does not change ${counted(stuck.length, 'server')}`,
      reason: listed(stuck.map(({ reason }) => reason)),
      remedy:
        'Reloads did not help either, so synapse tries it again every few minutes only. ' +
        'HAProxy says why; synapse explain SERVICE SERVER has the commands.',
      kinds: [],
    },
  ];
}

function heldServers({ held = [] }: HaproxyReport): readonly FoundProblem[] {
  if (held.length === 0) return [];
  return [
    {
      level: 'warn',
      title: `${counted(held.length, 'server')} set by hand in HAProxy`,
      reason: listed(held.map(({ backend, name, held: what }) => `${backend}/${name}: ${what}`)),
      remedy: "synapse leaves them so until an operator sets them back on HAProxy's socket.",
      kinds: [],
    },
  ];
}

function droppedOptions({ dropped = [] }: HaproxyReport): readonly FoundProblem[] {
  if (dropped.length === 0) return [];
  return [
    {
      level: 'warn',
      title: `Options of records not used: ${listed([...new Set(dropped.map(({ service }) => service))])}`,
      reason: listed(dropped.map(({ name, reason }) => `${name}: ${reason}`)),
      remedy: 'The servers are there without them. Correct haproxy_server_options where the records are written.',
      kinds: [],
    },
  ];
}

type NamedSummary = readonly [name: string, summary: ServiceSummary];

function serviceProblems(services: readonly NamedSummary[]): readonly FoundProblem[] {
  return [
    ...staleServices(services),
    ...emptyServices(services),
    ...unknownServices(services),
    ...guardedServices(services),
    ...limitedServices(services),
    ...servicesOnFallback(services),
    ...skippedRecords(services),
    ...refusedPublications(services),
  ];
}

/** One outage of a registry is one problem, however many services it has: their reasons differ in details at most. */
function staleServices(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const stale = services.filter(([, { reason }]) => reason !== null);
  const [first] = stale;
  if (first === undefined) return [];
  const [name, { reason }] = first;
  const etcd = stale.some(([, { method }]) => /etcd/.test(method));
  const ages = stale.map(([, { age }]) => age).filter((age) => age !== null);
  const since = ages.length === 0 ? '' : `, confirmed ${formatAge(Math.max(...ages) * 1000)} ago`;
  return [
    {
      level: 'warn',
      title: `${stale.length === 1 ? name : counted(stale.length, 'service')} may be out of date`,
      ...(reason !== null && { reason }),
      remedy: `Traffic goes to the last known instances${since}. ${
        etcd ? 'Is etcd healthy? etcdctl endpoint health.' : 'Check the source that the reason names.'
      }`,
      kinds: ['source_stale'],
    },
  ];
}

function emptyServices(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const names = namesOf(services, ({ known, up }) => known && up === 0);
  if (names.length === 0) return [];
  return [
    {
      level: 'bad',
      title: `No instance is up: ${listed(names)}`,
      remedy:
        'Requests fail. Run nerve status on the hosts of the service; synapse explain SERVICE says what is left out, and why.',
      kinds: ['instances'],
    },
  ];
}

function unknownServices(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const names = namesOf(services, ({ known }) => !known);
  if (names.length === 0) return [];
  return [
    {
      level: 'warn',
      title: `No instances known yet: ${listed(names)}`,
      remedy: 'HAProxy keeps the servers it has until the source answers.',
      kinds: ['source_stale'],
    },
  ];
}

function guardedServices(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const names = namesOf(services, ({ suspects }) => suspects > 0);
  if (names.length === 0) return [];
  return [
    {
      level: 'warn',
      title: `Expiry guard in force: ${listed(names)}`,
      reason: 'many leases were lost together, so synapse keeps the instances that answer as suspects',
      remedy: 'synapse and HAProxy drop those that stop answering. Do the nerves run, and do they reach etcd?',
      kinds: ['guard_in_force'],
    },
  ];
}

function limitedServices(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const over = services.filter(([, { over_limit: count }]) => count > 0);
  if (over.length === 0) return [];
  return [
    {
      level: 'warn',
      title: `More than max_instances: ${listed(over.map(([name, { over_limit: count }]) => `${name} by ${count}`))}`,
      reason: 'the instances that were announced last are left out',
      remedy:
        'Are all of them meant to be there? synapse services lists them. If so, raise max_instances of the service.',
      kinds: ['limit_exceeded'],
    },
  ];
}

function servicesOnFallback(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const away = services.filter(([, { fallback }]) => fallback !== null);
  if (away.length === 0) return [];
  return [
    {
      level: 'warn',
      title: `Fallback in use: ${listed(away.map(([name, { fallback }]) => `${name} from ${fallback}`))}`,
      remedy: 'The first source finds no instances. synapse returns to it as soon as it finds one.',
      kinds: ['source_switched'],
    },
  ];
}

function skippedRecords(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const names = namesOf(services, ({ rejected }) => rejected > 0);
  if (names.length === 0) return [];
  return [
    {
      level: 'warn',
      title: `Records skipped: ${listed(names)}`,
      reason: 'they cannot be used; the other records are not affected',
      remedy: 'synapse explain SERVICE names them. Correct or delete them where they were written.',
      kinds: ['record_rejected'],
    },
  ];
}

function refusedPublications(services: readonly NamedSummary[]): readonly FoundProblem[] {
  return services.flatMap(([name, { refused }]) =>
    refused === null
      ? []
      : [
          {
            level: 'warn',
            title: `Published configuration of ${name} refused`,
            reason: refused,
            remedy: 'The previous one stays in force. Publish a corrected one.',
            kinds: ['published_refused'],
          },
        ],
  );
}

function namesOf(services: readonly NamedSummary[], test: (summary: ServiceSummary) => boolean): readonly string[] {
  return services.filter(([, summary]) => test(summary)).map(([name]) => name);
}
