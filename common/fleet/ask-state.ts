import { reasonOf } from '../daemon/log.ts';
import type { Entry } from '../etcd/client/key-value.ts';
import {
  type AckRecord,
  concerns,
  fulfils,
  type ProxyRecord,
  parseAck,
  parseProxy,
  type RequestRecord,
} from './records.ts';

/** One proxy, as the process that asks knows it. */
export interface Member {
  /** Its record; null while it has none, or one that cannot be read. */
  readonly proxy: ProxyRecord | null;
  /** Its key exists: the synapse lives, or died less than the TTL of its lease ago. */
  readonly present: boolean;
  /** The request was a question to it at some time: when it leaves, it is missed. */
  readonly counted: boolean;
  /** Earlier sessions of this id, the newest last. */
  readonly formerSessions: readonly string[];
  /** Two processes write this id's record in turn: what one says is not true of the other. */
  readonly shared: boolean;
  /** Its acknowledgement of the present request. */
  readonly ack: AckRecord | null;
  /** Why its record or its acknowledgement cannot be read. */
  readonly problem: string | null;
  /** Its last acknowledgement fulfilled the request. A proxy that leaves after that is not missed: its HAProxy stays as it is. */
  readonly fulfilled: boolean;
}

/** One question and what is known of the answers. Immutable. */
export interface AskState {
  /** Null before it has been written. */
  readonly request: RequestRecord | null;
  /** The id of the request; empty before it has been written. */
  readonly id: string;
  /** By the ids of the proxies. */
  readonly members: ReadonlyMap<string, Member>;
  /** Why etcd does not answer at present; null while it does. */
  readonly trouble: string | null;
}

/** A key that has changed: what it holds now, undefined when it was deleted. */
export interface MemberChange {
  readonly id: string;
  readonly entry: Pick<Entry, 'value' | 'lease'> | undefined;
}

/** What moves a question from one state to the next. */
export type AskEvent =
  /** The question was written; again when the former request was lost or its instance has changed. */
  | { readonly kind: 'asked'; readonly id: string; readonly request: RequestRecord }
  /** With `whole`, the changes are all keys there are. */
  | { readonly kind: 'proxies'; readonly changes: readonly MemberChange[]; readonly whole: boolean }
  | {
      readonly kind: 'acks';
      /** The id of the request that they acknowledge. */
      readonly request: string;
      readonly changes: readonly MemberChange[];
      readonly whole: boolean;
    }
  | { readonly kind: 'trouble'; readonly reason: string | null };

/** A question that has not been asked. */
export const unasked: AskState = { request: null, id: '', members: new Map(), trouble: null };

/** So many former sessions of one id are remembered. */
const mostSessions = 8;

const newcomer: Member = {
  proxy: null,
  present: false,
  counted: false,
  formerSessions: [],
  shared: false,
  ack: null,
  problem: null,
  fulfilled: false,
};

/** The state of a question after an event. */
export function nextAskState(state: AskState, event: AskEvent): AskState {
  switch (event.kind) {
    case 'asked':
      return asked(state, event);
    case 'trouble':
      return event.reason === state.trouble ? state : { ...state, trouble: event.reason };
    case 'proxies':
      return { ...state, members: applyChanges(state, event, withProxy) };
    case 'acks':
      // Of a former request: it says nothing about this one.
      if (event.request !== state.id) return state;
      return { ...state, members: applyChanges(state, event.whole ? event : writtenOnly(event), withAck) };
  }
}

function asked(state: AskState, { id, request }: Extract<AskEvent, { kind: 'asked' }>): AskState {
  const members = new Map<string, Member>();
  for (const [name, member] of state.members) {
    const unanswered = { ...member, ack: null, fulfilled: false };
    // One that is missed stays missed.
    members.set(name, { ...unanswered, counted: isAsked(unanswered, request) || (!member.present && member.counted) });
  }
  return { ...state, id, request, members };
}

/**
 * Without deletions: when a lease ends, those of the acknowledgements may be seen before those of the proxies, and a proxy that
 * has left is not one that takes back what it said. A whole list tells these apart, and nothing is done without one.
 */
function writtenOnly(event: Extract<AskEvent, { kind: 'acks' }>): Extract<AskEvent, { kind: 'acks' }> {
  return { ...event, changes: event.changes.filter(({ entry }) => entry !== undefined) };
}

/** How one change changes a member; undefined for a member of which nothing has to be known. */
type Change = (member: Member, entry: MemberChange['entry'], request: RequestRecord | null) => Member | undefined;

function applyChanges(
  { members, request }: AskState,
  { changes, whole }: { readonly changes: readonly MemberChange[]; readonly whole: boolean },
  change: Change,
): ReadonlyMap<string, Member> {
  const next = new Map(members);
  const apply = (id: string, entry: MemberChange['entry']): void => {
    const changed = change(next.get(id) ?? newcomer, entry, request);
    if (changed === undefined) next.delete(id);
    else next.set(id, changed);
  };
  if (whole) {
    const named = new Set(changes.map(({ id }) => id));
    for (const id of members.keys()) if (!named.has(id)) apply(id, undefined);
  }
  for (const { id, entry } of changes) apply(id, entry);
  return next;
}

function withProxy(member: Member, entry: MemberChange['entry'], request: RequestRecord | null): Member | undefined {
  // A record without a lease would outlive its synapse: it is from another program.
  if (entry === undefined || entry.lease === '0') return member.counted ? { ...member, present: false } : undefined;
  let proxy: ProxyRecord;
  try {
    proxy = parseProxy(entry.value);
  } catch (error) {
    const problem = `its record cannot be read: ${reasonOf(error)}`;
    return { ...member, proxy: null, present: true, counted: true, problem, fulfilled: false };
  }
  const { proxy: former, formerSessions } = member;
  const isNew = former !== null && former.session !== proxy.session;
  const next: Member = {
    ...member,
    proxy,
    present: true,
    problem: null,
    formerSessions: isNew ? [...formerSessions, former.session].slice(-mostSessions) : formerSessions,
    shared: member.shared || (isNew && formerSessions.includes(proxy.session)),
  };
  return judged({ ...next, counted: request !== null && isAsked(next, request) }, request);
}

function withAck(member: Member, entry: MemberChange['entry'], request: RequestRecord | null): Member | undefined {
  if (entry === undefined) {
    if (!member.present && !member.counted) return undefined;
    // The acknowledgement of a proxy that has left went with its lease: it was true until then.
    return { ...member, ack: null, fulfilled: member.fulfilled && !member.present };
  }
  try {
    return judged({ ...member, ack: parseAck(entry.value) }, request);
  } catch (error) {
    const problem = `its acknowledgement cannot be read: ${reasonOf(error)}`;
    return { ...member, ack: null, problem: member.proxy === null ? member.problem : problem, fulfilled: false };
  }
}

function judged(member: Member, request: RequestRecord | null): Member {
  const { ack, proxy, shared } = member;
  const fulfilled =
    request !== null && ack !== null && !shared && ack.session === proxy?.session && fulfils(ack, request);
  return { ...member, fulfilled, problem: ack === null || proxy === null ? member.problem : null };
}

/** True for a proxy that left before it had acknowledged: what its HAProxy does is not known. */
export function isMissed({ counted, present, fulfilled }: Member): boolean {
  return counted && !present && !fulfilled;
}

/**
 * - `waiting`: a proxy has not acknowledged
 * - `done`: all that take part have
 * - `left`: all that are there have, and others have left without that
 * - `nobody`: no proxy takes part
 */
export type Verdict = 'waiting' | 'done' | 'left' | 'nobody';

/** What the answers say. It is final when proxies and acknowledgements were read at one revision after the request. */
export function verdictOf({ request, members }: AskState): Verdict {
  if (request === null) return 'waiting';
  let verdict: Verdict = 'nobody';
  for (const member of members.values()) {
    if (!member.counted) continue;
    if (member.present && !member.fulfilled) return 'waiting';
    if (isMissed(member)) verdict = 'left';
    else if (member.present && verdict === 'nobody') verdict = 'done';
  }
  return verdict;
}

/** A proxy whose record cannot be read may follow anything. */
function isAsked({ proxy, present }: Member, request: RequestRecord): boolean {
  return present && (proxy === null || concerns(request, proxy.paths));
}
