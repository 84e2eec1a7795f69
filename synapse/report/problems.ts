import { counted, formatAge, listed } from '../../common/wording.ts';
import type { FoundProblem } from './found-problem.ts';
import { haproxyProblems } from './haproxy-problems.ts';
import type { ServiceSummary, Summary } from './summary.ts';

/**
 * What is wrong, the worst first; empty when all is well. `ready` is the reason why synapse is not ready, or null.
 * Pure: `synapse status` and the live page both run it, so that they agree.
 */
export function findProblems(summary: Summary, ready: string | null): readonly FoundProblem[] {
  const services = Object.entries(summary.services);
  const found = [
    ...refusedFile(summary),
    ...sharedId(summary),
    ...(summary.haproxy === null ? [] : haproxyProblems(summary.haproxy)),
    ...serviceProblems(services),
  ];
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
export function isTroubled(service: ServiceSummary): boolean {
  const { reason, up, suspects, over_limit, rejected, fallback, refused, failing_names: failing } = service;
  const isHostTrouble = failing > 0 || service.refused_instances > 0;
  if (over_limit > 0 || isHostTrouble) return true;
  return reason !== null || up === 0 || suspects > 0 || rejected > 0 || fallback !== null || refused !== null;
}

function refusedFile({ config_refused: reason }: Summary): readonly FoundProblem[] {
  if (reason === undefined) return [];
  return [
    {
      level: 'bad',
      title: 'The configuration file is invalid: a restart of synapse would fail',
      reason,
      remedy:
        'The previous configuration stays in force. Correct the file, test it with synapse check, and reload synapse.',
      kinds: ['configuration_refused'],
    },
  ];
}

function sharedId({ fleet }: Summary): readonly FoundProblem[] {
  if (!fleet?.shared) return [];
  return [
    {
      level: 'warn',
      title: `Another synapse has the id ${fleet.id} in the fleet too`,
      remedy: 'Commands that wait for all proxies can rely on neither. Give each synapse another fleet.id.',
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
    ...failingNames(services),
    ...refusedInstances(services),
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

function failingNames(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const names = namesOf(services, ({ failing_names: failing }) => failing > 0);
  if (names.length === 0) return [];
  const without = namesOf(services, ({ unresolved }) => unresolved > 0);
  return [
    {
      level: 'warn',
      title: `Host names cannot be looked up: ${listed(names)}`,
      reason: 'their last addresses stay in use',
      remedy:
        `${without.length === 0 ? '' : `Instances of ${listed(without)} have no address yet and are left out. `}` +
        'synapse explain SERVICE names them. Do the name servers of this host answer?',
      kinds: ['name_unresolved'],
    },
  ];
}

function refusedInstances(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const names = namesOf(services, ({ refused_instances: refused }) => refused > 0);
  if (names.length === 0) return [];
  return [
    {
      level: 'warn',
      title: `Instances refused because of their addresses: ${listed(names)}`,
      reason: 'traffic may not go there; the other instances are not affected',
      remedy: 'synapse explain SERVICE names them. Correct their records, or instance_networks.',
      kinds: ['instance_refused'],
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
