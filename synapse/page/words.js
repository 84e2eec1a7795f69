/** @param {number} value */
export function rate(value) {
  if (value >= 1000) return `${(value / 1000).toFixed(1)}k`;
  return value >= 10 || value === 0 ? String(Math.round(value)) : value.toFixed(1);
}

/**
 * How long ago, in one unit.
 * @param {number} milliseconds
 */
export function ago(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

/**
 * @param {number} count
 * @param {string} what
 */
export function plural(count, what) {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/**
 * The first few of a list.
 * @param {readonly string[]} names
 */
export function few(names) {
  return names.length <= 4 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`;
}

/**
 * The time of day, as clocks on this machine show it.
 * @param {string} iso
 */
export function clock(iso) {
  return new Date(iso).toTimeString().slice(0, 8);
}
