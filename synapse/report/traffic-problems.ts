import { listed } from '../../common/wording.ts';
import { type ServerCounts, type Traffic, usableOf } from '../haproxy/statistics/health-shape.ts';
import { type FoundProblem, type NamedSummary, problemOf, type ServicesProblem } from './found-problem.ts';
import { serversText } from './servers-text.ts';
import type { ServiceSummary } from './summary.ts';

/** From these shares of the requests of a minute on, failures are a problem, and a grave one. */
const failedShare = { warn: 0.01, bad: 0.1 };
/** Below this number of failures, only a large share of them is a problem: one request may fail because its client is gone. */
const fewFailures = 3;
/** From these shares on, errors of servers and connections that were tried again are a problem. */
const [errorShare, retryShare] = [0.1, 0.1];

/** What applications feel, by HAProxy's own word: its servers and its counters. Pure. */
export function trafficProblems(services: readonly NamedSummary[]): readonly FoundProblem[] {
  return [
    ...withoutServer(services),
    ...withFewServers(services),
    ...failing(services),
    ...answeringErrors(services),
    ...retrying(services),
    ...queueing(services),
  ];
}

/** The services of one kind of problem, each with a few words about it. */
interface Affected {
  readonly name: string;
  readonly words: string;
  readonly isBad?: boolean;
}

/** The problem of these services: a grave one when it is for one of them. */
function trafficProblem(
  affected: readonly Affected[],
  problem: Pick<ServicesProblem, 'kind' | 'title' | 'remedy'>,
): readonly FoundProblem[] {
  const level = affected.some(({ isBad }) => isBad) ? 'bad' : 'warn';
  const reason = listed(affected.map(({ name, words }) => (affected.length === 1 ? words : `${name}: ${words}`)));
  return problemOf(
    affected.map(({ name }) => name),
    { ...problem, level, reason },
  );
}

/** What `test` says of each service about which HAProxy says something. */
function affected(
  services: readonly NamedSummary[],
  test: (servers: ServerCounts, service: ServiceSummary) => Omit<Affected, 'name'> | undefined,
): readonly Affected[] {
  const found: Affected[] = [];
  for (const [name, service] of services) {
    const said = service.haproxy === undefined ? undefined : test(service.haproxy.servers, service);
    if (said !== undefined) found.push({ name, ...said });
  }
  return found;
}

function withoutServer(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const found = affected(services, (servers, service) =>
    usableOf(servers) > 0 || service.up === 0
      ? undefined
      : { words: [serversText(servers), failedText(service.haproxy?.traffic)].filter(Boolean).join('; '), isBad: true },
  );
  return trafficProblem(found, {
    kind: 'no_server_usable',
    title: 'No server takes traffic',
    remedy:
      'HAProxy answers each request with 503, although instances are announced. synapse explain says for each server why.',
  });
}

function withFewServers(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const found = affected(services, (servers) => {
    const usable = usableOf(servers);
    if (servers.down === 0 || usable === 0) return undefined;
    return { words: serversText(servers), isBad: servers.down >= usable };
  });
  const isMost = found.some(({ isBad }) => isBad);
  return trafficProblem(found, {
    kind: 'servers_down',
    title: isMost ? 'Half of the servers or more are down' : 'Servers are down',
    remedy:
      "HAProxy's own check fails where the check of nerve passes: can this host reach them? synapse explain has the result of each check.",
  });
}

function failing(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const found = affected(services, (servers, { haproxy }) => {
    const { requests = 0, failed = 0 } = haproxy?.traffic ?? {};
    // Without a server, requests fail for that reason.
    if (failed === 0 || usableOf(servers) === 0) return undefined;
    const share = failed / Math.max(requests, failed);
    const isBad = share >= failedShare.bad;
    if (!isBad && (share < failedShare.warn || failed < fewFailures)) return undefined;
    return { words: failedText(haproxy?.traffic), isBad };
  });
  return trafficProblem(found, {
    kind: 'requests_fail',
    title: 'Requests fail',
    remedy:
      'HAProxy reaches no server, or its answer is cut off, late or invalid. Does each instance listen and answer in time? ' +
      'Without check in server_options, HAProxy sends requests to dead servers too.',
  });
}

function answeringErrors(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const found = affected(services, (_, { haproxy }) => {
    const { requests = 0, server_errors: errors = 0, seconds = 0 } = haproxy?.traffic ?? {};
    if (errors < fewFailures || errors < requests * errorShare) return undefined;
    return { words: `${errors} of ${requests} answers in ${seconds} s` };
  });
  return trafficProblem(found, {
    kind: 'servers_answer_errors',
    title: 'Servers answer with errors',
    remedy: 'The servers themselves answer 500 to 599. Look into the log of the application.',
  });
}

function retrying(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const found = affected(services, (_, { haproxy }) => {
    const { requests = 0, retries = 0, seconds = 0 } = haproxy?.traffic ?? {};
    if (retries < fewFailures || retries < requests * retryShare) return undefined;
    return { words: `${retries} connections for ${requests} requests in ${seconds} s` };
  });
  return trafficProblem(found, {
    kind: 'connections_retried',
    title: 'Connections to servers fail and are tried again',
    remedy:
      'Requests are late. Does each instance listen? With check in server_options, HAProxy leaves dead servers out.',
  });
}

function queueing(services: readonly NamedSummary[]): readonly FoundProblem[] {
  const found = affected(services, (_, { haproxy }) => {
    const { queued = 0 } = haproxy?.traffic ?? {};
    return queued === 0 ? undefined : { words: `${queued} waiting` };
  });
  return trafficProblem(found, {
    kind: 'requests_wait',
    title: 'Requests wait for a server',
    remedy:
      'Each server has as many requests as its maxconn allows. Are servers slow or missing, or is maxconn too low?',
  });
}

function failedText(traffic: Traffic | undefined): string {
  if (traffic === undefined || traffic.failed === 0) return '';
  const { failed, requests, seconds } = traffic;
  return `${failed} of ${Math.max(requests, failed)} requests failed in ${seconds} s`;
}
