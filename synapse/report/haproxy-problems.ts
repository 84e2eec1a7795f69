import { counted, listed } from '../../common/wording.ts';
import type { HaproxyReport } from '../haproxy/status-shape.ts';
import type { FoundProblem } from './found-problem.ts';
import { heldText, undoCommand } from './held-server.ts';

/** What is wrong with HAProxy. Pure: the live page uses it too. */
export function haproxyProblems(haproxy: HaproxyReport): readonly FoundProblem[] {
  return [
    ...unconnectedSockets(haproxy),
    ...refusedServices(haproxy),
    ...refusedConfiguration(haproxy),
    ...unwrittenFile(haproxy),
    ...reloadProblems(haproxy),
    ...oldWorkers(haproxy),
    ...stuckServers(haproxy),
    ...heldServers(haproxy),
    ...droppedOptions(haproxy),
  ];
}

function unconnectedSockets({ sockets }: HaproxyReport): readonly FoundProblem[] {
  return sockets
    .filter(({ connected }) => !connected)
    .map(({ path, lastError }) => ({
      kind: 'haproxy_away',
      level: 'bad',
      title: `HAProxy does not answer at ${path}`,
      reason: lastError ?? 'synapse has not tried yet',
      remedy: 'Does it run? synapse brings it up to date as soon as it answers.',
      command: 'systemctl status haproxy',
      subjects: [path],
    }));
}

function refusedServices({ problems }: HaproxyReport): readonly FoundProblem[] {
  return Object.entries(problems).map(([service, reason]) => ({
    kind: 'service_quarantined',
    level: 'bad',
    title: `HAProxy cannot take the configuration of ${service}`,
    reason,
    remedy:
      'Its last good configuration stays in force, and the other services are not affected. ' +
      'Correct the haproxy section of the service; synapse check tests it.',
    command: 'synapse check',
    subjects: [service],
  }));
}

function refusedConfiguration({ rejected, problems }: HaproxyReport): readonly FoundProblem[] {
  if (!rejected || Object.keys(problems).length > 0) return [];
  return [
    {
      kind: 'configuration_rejected',
      level: 'bad',
      title: 'HAProxy refuses the new configuration',
      reason: rejected,
      remedy: 'The last good one stays in force. Correct the global and defaults sections; synapse check tests them.',
      command: 'synapse check',
      subjects: [],
    },
  ];
}

function unwrittenFile({ writeError }: HaproxyReport): readonly FoundProblem[] {
  if (!writeError) return [];
  return [
    {
      kind: 'file_unwritten',
      level: 'bad',
      title: 'haproxy.cfg cannot be written',
      reason: writeError,
      remedy:
        'The running HAProxy gets changes of servers all the same; a restart would begin with the old file, and reloads wait. ' +
        'Is the disk full, the folder read-only, or not of the user of synapse?',
      command: 'journalctl -u synapse -n 50; df -h /etc/haproxy',
      subjects: [],
    },
  ];
}

function reloadProblems(haproxy: HaproxyReport): readonly FoundProblem[] {
  const { sockets, lastError, writeError = null, pendingReload = [], waitingReload = {} } = haproxy;
  if (lastError && lastError !== writeError) {
    // A HAProxy that does not answer may not run at all.
    const goesOn = sockets.some(({ connected }) => connected) ? 'HAProxy still runs its previous configuration. ' : '';
    return [
      {
        kind: 'reload_failed',
        level: 'bad',
        title: 'The last reload of HAProxy failed',
        reason: lastError,
        remedy: `${goesOn}Its log says why.`,
        command: 'journalctl -u haproxy -n 50',
        subjects: [],
      },
    ];
  }
  if (pendingReload.length === 0) return [];
  const waiting = Object.keys(waitingReload);
  const [seconds = 0] = Object.values(waitingReload).sort((a, b) => a - b);
  const reason = listed(pendingReload);
  if (waiting.length === 0) {
    return [
      {
        kind: 'reload_due',
        level: 'warn',
        title: 'HAProxy needs a reload',
        reason,
        remedy: 'synapse reloads it soon, unless haproxy.do_reloads is false.',
        command: 'systemctl reload haproxy',
        subjects: [],
      },
    ];
  }
  return [
    {
      kind: 'reload_limited',
      level: 'warn',
      title: 'HAProxy needs a reload',
      reason,
      remedy:
        `The records of ${listed(waiting)} ask for too many reloads: their next reload is due in ${seconds} s ` +
        '(haproxy.service_reload_interval). Changes of the configuration do not wait for it.',
      command: `synapse events | grep ${waiting[0]}`,
      subjects: waiting,
    },
  ];
}

/** From this number of old workers on, connections that do not end are worth a look. */
const manyOldWorkers = 5;

function oldWorkers({ oldWorkers: count }: HaproxyReport): readonly FoundProblem[] {
  if (!count || count < manyOldWorkers) return [];
  return [
    {
      kind: 'old_workers',
      level: 'warn',
      title: `${count} old workers of HAProxy do not end`,
      reason: 'they still have connections from before reloads',
      remedy:
        'Each uses as much memory as the present worker. hard-stop-after in the global section bounds their time.',
      command: 'ps -o pid,etime,rss,cmd -C haproxy',
      subjects: [],
    },
  ];
}

function stuckServers({ stuck = [] }: HaproxyReport): readonly FoundProblem[] {
  const [first] = stuck;
  if (first === undefined) return [];
  return [
    {
      kind: 'servers_stuck',
      level: 'bad',
      title: `HAProxy does not change ${counted(stuck.length, 'server')}`,
      reason: listed(stuck.map(({ reason }) => reason)),
      remedy:
        'Reloads did not help either, so synapse tries it again every few minutes only. ' +
        'HAProxy says why; synapse explain has the commands.',
      command: `synapse explain ${first.service} ${first.name}`,
      subjects: [...new Set(stuck.map(({ service }) => service))],
    },
  ];
}

function heldServers({ held = [], sockets }: HaproxyReport): readonly FoundProblem[] {
  const [first] = held;
  if (first === undefined) return [];
  return [
    {
      kind: 'servers_held',
      level: 'warn',
      title: `${counted(held.length, 'server')} set by hand in HAProxy`,
      reason: listed(held.map((server) => `${server.backend}/${server.name}: ${heldText(server)}`)),
      remedy: `synapse leaves them so until an operator sets them back${held.length === 1 ? '' : '; synapse explain SERVICE SERVER has the command of each'}.`,
      command: undoCommand(first, { sockets }) ?? `synapse explain ${first.service} ${first.name}`,
      subjects: held.map((server) => `${server.backend}/${server.name}`),
    },
  ];
}

function droppedOptions({ dropped = [] }: HaproxyReport): readonly FoundProblem[] {
  const [first] = dropped;
  if (first === undefined) return [];
  const services = [...new Set(dropped.map(({ service }) => service))];
  return [
    {
      kind: 'options_dropped',
      level: 'warn',
      title: `Options of records not used: ${listed(services)}`,
      reason: listed(dropped.map(({ name, reason }) => `${name}: ${reason}`)),
      remedy: 'The servers are there without them. Correct haproxy_server_options where the records are written.',
      command: `synapse explain ${first.service} ${first.name}`,
      subjects: services,
    },
  ];
}
