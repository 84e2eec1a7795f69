import type { Schema } from '../../common/config/config.ts';
import { nameServers } from '../../common/config/json-values.ts';
import { readNameServers } from '../../common/net/name-servers.ts';

/** The top-level section `dns`: how the host names of instances are looked up. */
export interface DnsConfig {
  readonly nameserver: readonly string[];
  readonly timeout: number;
  readonly prefer: 'ipv4' | 'ipv6';
}

/** Its schema. */
export const dnsSchema: Schema<DnsConfig> = {
  nameserver: {
    doc: 'Name servers that look up the host names of instances, ADDRESS or ADDRESS:PORT; default those of /etc/resolv.conf.',
    format: readNameServers,
    json: nameServers,
    type: 'list',
    default: [],
  },
  timeout: { doc: 'How long one lookup may take.', format: 'positive-duration', default: 3_000 },
  prefer: {
    doc: 'Addresses to use of a host name that has both kinds: ipv4 or ipv6.',
    format: ['ipv4', 'ipv6'],
    default: 'ipv4',
  },
};
