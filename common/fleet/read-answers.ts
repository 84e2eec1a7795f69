import type { EtcdClient } from '../etcd/client/client.ts';
import { keyRange, prefixRange } from '../etcd/client/key-value.ts';
import { type Listing, listTogether } from '../etcd/watch/list.ts';
import type { ChangedKey } from './answers-watch.ts';
import type { MemberChange } from './ask-state.ts';
import { ackOfKey, acksPrefix, type FleetKeys, proxyOfKey } from './keys.ts';
import type { Look, OpenQuestion } from './open-question.ts';

/** Where to read, and about what. */
interface AnswersRead {
  readonly keys: FleetKeys;
  readonly questions: readonly Pick<OpenQuestion, 'state' | 'key'>[];
}

/**
 * Reads the proxies, and the acknowledgements and records that questions are about, all through a quorum and at one revision.
 * @returns what there is about each question, in the same order
 * @throws {EtcdError} when that cannot be read
 */
export async function readAnswers(
  client: EtcdClient,
  { keys, questions }: AnswersRead,
  signal: AbortSignal,
): Promise<readonly Look[]> {
  const asked = questions.map(({ state: { id }, key }) => ({ id, key }));
  const ranges = asked.flatMap(({ id, key }) => [prefixRange(acksPrefix(keys, id)), keyRange(key ?? keys.requests)]);
  const [first, ...others] = await listTogether(client, [prefixRange(keys.proxies), ...ranges], signal);
  const proxies = proxiesIn(keys, first as Listing);
  return asked.map(({ id, key }, index): Look => {
    const [acks, record] = others.slice(2 * index, 2 * index + 2) as [Listing, Listing];
    const recordRevision = key === null ? null : (record.entries.get(key)?.modRevision ?? null);
    return { id, proxies, acks: acksAmong(keys, keysIn(acks)), recordRevision };
  });
}

function keysIn({ entries }: Listing): readonly ChangedKey[] {
  return [...entries.values()].map((entry) => ({ key: entry.key, entry }));
}

/** The proxies in a list of all. */
export function proxiesIn(keys: FleetKeys, listing: Listing): readonly MemberChange[] {
  return proxiesAmong(keys, keysIn(listing));
}

/** The proxies among changed keys. */
export function proxiesAmong(keys: FleetKeys, changed: Iterable<ChangedKey>): readonly MemberChange[] {
  return membersAmong(changed, (key) => proxyOfKey(keys, key));
}

/** The acknowledgements among changed keys. */
export function acksAmong(keys: FleetKeys, changed: Iterable<ChangedKey>): readonly MemberChange[] {
  return membersAmong(changed, (key) => ackOfKey(keys, key)?.id);
}

/** The changes of the keys that have the id of a member. */
function membersAmong(
  changed: Iterable<ChangedKey>,
  idOf: (key: string) => string | undefined,
): readonly MemberChange[] {
  return [...changed].flatMap(({ key, entry }) => {
    const id = idOf(key);
    return id === undefined ? [] : [{ id, entry }];
  });
}
