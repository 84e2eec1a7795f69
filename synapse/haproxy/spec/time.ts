/** Milliseconds in each of HAProxy's units of time (configuration manual, section 2.5). */
const unitMs = { us: 0.001, ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A time as HAProxy reads it, in milliseconds, which is its default unit; undefined when it is none. */
export function readTimeMs(text: string): number | undefined {
  const [, digits, unit = 'ms'] = /^([0-9]{1,9})(us|ms|s|m|h|d)?$/.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits) * unitMs[unit as keyof typeof unitMs];
}
