/**
 * Every kind of problem: its heading in `synapse/problems.md`, and what it means for traffic. The manual is made from this
 * table, and `test/synapse/report/problem-states.test.ts` has a state for each kind. Kinds do not change: programs compare them.
 */
export const problemKinds = {
  no_server_usable: {
    heading: 'No server takes traffic',
    meaning:
      'HAProxy has no server of the service that may get requests: its own checks fail for all of them, or they are in ' +
      'maintenance, drain or weight 0. HAProxy answers each request with 503, whatever the registry says.',
  },
  servers_down: {
    heading: 'Servers are down',
    meaning:
      "HAProxy's own check fails for some servers, although the registry has them as healthy. They get no requests; the others " +
      'get more. From half of the servers on, the problem is a grave one.',
  },
  requests_fail: {
    heading: 'Requests fail',
    meaning:
      'In the last minute HAProxy could not have requests answered: it reached no server, or the answer was cut off, late or ' +
      'invalid. Applications see 502, 503 and 504, or closed connections.',
  },
  servers_answer_errors: {
    heading: 'Servers answer with errors',
    meaning: 'In the last minute a tenth of the answers or more were 500 to 599, and the servers themselves gave them.',
  },
  connections_retried: {
    heading: 'Connections are tried again',
    meaning:
      'In the last minute many connections to servers failed. HAProxy tried them again, so that applications see delays instead ' +
      'of errors. Where HAProxy does not check servers, this is the only sign of a dead one.',
  },
  requests_wait: {
    heading: 'Requests wait',
    meaning: 'Requests wait in the queue of HAProxy, because every server has as many as its maxconn allows.',
  },
  no_instance: {
    heading: 'No instance is up',
    meaning: 'The source answers and has no instance of the service that takes traffic. Requests fail.',
  },
  service_unknown: {
    heading: 'No instances known yet',
    meaning: 'The source has not answered since synapse started, and the state file does not have the service.',
  },
  source_stale: {
    heading: 'Instances may be out of date',
    meaning:
      'The source does not prove any more that the instances are current. Traffic goes to the last known ones, and changes ' +
      'since then are not seen.',
  },
  source_denied: {
    heading: 'etcd denies access',
    meaning: "etcd refuses to let synapse's user read the services. Traffic goes to the last known instances.",
  },
  cache_in_use: {
    heading: 'Instances from the state file',
    meaning:
      'The source has not answered since synapse started, so the instances are those that the previous synapse knew. They may ' +
      'be out of date.',
  },
  previous_in_use: {
    heading: 'Previous instances in use',
    meaning:
      'The source finds no instance any more. synapse keeps the previous ones in use, because an empty service would fail each ' +
      'request (`use_previous_backends`).',
  },
  defaults_in_use: {
    heading: 'Default servers in use',
    meaning: 'The source finds no instance, so traffic goes to `default_servers`.',
  },
  fallback_in_use: {
    heading: 'A fallback is in use',
    meaning: 'The first source of the service finds no instances, so another one is used.',
  },
  guard_in_force: {
    heading: 'Expiry guard in force',
    meaning: 'Many leases were lost together. The instances that still answer stay in use as suspects.',
  },
  leases_lost: {
    heading: 'Instances without leases',
    meaning:
      'The leases of some instances are gone. The instances are looked at and stay for a moment, because a wave of lost leases ' +
      'may follow.',
  },
  over_limit: {
    heading: 'More than max_instances',
    meaning: 'The service has more instances than `max_instances` allows. Those that were announced last are left out.',
  },
  records_skipped: {
    heading: 'Records are skipped',
    meaning: 'Records of the service in the registry cannot be used. The other records are not affected.',
  },
  name_unresolved: {
    heading: 'Host names cannot be looked up',
    meaning:
      'Host names of instances cannot be looked up. Their last addresses stay in use; without one, they are left out.',
  },
  instances_refused: {
    heading: 'Instances are refused',
    meaning: 'Traffic may not go to the addresses of some instances, so they are left out.',
  },
  published_refused: {
    heading: 'A published configuration is refused',
    meaning: 'The newest published configuration of a service cannot be used. The previous one stays in force.',
  },
  haproxy_away: {
    heading: 'HAProxy does not answer',
    meaning:
      "synapse cannot reach HAProxy's runtime API. A HAProxy that runs keeps the servers it has, and does not get changes; with " +
      'several HAProxy processes, each is named.',
  },
  service_quarantined: {
    heading: 'HAProxy refuses a service',
    meaning:
      'HAProxy refuses the configuration of a service. Its last good one stays in force; other services are not affected.',
  },
  configuration_rejected: {
    heading: 'HAProxy refuses the configuration',
    meaning: 'HAProxy refuses the configuration as a whole. The last good one stays in force.',
  },
  file_unwritten: {
    heading: 'haproxy.cfg cannot be written',
    meaning: 'The running HAProxy gets changes all the same. A restart of HAProxy would start with the old file.',
  },
  reload_failed: {
    heading: 'A reload failed',
    meaning: 'HAProxy did not take over what only a reload can change. It still runs its previous configuration.',
  },
  reload_due: {
    heading: 'A reload is due',
    meaning: 'A change needs a reload, and it has not been done yet.',
  },
  reload_limited: {
    heading: 'Records ask for too many reloads',
    meaning:
      'The records of a service want more reloads than `haproxy.service_reload_interval` allows, so their changes wait.',
  },
  old_workers: {
    heading: 'Old workers do not end',
    meaning: 'Workers from before reloads still have connections. Each uses as much memory as the present one.',
  },
  servers_stuck: {
    heading: 'HAProxy does not change servers',
    meaning: 'HAProxy does not take a change of a server, and reloads did not help.',
  },
  servers_held: {
    heading: 'Servers are set by hand',
    meaning:
      'An operator put servers into maintenance, drain or another weight in HAProxy. synapse leaves them so until an operator ' +
      'sets them back.',
  },
  options_dropped: {
    heading: 'Options of records are not used',
    meaning: 'Options in records contradict each other or HAProxy. The servers are there without them.',
  },
  configuration_invalid: {
    heading: 'The configuration file is invalid',
    meaning: 'The file that was read at the last SIGHUP cannot be used. The previous configuration stays in force.',
  },
  state_file_unwritten: {
    heading: 'The state file cannot be written',
    meaning: 'After a restart while etcd is away, synapse would not know the present instances.',
  },
  files_unwritten: {
    heading: 'Files of file_output cannot be written',
    meaning: 'Programs that read these files see old instances.',
  },
  fleet_id_shared: {
    heading: 'Another synapse has the same id',
    meaning: 'Two synapses have the same `fleet.id`, so commands that wait for all proxies can rely on neither.',
  },
  not_ready: {
    heading: 'synapse is not ready yet',
    meaning: 'synapse has not brought HAProxy to the present state since its start or its last change.',
  },
} as const satisfies Readonly<Record<string, { readonly heading: string; readonly meaning: string }>>;

/** A kind of problem. */
export type ProblemKind = keyof typeof problemKinds;

/** The kinds in the order in which problems of one level are shown: what applications feel comes first. */
export const kindOrder = Object.keys(problemKinds) as readonly ProblemKind[];

/** The heading of a kind in the manual, as a link within it. */
export function anchorOf(kind: ProblemKind): string {
  return problemKinds[kind].heading
    .toLowerCase()
    .replace(/[^a-z0-9_ -]/g, '')
    .replaceAll(' ', '-');
}
