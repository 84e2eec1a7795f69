import type { HaproxyEvent } from '../haproxy/events.ts';
import type { SynapseEvent } from './event-shape.ts';
import { about, type Events } from './events.ts';

/** Records what HAProxy's output reports. */
export function recordHaproxy(events: Events): (event: HaproxyEvent) => void {
  return (event) => void events.record(recordOf(event));
}

function recordOf(event: HaproxyEvent): SynapseEvent {
  switch (event.type) {
    case 'synced': {
      const { socket, pid, commands } = event;
      return { kind: 'haproxy_connected', level: 'info', socket, pid, commands };
    }
    case 'lost':
      return { kind: 'haproxy_lost', level: 'error', socket: event.socket, reason: event.reason };
    case 'written':
      return { kind: 'file_written', level: 'info', bytes: event.bytes };
    case 'rejected':
      return { kind: 'haproxy_refused', level: 'error', ...about(event.services), reason: event.reason };
    case 'reloading':
      return { kind: 'reload_begun', level: 'info', reasons: event.reasons };
    case 'reloaded': {
      const { reasons, milliseconds } = event;
      return { kind: 'reload_done', level: 'info', reasons, milliseconds };
    }
    case 'reload-failed': {
      const { reasons, reason } = event;
      return { kind: 'reload_failed', level: 'error', reasons, reason };
    }
  }
}
