import { Journal } from '../../common/daemon/journal.ts';
import { firstOf } from '../../common/wording.ts';
import type { SynapseEvent } from './event-shape.ts';

/** Services that one event names. */
const maxNamed = 10;

/** The field that names the services of an event; none when the event is about no service in particular. */
export function about(services: readonly string[]): Pick<SynapseEvent, 'service' | 'services'> {
  const [only] = services;
  if (only === undefined) return {};
  if (services.length === 1) return { service: only };
  return { services: firstOf(services, maxNamed) };
}

/** The latest events of one synapse. */
export class Events extends Journal<SynapseEvent> {}
