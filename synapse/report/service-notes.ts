import { counted, formatAge } from '../../common/wording.ts';
import type { HaproxyReport } from '../haproxy/status-shape.ts';
import { heldText, undoText } from './held-server.ts';
import { serversText } from './servers-text.ts';
import type { ServiceReport } from './service-shape.ts';

type Part = NonNullable<ServiceReport['sources']>[number];

/** Where the instances of a service come from, whether they are current, and what chooses among them; a line each. */
export function serviceNotes(name: string, report: ServiceReport): readonly string[] {
  const { sources = [], rules = [], published, prefer } = report;
  return [
    `${name}: ${originText(report)}`,
    ...sources.map((part) => `  ${part.name} (${part.method}): ${partText(part)}`),
    ...rules.map((rule) => `rule: ${rule}`),
    ...(published === undefined ? [] : publishedNotes(published)),
    ...(prefer === undefined ? [] : [preferenceNote(prefer)]),
    ...healthNotes(report),
    ...guardNotes(report),
    ...limitNotes(report),
    ...returnNotes(report),
    ...nameNotes(report),
  ];
}

/** Where the instances come from, and how well that is known. */
function originText({ method, sources = [], revision, origin, reason, age }: ServiceReport): string {
  const used = sources.filter(({ role }) => role === 'used').map((part) => `${part.name} (${part.method})`);
  const source = `${used.join(', ') || method}${revision === null ? '' : ` revision ${revision}`}`;
  const why = reason === null ? '' : `: ${reason}`;
  const checked = age === null ? '' : `checked ${formatAge(age * 1000)} ago`;
  const freshness =
    reason === null
      ? `, ${checked || 'known to be current'}`
      : `, which may be out of date${why}${checked === '' ? '' : `; last ${checked}`}`;
  switch (origin) {
    case 'discovered':
      return `instances from ${source}${freshness}`;
    case 'previous':
      return `the previous instances, because none is found now in ${source}${freshness}`;
    case 'defaults':
      return `the default servers, because no instance is found in ${source}${freshness}`;
    case 'cache':
      return `instances from the state file, because ${method} has not answered yet${why}`;
    case 'nothing':
      return `no instances known, because ${method} has not answered yet${why}; HAProxy keeps the servers it has`;
  }
}

const roles: Readonly<Record<Part['role'], string>> = {
  used: 'in use',
  asked: 'running, not in use',
  idle: 'not running',
};

/** How one of several sources is doing. */
function partText({ role, instances, reason }: Part): string {
  const stale = reason === null ? '' : `, may be out of date: ${reason}`;
  if (role === 'idle') return `${roles[role]}${stale}`;
  if (instances === null) return `${roles[role]}, no answer yet${reason === null ? '' : `: ${reason}`}`;
  return `${roles[role]}, ${counted(instances, 'instance')}${stale}`;
}

/** What HAProxy says: how many servers take traffic, and what became of the requests of the last minute. */
function healthNotes({ haproxy }: ServiceReport): readonly string[] {
  if (haproxy === undefined) return [];
  const { servers, traffic } = haproxy;
  const notes = [`HAProxy: ${serversText(servers)}`];
  if (traffic === undefined || (traffic.requests === 0 && traffic.failed === 0)) return notes;
  const { seconds, requests, failed, server_errors: errors, retries, queued } = traffic;
  const counts = [
    `${counted(requests, 'request')} in ${seconds} s`,
    `${failed} failed`,
    `${errors} answered 500 to 599 by servers`,
    ...(retries > 0 ? [`${counted(retries, 'connection')} tried again`] : []),
    ...(queued > 0 ? [`${queued} waiting`] : []),
  ];
  return [...notes, `HAProxy: ${counts.join('; ')}`];
}

function limitNotes({ over_limit: count }: ServiceReport): readonly string[] {
  return count === undefined
    ? []
    : [`${counted(count, 'instance')} announced last are left out, because the service has more than max_instances`];
}

function publishedNotes({ where, refused }: NonNullable<ServiceReport['published']>): readonly string[] {
  return [
    ...(where === null ? [] : [`the configuration published at ${where} is in force, on top of the local one`]),
    ...(refused === null ? [] : [`the newest published configuration is refused: ${refused}`]),
  ];
}

function preferenceNote({ label, value, local, in_force: inForce }: NonNullable<ServiceReport['prefer']>): string {
  const order = inForce ? 'they come first' : 'too few to come first, so all instances are used alike';
  return `prefers ${label} ${value}: ${counted(local, 'local instance')}, ${order}`;
}

/** Host names of one service that are shown. */
const maxFailing = 10;

function nameNotes({ failing_names: failing = [] }: ServiceReport): readonly string[] {
  return [
    ...failing.slice(0, maxFailing).map(({ host, address, reason }) => {
      const stays = address === null ? 'it has no address' : `its last address ${address} stays in use`;
      return `host name ${host} cannot be looked up: ${reason}; ${stays}`;
    }),
    ...(failing.length > maxFailing ? [`and ${failing.length - maxFailing} more host names`] : []),
  ];
}

/** Lost instances of one service that are shown. */
const maxLost = 10;

function guardNotes({ suspects = {}, lost = {} }: ServiceReport): readonly string[] {
  const count = Object.keys(suspects).length;
  const kept = count === 1 ? 'is kept as a suspect' : 'are kept as suspects';
  const ids = Object.keys(lost);
  return [
    ...(count === 0
      ? []
      : [`expiry guard in force: ${counted(count, 'instance')} ${kept}, because many leases were lost together`]),
    ...ids.slice(0, maxLost).map((id) => `  ${id}: ${lostText(lost[id] as LostReport)}`),
    ...(ids.length > maxLost ? [`  and ${ids.length - maxLost} more lost instances`] : []),
  ];
}

/** From this many returns on, an instance is flapping. */
const flappingTimes = 3;
/** Flapping instances of one service that are shown. */
const maxFlapping = 10;

function returnNotes({ returns = {} }: ServiceReport): readonly string[] {
  const flapping = Object.entries(returns).filter(([, { times }]) => times >= flappingTimes);
  const shown = flapping.slice(-maxFlapping).map(([id, one]) => `${id} flaps: it ${returnText(one)}`);
  return flapping.length > maxFlapping ? [...shown, `and ${flapping.length - maxFlapping} more that flap`] : shown;
}

/** How often an instance has left and come back. */
export function returnText({
  times,
  left_at: left,
  back_at: back,
}: NonNullable<ServiceReport['returns']>[string]): string {
  if (times === 0) return `left its registry at ${left} and has not come back`;
  const before = `left its registry and came back ${counted(times, 'time')}`;
  return back === null
    ? `${before}, left again at ${left} and has not come back`
    : `${before}, the last time at ${back}`;
}

type LostReport = NonNullable<ServiceReport['lost']>[string];

/** One lost instance that is kept: which lease, since when, what the look said, and what ends it. */
export function lostText({ lease, since, phase, look, until, ends }: LostReport): string {
  const what = phase === 'suspect' ? 'suspect' : phase === 'held' ? 'held' : 'being looked at';
  return `${what}: lease ${lease} lost at ${since}; ${look}; kept until ${until} at most; ended by ${ends}`;
}

/** What HAProxy's output says of a service, a line each. */
export function haproxyNotes(name: string, haproxy: HaproxyReport | null): readonly string[] {
  if (haproxy === null) return [];
  const { rejected, pendingReload = [], held = [], waitingReload = {}, stuck = [], problems } = haproxy;
  return [
    ...(Object.hasOwn(problems, name) ? [`HAProxy cannot take the configuration of ${name}: ${problems[name]}`] : []),
    ...(rejected ? [`HAProxy refuses the new configuration: ${rejected}`] : []),
    ...pendingReload.map((reason) => `HAProxy needs a reload: ${reason}`),
    ...(Object.hasOwn(waitingReload, name)
      ? [
          `the records of ${name} want more reloads than service_reload_interval allows: the next one is due in ${waitingReload[name]} s`,
        ]
      : []),
    ...stuck.filter(({ service }) => service === name).map(({ reason }) => `${reason}; a reload did not help`),
    ...held
      .filter(({ service }) => service === name)
      .map(
        (server) =>
          `HAProxy: ${heldText(server)} of ${server.name} was set by hand; synapse leaves it so${undoText(server, haproxy)}`,
      ),
  ];
}
