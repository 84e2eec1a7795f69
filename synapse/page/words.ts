import { listed } from '../../common/wording.ts';

/** A rate in few characters: `0`, `0.4`, `12`, `1.5k`. */
export function formatRate(perSecond: number): string {
  if (perSecond >= 1000) return `${(perSecond / 1000).toFixed(1)}k`;
  return perSecond >= 10 || perSecond === 0 ? String(Math.round(perSecond)) : perSecond.toFixed(1);
}

/** The time of day of a moment (ISO 8601) in this browser's time zone: `14:03:59`. */
export function timeOfDay(iso: string): string {
  return new Date(iso).toTimeString().slice(0, 8);
}

/** A moment (milliseconds since 1970) in this browser's time zone, which it names: `14:03:59 GMT+0100`. */
export function timeWithZone(at: number): string {
  return new Date(at).toTimeString().slice(0, 17);
}

/** The time zone of this browser at a moment (milliseconds since 1970): `GMT+0100`. */
export function zoneOf(at: number): string {
  return new Date(at).toTimeString().slice(9, 17);
}

/** All names when there are four at most, else the first three and how many more there are. */
export function few(names: readonly string[]): string {
  return listed(names, names.length <= 4 ? 4 : 3);
}

/** What a failure says, in words. */
export function failureText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
