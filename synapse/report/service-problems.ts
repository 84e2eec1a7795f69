import { counted, formatAge, listed } from '../../common/wording.ts';
import { type FoundProblem, type NamedSummary, problemOf } from './found-problem.ts';
import type { ServiceSummary } from './summary.ts';
import { trafficProblems } from './traffic-problems.ts';

/** What is wrong with services: what applications feel first, then where their instances come from. Pure. */
export function serviceProblems(services: readonly NamedSummary[]): readonly FoundProblem[] {
  return [
    ...trafficProblems(services),
    ...emptyServices(services),
    ...unknownServices(services),
    ...deniedServices(services),
    ...staleServices(services),
    ...servicesFromCache(services),
    ...standIns(services),
    ...servicesOnFallback(services),
    ...guardedServices(services),
    ...lostLeases(services),
    ...limitedServices(services),
    ...skippedRecords(services),
    ...failingNames(services),
    ...refusedInstances(services),
    ...refusedPublications(services),
  ];
}

/** The names of the services for which `test` holds. */
function namesOf(services: readonly NamedSummary[], test: (summary: ServiceSummary) => boolean): readonly string[] {
  return services.filter(([, summary]) => test(summary)).map(([name]) => name);
}

function usesEtcd({ method }: ServiceSummary): boolean {
  return /etcd/.test(method);
}

/** True while etcd refuses to let synapse read the service. */
function isDenied(service: ServiceSummary): boolean {
  return usesEtcd(service) && /permission denied/.test(service.reason ?? '');
}

/** What to begin with when a source does not answer. */
function sourceCommand(isEtcd: boolean, name: string): string {
  return isEtcd ? 'etcdctl endpoint health --cluster' : `synapse explain ${name}`;
}

function deniedServices(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const denied = services.filter(([, service]) => isDenied(service));
  const [first] = denied;
  if (first === undefined) return [];
  const [, { reason }] = first;
  const names = denied.map(([name]) => name);
  return [
    {
      kind: 'source_denied',
      level: 'bad',
      title: `etcd denies access to ${names.length <= 3 ? listed(names) : counted(names.length, 'service')}`,
      ...(reason !== null && { reason }),
      remedy:
        'Traffic goes to the last known instances, and changes are not seen. Give the user in etcd.user of the configuration a ' +
        'role that may read the services, as root of etcd.',
      command: 'etcdctl user get --detail synapse',
      subjects: names,
    },
  ];
}

/** One outage of a registry is one problem, however many services it has: their reasons differ in details at most. */
function staleServices(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const stale = services.filter(
    ([, service]) => service.reason !== null && service.origin !== 'cache' && !isDenied(service),
  );
  const [first] = stale;
  if (first === undefined) return [];
  const [name, { reason }] = first;
  const isEtcd = stale.some(([, service]) => usesEtcd(service));
  const ages = stale.map(([, { age }]) => age).filter((age) => age !== null);
  const since = ages.length === 0 ? '' : `, confirmed ${formatAge(Math.max(...ages) * 1000)} ago`;
  return [
    {
      kind: 'source_stale',
      level: 'warn',
      title: `${stale.length === 1 ? name : counted(stale.length, 'service')} may be out of date`,
      ...(reason !== null && { reason }),
      remedy: `Traffic goes to the last known instances${since}. ${
        isEtcd ? 'Is etcd healthy?' : 'Check the source that the reason names.'
      }`,
      command: sourceCommand(isEtcd, name),
      subjects: stale.map(([stalest]) => stalest),
    },
  ];
}

function servicesFromCache(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const cached = services.filter(([, { origin }]) => origin === 'cache');
  const [first] = cached;
  if (first === undefined) return [];
  const [name, service] = first;
  const names = cached.map(([each]) => each);
  return [
    {
      kind: 'cache_in_use',
      level: 'warn',
      title: `Instances from the state file: ${listed(names)}`,
      ...(service.reason !== null && { reason: service.reason }),
      remedy: 'The source has not answered since synapse started. synapse takes its answer as soon as it comes.',
      command: sourceCommand(usesEtcd(service), name),
      subjects: names,
    },
  ];
}

/** Services without an instance of their own that something else stands in for. */
function standIns(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const reason = 'the source finds no instance';
  const where = 'Run nerve status on the hosts of the service.';
  return [
    ...problemOf(
      namesOf(services, ({ origin }) => origin === 'previous'),
      {
        kind: 'previous_in_use',
        title: 'Previous instances in use',
        reason,
        remedy: `Traffic goes to instances that are not announced any more. ${where}`,
      },
    ),
    ...problemOf(
      namesOf(services, ({ origin }) => origin === 'defaults'),
      {
        kind: 'defaults_in_use',
        title: 'Default servers in use',
        reason,
        remedy: `Traffic goes to default_servers until an instance is announced. ${where}`,
      },
    ),
  ];
}

function emptyServices(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const names = namesOf(services, ({ known, up }) => known && up === 0);
  return problemOf(names, {
    kind: 'no_instance',
    level: 'bad',
    title: 'No instance is up',
    remedy:
      'Requests fail. Run nerve status on the hosts of the service; synapse explain says what is left out, and why.',
  });
}

function unknownServices(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const names = namesOf(services, ({ known }) => !known);
  return problemOf(names, {
    kind: 'service_unknown',
    title: 'No instances known yet',
    remedy: 'HAProxy keeps the servers it has until the source answers.',
  });
}

function guardedServices(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const names = namesOf(services, ({ suspects }) => suspects > 0);
  return problemOf(names, {
    kind: 'guard_in_force',
    title: 'Expiry guard in force',
    reason: 'many leases were lost together, so synapse keeps the instances that answer as suspects',
    remedy: 'synapse and HAProxy drop those that stop answering. Do the nerves run, and do they reach etcd?',
  });
}

function lostLeases(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const names = namesOf(services, ({ lost, suspects }) => lost > 0 && suspects === 0);
  return problemOf(names, {
    kind: 'leases_lost',
    title: 'Instances without leases',
    reason: 'their leases are gone, and a wave of lost leases may follow, so they stay for a moment',
    remedy:
      'synapse drops them within seconds unless a wave follows. Does the nerve of each run, and does it reach etcd?',
  });
}

function limitedServices(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const over = services.filter(([, { over_limit: count }]) => count > 0);
  if (over.length === 0) return [];
  return [
    {
      kind: 'over_limit',
      level: 'warn',
      title: `More than max_instances: ${listed(over.map(([name, { over_limit: count }]) => `${name} by ${count}`))}`,
      reason: 'the instances that were announced last are left out',
      remedy:
        'Are all of them meant to be there? synapse services lists them. If so, raise max_instances of the service.',
      command: 'synapse services',
      subjects: over.map(([name]) => name),
    },
  ];
}

function servicesOnFallback(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const away = services.filter(([, { fallback }]) => fallback !== null);
  const [first] = away;
  if (first === undefined) return [];
  return [
    {
      kind: 'fallback_in_use',
      level: 'warn',
      title: `Fallback in use: ${listed(away.map(([name, { fallback }]) => `${name} from ${fallback}`))}`,
      reason: 'the first source finds no instances',
      remedy: 'synapse returns to it as soon as it finds one.',
      command: `synapse explain ${first[0]}`,
      subjects: away.map(([name]) => name),
    },
  ];
}

function skippedRecords(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const names = namesOf(services, ({ rejected }) => rejected > 0);
  return problemOf(names, {
    kind: 'records_skipped',
    title: 'Records skipped',
    reason: 'they cannot be used; the other records are not affected',
    remedy: 'synapse explain names them. Correct or delete them where they were written.',
  });
}

function failingNames(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const names = namesOf(services, ({ failing_names: failing }) => failing > 0);
  const without = namesOf(services, ({ unresolved }) => unresolved > 0);
  return problemOf(names, {
    kind: 'name_unresolved',
    title: 'Host names cannot be looked up',
    reason: 'their last addresses stay in use',
    remedy:
      `${without.length === 0 ? '' : `Instances of ${listed(without)} have no address yet and are left out. `}` +
      'synapse explain names them. Do the name servers of this host answer?',
  });
}

function refusedInstances(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const names = namesOf(services, ({ refused_instances: refused }) => refused > 0);
  return problemOf(names, {
    kind: 'instances_refused',
    title: 'Instances refused because of their addresses',
    reason: 'traffic may not go there; the other instances are not affected',
    remedy: 'synapse explain names them. Correct their records, or instance_networks.',
  });
}

function refusedPublications(services: readonly NamedSummary[]): readonly FoundProblem[] {
  return services.flatMap(([name, { refused }]) =>
    refused === null
      ? []
      : [
          {
            kind: 'published_refused',
            level: 'warn',
            title: `Published configuration of ${name} refused`,
            reason: refused,
            remedy: 'The previous one stays in force. Publish a corrected one.',
            command: `synapse explain ${name}`,
            subjects: [name],
          },
        ],
  );
}
