import { type Fields, field, type Shaped } from '../cli/json-shape.ts';
import { counted, listed } from '../wording.ts';
import { type AskState, isMissed, type Member, unasked } from './ask-state.ts';
import type { Question } from './question.ts';
import type { RequestRecord } from './records.ts';

const waitingShape = {
  fields: {
    proxy: field('text', 'id of the synapse'),
    reason: field('text', 'why it is waited for'),
    connections: field('number', 'open connections to the server, as it said last'),
  },
} satisfies Fields;

/** A proxy that is waited for. */
export type Waiting = Shaped<typeof waitingShape>;

/** How far a question is, and how it ended. */
export const progressShape = {
  fields: {
    key: field({ orNull: 'text' }, 'key of the instance in etcd; null for a question about everything'),
    expect: field({ oneOf: ['drained', 'up', 'gone', 'applied'] }, 'what the proxies are asked for'),
    outcome: field(
      { oneOf: ['waiting', 'done', 'left', 'nobody', 'timeout', 'denied', 'off', 'changed'] },
      'waiting; done; left: proxies left without an acknowledgement, all others have it; nobody: no proxy takes part; timeout; denied: etcd allows no questions; off: the configuration says fleet: false; changed: the opposite was asked for meanwhile',
    ),
    reason: field({ orNull: 'text' }, 'why it is not done; null when it is'),
    proxies: field('number', 'proxies that take part'),
    acknowledged: field('number', 'those of them that have it'),
    unused: field('number', 'those of them that have no server for the instance'),
    connections: field('number', 'open connections to the server that the proxies last reported, in total'),
    milliseconds: field('number', 'time since the question was asked'),
    waiting: field({ list: waitingShape }, 'up to 100 proxies that are waited for, those with connections first'),
    left: field({ list: 'text' }, 'up to 100 proxies that left without an acknowledgement'),
    members: field({ list: 'text' }, 'up to 100 proxies that take part'),
  },
} satisfies Fields;

/** How far a question is; plain JSON. */
export type Progress = Shaped<typeof progressShape>;

/** How a question ended, or that it goes on. */
export type Outcome = Progress['outcome'];

/** How a question ended and why, or that it goes on. Without a reason, the state of the question says why it is not done. */
interface End {
  readonly outcome: Outcome;
  readonly reason?: string | null;
}

/** The most names in each list; the numbers beside it count all. */
const mostNames = 100;

/** What the state of a question means, for people and scripts. `end`: how it ended; default: it goes on. */
export function progressOf(state: AskState, milliseconds: number, end: End = { outcome: 'waiting' }): Progress {
  const { request, members } = state;
  const waiting: Waiting[] = [];
  const left: string[] = [];
  const there: string[] = [];
  let unused = 0;
  let connections = 0;
  for (const [id, member] of members) {
    if (!member.counted) continue;
    if (isMissed(member)) left.push(id);
    if (!member.present) continue;
    there.push(id);
    connections += connectionsOf(member);
    if (member.fulfilled && member.ack?.result === 'unused') unused += 1;
    if (!member.fulfilled)
      waiting.push({ proxy: id, reason: whyWaiting(member, request), connections: connectionsOf(member) });
  }
  waiting.sort((a, b) => b.connections - a.connections || (a.proxy < b.proxy ? -1 : 1));
  const { outcome } = end;
  const progress = {
    key: request?.kind === 'instance' ? request.key : null,
    expect: request?.kind === 'instance' ? request.expect : ('applied' as const),
    outcome,
    proxies: there.length,
    acknowledged: there.length - waiting.length,
    unused,
    connections,
    milliseconds: Math.round(milliseconds),
    waiting: waiting.slice(0, mostNames),
    left: left.sort().slice(0, mostNames),
    members: there.sort().slice(0, mostNames),
  };
  return { ...progress, reason: end.reason ?? whyNot(progress, state) };
}

/** The same, with the instance that the question is about also before its request has been written. */
export function progressOfQuestion(question: Question, state: AskState, milliseconds: number, end: End): Progress {
  const progress = progressOf(state, milliseconds, end);
  return question.kind === 'instance' ? { ...progress, key: question.key, expect: question.expect } : progress;
}

/** The progress of a question that could not be asked, or not yet. */
export function unaskedProgress(question: Question, milliseconds: number, end: End): Progress {
  return progressOfQuestion(question, unasked, milliseconds, end);
}

/** The reason of a question that is being written. */
export const asking = 'asking the proxies';

/** Why a question about one service ends with the outcome `nobody`. */
export const noProxy = 'no synapse that follows it takes part in the fleet';

/** Why a question is not done; null when it is, or when there is nothing to ask. */
function whyNot(progress: Omit<Progress, 'reason'>, { request, trouble }: AskState): string | null {
  if (progress.outcome === 'done' || progress.outcome === 'nobody') return null;
  if (trouble !== null) return `etcd does not answer: ${trouble}`;
  if (request !== null) return progressText(progress);
  return progress.outcome === 'waiting' ? asking : 'etcd did not take the question in time';
}

/** One line: `12 of 14 proxies; 3 connections left: host-b 2, host-c 1`. */
function progressText(progress: Omit<Progress, 'reason'>): string {
  const { proxies, acknowledged, connections, waiting, left } = progress;
  const busy = waiting.filter((one) => one.connections > 0);
  const others = waiting.filter((one) => one.connections === 0);
  const parts = [`${acknowledged} of ${counted(proxies, 'proxy', 'proxies')}`];
  if (busy.length > 0) {
    const hosts = busy.map((one) => `${one.proxy} ${one.connections}`);
    parts.push(`${counted(connections, 'connection')} left: ${listed(hosts, mostInLine)}`);
  }
  if (others.length > 0) {
    const total = proxies - acknowledged - busy.length;
    const names = others.map(({ proxy, reason }) => `${proxy} (${reason})`);
    parts.push(`waiting for ${listed(names, mostInLine, total)}`);
  }
  if (left.length > 0) parts.push(`left without an acknowledgement: ${listed(left, mostInLine)}`);
  return parts.join('; ');
}

/** The proxies that take part: all of up to five, or three and how many more there are. */
export function membersText({ members, proxies }: Progress): string {
  return listed(members, proxies > mostInLine ? 3 : mostInLine, proxies);
}

const mostInLine = 5;

function connectionsOf({ ack, proxy }: Member): number {
  return ack !== null && ack.session === proxy?.session ? ack.connections + ack.queued : 0;
}

/** Why a proxy that is there has not acknowledged. */
export function whyWaiting(member: Member, request: RequestRecord | null): string {
  const { proxy, ack, problem, shared } = member;
  if (shared) return 'several synapses have this id: give each its own fleet.id';
  if (problem !== null) return problem;
  if (ack === null || ack.session !== proxy?.session) return 'no answer';
  if (request !== null && ack.revision < request.revision) return 'it has not applied the change';
  if (ack.reason !== null) return ack.reason;
  if (ack.oldWorkersUnasked > 0) return `${counted(ack.oldWorkersUnasked, 'old worker')} of HAProxy cannot be asked`;
  if (connectionsOf(member) > 0) return counted(connectionsOf(member), 'connection');
  return ack.result === 'applied' ? 'connections are not counted yet' : 'no reason given';
}
