import type { Health } from './status-shape.ts';

/**
 * The life of a running service:
 *
 * - `starting`: its health is not known yet. The service that it replaces, if any, stays in charge.
 * - `taking-over`: it is up and announced, but the registry has not confirmed that. The service that it replaces is no
 *   longer checked, and still visible.
 * - `announced`, `draining`: it is up, and visible with or without new connections.
 * - `withdrawn`: it is down.
 * - `stopping`: its checks have ended. It stays visible until its successor is.
 * - `retired`: its record is withdrawn, or belongs to another service now.
 */
export type ServiceState = 'starting' | 'taking-over' | 'announced' | 'draining' | 'withdrawn' | 'stopping' | 'retired';

/** What moves a service from one state to the next. */
export type ServiceEvent =
  | {
      readonly kind: 'changed';
      readonly health: Health;
      readonly drained: boolean;
      /** The service that it replaces is still visible. */
      readonly replacing: boolean;
    }
  | { readonly kind: 'stop' }
  | { readonly kind: 'retire' };

/** The state of a service after an event. */
export function nextServiceState(state: ServiceState, event: ServiceEvent): ServiceState {
  if (state === 'retired' || event.kind === 'retire') return 'retired';
  if (state === 'stopping' || event.kind === 'stop') return 'stopping';
  switch (event.health) {
    case 'unknown':
      return 'starting';
    case 'down':
      return 'withdrawn';
    case 'up':
      if (event.replacing) return 'taking-over';
      return event.drained ? 'draining' : 'announced';
  }
}
