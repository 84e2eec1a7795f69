/* How often HAProxy is read while requests to the fleet are open. All times in milliseconds. */

/** The wait between two rounds while every request has its acknowledgement, and none of them may stop being true unnoticed. */
export const settledPauseMs = 250;

/** The wait without an event, as a share of the time for which the oldest open request has waited: 2 %. */
const share = 1 / 50;
const least = 4;
const most = 80;
/** A request that is so old is about a long connection. */
const slow = { afterMs: 60_000, pauseMs: 500 } as const;
/** The wait as a multiple of the time that reading took: at first a third of the time may be spent on it, later a tenth. */
const reading = { factor: 2, calmAfterMs: 5_000, calmFactor: 9, mostMs: 250 } as const;

/**
 * The wait between two rounds without an event. So the end of a connection is noticed within 2 % of the time that it took, unless
 * HAProxy takes long to be read. `waitedMs`: how long the oldest open request has waited; `tookMs`: how long reading took.
 */
export function pauseMs({ waitedMs, tookMs }: { readonly waitedMs: number; readonly tookMs: number }): number {
  const wantedMs = waitedMs > slow.afterMs ? slow.pauseMs : Math.min(most, Math.max(least, waitedMs * share));
  const factor = waitedMs > reading.calmAfterMs ? reading.calmFactor : reading.factor;
  return Math.max(wantedMs, Math.min(tookMs * factor, reading.mostMs));
}

/** The rest after each round, however many events there are: at most two thirds of the time are spent on reading. */
export function restAfterMs(tookMs: number): number {
  return Math.min(tookMs / 2, most);
}
