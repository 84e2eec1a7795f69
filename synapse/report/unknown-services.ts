import { listed } from '../../common/wording.ts';
import type { Snapshot } from '../output.ts';

/** Why nothing is known about some services; null when there are none of those. */
export function unknownReason(snapshot: Snapshot): string | null {
  const unknown = [...snapshot.values()].filter(({ instances }) => instances === undefined);
  if (unknown.length === 0) return null;
  const names = listed(
    unknown.map(({ name }) => name),
    5,
  );
  const sources = unknown.length === 1 ? 'its source has' : 'their sources have';
  return `nothing is known about ${names}: ${sources} not answered, and the state file has no entry`;
}
