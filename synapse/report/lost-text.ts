import type { Look, LostInstance } from '../catalog/lost-instance.ts';

/** A lease as `etcdctl lease` prints it; what stands for one is text already. */
export function leaseText(lease: string): string {
  return /^\d+$/.test(lease) ? BigInt(lease).toString(16) : lease;
}

const answers = { answers: 'it answers', refused: 'it refuses connections', silent: 'it does not answer' } as const;

/** What the last look said. */
export function lookText(look: Look | null): string {
  if (look === null) return 'not looked yet';
  const { answer, isBlind, server } = look;
  const own = isBlind ? 'looks from this host are blind' : answers[answer];
  return server === 'unknown' ? own : `${own}, HAProxy's own check says ${server.toUpperCase()}`;
}

/** What ends it, next to a new announcement, a farewell, and another announcement of its address. */
export function endsText({ phase, backAt }: LostInstance): string {
  if (phase === 'looking') return 'the first look';
  if (phase === 'held') return 'the end of expiry_hold, unless a wave of lost leases follows';
  const last = backAt === null ? 'the end of expiry_guard_time' : 'its nerve, which is back and does not announce it';
  return `two failed looks in a row, DOWN in HAProxy, or ${last}`;
}
