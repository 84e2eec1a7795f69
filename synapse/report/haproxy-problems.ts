import { counted, listed } from '../../common/wording.ts';
import type { HaproxyReport } from '../haproxy/status-shape.ts';
import type { FoundProblem } from './found-problem.ts';
import { heldText, undoText } from './held-server.ts';

/** What is wrong with HAProxy. Pure: the live page uses it too. */
export function haproxyProblems(haproxy: HaproxyReport): readonly FoundProblem[] {
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

function heldServers({ held = [], sockets }: HaproxyReport): readonly FoundProblem[] {
  const [first] = held;
  if (first === undefined) return [];
  const how = held.length === 1 ? undoText(first, { sockets }) : '; synapse explain SERVICE SERVER has the command';
  return [
    {
      level: 'warn',
      title: `${counted(held.length, 'server')} set by hand in HAProxy`,
      reason: listed(held.map((server) => `${server.backend}/${server.name}: ${heldText(server)}`)),
      remedy: `synapse leaves them so until an operator sets them back${how}`,
      kinds: [],
    },
  ];
}

function droppedOptions({ dropped = [] }: HaproxyReport): readonly FoundProblem[] {
  if (dropped.length === 0) return [];
  const services = [...new Set(dropped.map(({ service }) => service))];
  return [
    {
      level: 'warn',
      title: `Options of records not used: ${listed(services)}`,
      reason: listed(dropped.map(({ name, reason }) => `${name}: ${reason}`)),
      remedy: 'The servers are there without them. Correct haproxy_server_options where the records are written.',
      kinds: [],
    },
  ];
}
