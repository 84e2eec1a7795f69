import { nearest } from '../../../common/nearest.ts';
import { listed } from '../../../common/wording.ts';
import { instancesOf, type ServiceFacts } from './facts.ts';

/** Names that are listed when none is similar. */
const maxListed = 5;

/** The message about a server that is not known: what was asked, and which servers there are. */
export function unknownServer(facts: ServiceFacts, server: string): string {
  const { service, daemon, registry, seen } = facts;
  const complete = daemon.running && registry.records !== null && seen.servers !== null;
  const known = complete
    ? 'no source announces it, and neither synapse nor HAProxy knows it'
    : [
        registry.records === null ? `etcd: ${registry.reason}` : 'no source announces it',
        daemon.running ? 'synapse does not know it' : 'synapse is not running',
        seen.servers === null ? `HAProxy: ${seen.reason ?? 'does not have the service'}` : 'HAProxy does not have it',
      ].join('; ');
  const doubt = complete ? '' : ', as far as is known';
  return `${service} has no server ${server}${doubt}: ${known}; ${suggestion(facts, server)}`;
}

function suggestion(facts: ServiceFacts, server: string): string {
  const ids = instancesOf(facts).map(({ id }) => id);
  // The name of its nerve or of its host is a part of the server's name.
  const similar = ids.filter((id) => id.includes(server));
  const near = similar.length === 1 ? similar[0] : similar.length > 1 ? undefined : nearest(server, ids);
  if (near !== undefined) return `did you mean ${near}?`;
  const names = similar.length > 1 ? similar : ids;
  return names.length === 0 ? 'it has no servers' : `its servers are ${listed(names, maxListed)}`;
}
