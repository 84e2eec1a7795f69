/** How numbers, lists and times read in sentences. Pure: the live page uses it too. */

/** A number with its noun: `1 service`, `2 services`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** The first `most` items, then how many more there are: `['a', 'b', 'and 3 more']`. */
export function firstOf(items: readonly string[], most: number): readonly string[] {
  return items.length > most ? [...items.slice(0, most), `and ${items.length - most} more`] : items;
}

/** The first `most` names in a sentence: `a, b and 3 more`. */
export function listed(names: readonly string[], most = 3): string {
  const more = names.length - most;
  return more > 0 ? `${names.slice(0, most).join(', ')} and ${more} more` : names.join(', ');
}

/** A time span in one unit, as people say it: `12 s`, `5 min`, `3 h`, `2 d`. Milliseconds; never negative. */
export function formatAge(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

/** A latency with one decimal at most: `0.4 ms`, `12 ms`, `1.5 s`. Milliseconds; never negative. */
export function formatLatency(milliseconds: number): string {
  const time = Math.max(0, milliseconds);
  if (time >= 10_000) return formatAge(time);
  if (time >= 1_000) return `${tenths(time / 1000)} s`;
  return `${time >= 10 ? Math.round(time) : tenths(time)} ms`;
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}
