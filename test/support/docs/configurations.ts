import { isObject } from '../../../common/config/formats.ts';

/** A configuration in a page, or a part of one. */
export type Value = Readonly<Record<string, unknown>>;

/** What makes a part of a configuration of nerve a whole one. */
export const nerveBase: Value = { services: { api: { host: '10.0.0.5', port: 3000 } } };
/** What makes a part of a configuration of synapse a whole one. */
export const synapseBase = {
  services: { api: { discovery: { method: 'etcd' }, haproxy: { port: 50003, listen: ['mode http'] } } },
  haproxy: {
    global: [],
    defaults: ['mode http', 'timeout connect 2s', 'timeout client 1m', 'timeout server 1m'],
    config_file_path: '/etc/haproxy/haproxy.cfg',
    socket_file_path: '/var/run/haproxy/admin.sock',
    master_socket_path: '/var/run/haproxy/master.sock',
  },
} as const;

/** The daemons whose configuration this is, or a part of it. */
export function programsOf(value: Value): readonly ('nerve' | 'synapse')[] {
  const services = Object.values(isObject(value.services) ? value.services : {});
  if (services.some((service) => isObject(service) && 'discovery' in service)) return ['synapse'];
  if ('haproxy' in value || 'file_output' in value) return ['synapse'];
  if (services.length > 0 || 'shutdown' in value || 'instance_id' in value) return ['nerve'];
  return ['nerve', 'synapse'];
}

/** The whole configuration of which a page shows this part. */
export function wholeOf(program: 'nerve' | 'synapse', value: Value): Value {
  if (program === 'nerve') return { ...nerveBase, ...value };
  return { ...synapseBase, ...value, haproxy: { ...synapseBase.haproxy, ...(value.haproxy as Value | undefined) } };
}
