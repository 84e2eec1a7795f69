import type { HaproxyEvent } from '../haproxy/events.ts';
import { about, type Events } from './events.ts';

/** Writes down what HAProxy's output tells. */
export function recordHaproxy(events: Events): (event: HaproxyEvent) => void {
  return (event) => {
    switch (event.type) {
      case 'synced': {
        const { socket, pid, commands } = event;
        return void events.record({ kind: 'haproxy_connected', level: 'info', socket, pid, commands });
      }
      case 'lost':
        return void events.record({ kind: 'haproxy_lost', level: 'error', socket: event.socket, reason: event.reason });
      case 'written':
        return void events.record({ kind: 'file_written', level: 'info', bytes: event.bytes });
      case 'rejected':
        return void events.record({
          kind: 'haproxy_refused',
          level: 'error',
          ...about(event.services),
          reason: event.reason,
        });
      case 'reloading':
        return void events.record({ kind: 'reload_begun', level: 'info', reasons: event.reasons });
      case 'reloaded': {
        const { reasons, milliseconds } = event;
        return void events.record({ kind: 'reload_done', level: 'info', reasons, milliseconds });
      }
      case 'reload-failed': {
        const { reasons, reason } = event;
        return void events.record({ kind: 'reload_failed', level: 'error', reasons, reason });
      }
    }
  };
}
