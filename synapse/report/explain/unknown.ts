import { nearest } from '../../../common/config/schema.ts';
import { listed } from '../../../common/wording.ts';
import { instancesOf, type ServiceFacts } from './facts.ts';

/** How many names are given where none is near. */
const shown = 5;

/** What to say of a server that none of those who could be asked knows: who they were, and which ones there are. */
export function unknownServer(facts: ServiceFacts, server: string): string {
  const { service, daemon, registry, seen } = facts;
  const whole = daemon.running && registry.records !== null && seen.servers !== null;
  const known = whole
    ? 'no source announces it, and neither synapse nor HAProxy knows it'
    : [
        registry.records === null ? `etcd: ${registry.reason}` : 'no source announces it',
        daemon.running ? 'synapse does not know it' : 'synapse is not running',
        seen.servers === null ? `HAProxy: ${seen.reason ?? 'does not have the service'}` : 'HAProxy does not have it',
      ].join('; ');
  return `${service} has no ${server}${whole ? '' : ', as far as could be asked'}: ${known}; ${others(facts, server)}`;
}

function others(facts: ServiceFacts, server: string): string {
  const ids = instancesOf(facts).map(({ id }) => id);
  const alike = ids.filter((id) => id.includes(server));
  // The name that its nerve or its host has is the beginning of the server's.
  const near = alike.length === 1 ? alike[0] : alike.length > 1 ? undefined : nearest(server, ids);
  if (near !== undefined) return `did you mean ${near}?`;
  const names = alike.length > 1 ? alike : ids;
  return names.length === 0 ? 'there is none' : `there are ${listed(names, shown)}`;
}
