import type { RuntimeConnection } from './connection.ts';

/** Where synapse stands with one HAProxy process. */
export type ProcessState =
  /** No connection: one is being opened, or a pause before the next try. `reason`: why the last one failed. */
  | { readonly name: 'connecting'; readonly reason: string | null }
  /** Connected, but what runs is not known yet. */
  | { readonly name: 'reading'; readonly connection: RuntimeConnection; readonly reason: string | null }
  /** What runs is known: commands are being sent. */
  | { readonly name: 'in sync'; readonly connection: RuntimeConnection }
  /** We closed the connection, because it may lead to an old worker. The next one follows at once. */
  | { readonly name: 'released'; readonly reason: string | null };

/** What moves a {@link ProcessState}. */
export type ProcessEvent =
  | { readonly type: 'connected'; readonly connection: RuntimeConnection }
  | { readonly type: 'read' }
  | { readonly type: 'released' }
  /** The connection is over; `failed` follows if that was a failure. */
  | { readonly type: 'closed' }
  | { readonly type: 'failed'; readonly reason: string };

/** The state before the first connection. */
export const notConnected: ProcessState = { name: 'connecting', reason: null };

/** Why the last connection failed; null while there is nothing to say. */
export function reasonOfState(state: ProcessState): string | null {
  return state.name === 'in sync' ? null : state.reason;
}

/** The connection, once there is one. */
export function connectionOf(state: ProcessState): RuntimeConnection | undefined {
  return state.name === 'reading' || state.name === 'in sync' ? state.connection : undefined;
}

/** The state after an event. Events that do not fit change nothing. Pure. */
export function nextState(state: ProcessState, event: ProcessEvent): ProcessState {
  switch (event.type) {
    case 'connected':
      return { name: 'reading', connection: event.connection, reason: reasonOfState(state) };
    case 'read':
      return state.name === 'reading' ? { name: 'in sync', connection: state.connection } : state;
    case 'released':
      return connectionOf(state) === undefined ? state : { name: 'released', reason: reasonOfState(state) };
    case 'closed':
      return { name: 'connecting', reason: reasonOfState(state) };
    case 'failed':
      return { name: 'connecting', reason: event.reason };
  }
}
