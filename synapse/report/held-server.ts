import type { HaproxyReport } from '../haproxy/status-shape.ts';

/** A server that was changed in HAProxy by hand. */
export type HeldServer = NonNullable<HaproxyReport['held']>[number];

/** What was set, for people: `weight 0`, `maintenance`. */
export function heldText({ held, weight }: HeldServer): string {
  return weight === undefined ? held : `${held} ${weight}`;
}

/** The shell command that ends it, as the end of a sentence; empty where an older synapse does not say it. */
export function undoText({ undo }: HeldServer, { sockets }: Pick<HaproxyReport, 'sockets'>): string {
  const [socket] = sockets;
  if (undo === undefined || socket === undefined) return '';
  return `; end it with: echo '${undo}' | socat stdio ${socket.path}`;
}
