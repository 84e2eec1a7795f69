/** How numbers, lists and times read in sentences. Pure: the live page uses it too. */

/** A number with its noun: `1 service`, `2 services`; an irregular plural is given. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}

/** The first `most` items, then how many more there are: `['a', 'b', 'and 3 more']`. */
export function firstOf(items: readonly string[], most: number): readonly string[] {
  return items.length > most ? [...items.slice(0, most), `and ${items.length - most} more`] : items;
}

/** The first `most` names in a sentence: `a, b and 3 more`. `total`: how many there are, when `names` are the first of them. */
export function listed(names: readonly string[], most = 3, total: number = names.length): string {
  const shown = names.slice(0, most);
  const more = total - shown.length;
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ');
}

/** A time span in one unit, as people say it: `12 s`, `5 min`, `3 h`, `2 d`. Milliseconds; never negative. */
export function formatAge(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

/** The age of a moment in ISO 8601; empty for null. `now` in milliseconds since 1970. */
export function ageOf(time: string | null, now: number): string {
  return time === null ? '' : formatAge(now - Date.parse(time));
}

/** A latency with one decimal at most: `0.4 ms`, `12 ms`, `1550 ms`, `14 s`. Milliseconds; never negative. */
export function formatLatency(milliseconds: number): string {
  const time = Math.max(0, milliseconds);
  if (time >= 10_000) return formatAge(time);
  return `${time >= 10 ? Math.round(time) : Math.round(time * 10) / 10} ms`;
}

/** Milliseconds in each unit of a duration in the configuration. */
export const durationUnits = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A duration in milliseconds as the configuration writes it, in the largest unit that divides it: `500ms`, `2s`, `90s`. */
export function formatDuration(milliseconds: number): string {
  const whole = Math.round(milliseconds);
  const unit = (['d', 'h', 'm', 's'] as const).find((name) => whole !== 0 && whole % durationUnits[name] === 0) ?? 'ms';
  return `${whole / durationUnits[unit]}${unit}`;
}

/** A value in a message: JSON in one line of at most 80 characters. Masks nothing: see `show` in `config/secrets.ts`. */
export function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
