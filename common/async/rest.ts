/** How long a job that runs again and again rests between two runs. */
export interface Rest {
  readonly leastMs: number;
  /** After a run that took long, the rest is this multiple of its duration: 100 for a job that may take 1 % of the time. */
  readonly factor: number;
  /** A run may also take long because it waited, such as for a reply that did not come: no rest is longer than this. */
  readonly mostMs: number;
}

/** The rest after a run that took `tookMs`, in milliseconds. Pure. */
export function restMs({ leastMs, factor, mostMs }: Rest, tookMs: number): number {
  return Math.min(mostMs, Math.max(leastMs, tookMs * factor));
}
