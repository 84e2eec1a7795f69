import type { HaproxyReport } from '../haproxy/status-shape.ts';

/** A server that was changed in HAProxy by hand. */
export type HeldServer = NonNullable<HaproxyReport['held']>[number];

/** What was set, for people: `weight 0`, `maintenance`. */
export function heldText({ held, weight }: HeldServer): string {
  return weight === undefined ? held : `${held} ${weight}`;
}

/** The shell command that ends it; undefined where an older synapse does not say it. */
export function undoCommand({ undo }: HeldServer, { sockets }: Pick<HaproxyReport, 'sockets'>): string | undefined {
  const [socket] = sockets;
  if (undo === undefined || socket === undefined) return undefined;
  return `echo '${undo}' | socat stdio ${socket.path}`;
}

/** The same as the end of a sentence; empty where there is none. */
export function undoText(server: HeldServer, haproxy: Pick<HaproxyReport, 'sockets'>): string {
  const command = undoCommand(server, haproxy);
  return command === undefined ? '' : `; end it with: ${command}`;
}
