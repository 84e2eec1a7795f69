import { type Fields, field, optional } from '../../common/cli/json-shape.ts';

/** One instance in a JSON document. */
export const instanceShape = {
  fields: {
    id: field('text', 'unique within the service; also the name of the server in HAProxy'),
    name: field('text', 'instance_id of the nerve that announces it; empty when the source gives no name'),
    host: field('text', 'IP address'),
    hostName: optional('text', 'host name in its record, which has this address'),
    port: field('number', '1 to 65535'),
    state: field({ oneOf: ['up', 'drain', 'down'] }, 'up, drain or down'),
    backup: field('boolean', 'true when it takes traffic only while no other instance can'),
    weight: optional('number', 'relative share of traffic, 0 to 256'),
    labels: optional({ by: 'LABEL', of: 'text' }, 'labels from its announcement'),
    serverOptions: optional('text', 'HAProxy server options from its announcement'),
    dropped: optional({ list: 'text' }, 'why fields of its announcement are not used'),
  },
} satisfies Fields;
