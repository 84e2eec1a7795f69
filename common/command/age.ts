/** A time span in one unit, as people say it: `12 s`, `5 min`, `3 h`, `2 d`. Milliseconds; never less than nothing. */
export function formatAge(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

/** The same of a moment, ISO 8601; empty when there was none. */
export function ageOf(time: string | null, now: number): string {
  return time === null ? '' : formatAge(now - Date.parse(time));
}
