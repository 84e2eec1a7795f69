import { isIP } from 'node:net';
import { type Instance, instanceId } from '../../common/instance.ts';
import { withPort } from '../catalog/port-override.ts';
import type { ServerNames } from '../haproxy/find-servers.ts';

/** The names that a server of this instance may have. One with a host name is named by its address, which may change. */
export function namesOf(instance: Instance, portOverride: number | undefined): ServerNames {
  const { id, name, host, port } = portOverride === undefined ? instance : withPort(instance, portOverride);
  if (isIP(host) !== 0) return { exact: id };
  const own = name || host.replace(/\.$/, '');
  return { like: (server) => server === id || isPlaced(server, port, (prefix) => prefix === own) };
}

/**
 * The names that a server may have whose record is gone: nerve's keys end in the id of the instance. Where the key says
 * nothing, any server may be meant.
 */
export function namesOfKey(key: string, portOverride: number | undefined): ServerNames {
  const id = key.slice(key.lastIndexOf('/') + 1);
  const [, before, found] = /^(.+):(\d{1,5})$/.exec(id) ?? [];
  if (before === undefined || found === undefined) return { like: () => true };
  const port = portOverride ?? Number(found);
  // `name_host`, or `host` alone. The last underscore is before an address; a host name may have some of its own.
  const host = before.slice(before.lastIndexOf('_') + 1);
  if (isIP(host) !== 0) return { exact: instanceId(before.slice(0, -host.length - 1), host, port) };
  const exact = `${before}:${port}`;
  return {
    like: (server) =>
      server === exact || isPlaced(server, port, (own) => before === own || before.startsWith(`${own}_`)),
  };
}

/** True for the server of an instance with a host name: what stands before its address is the instance's own. */
function isPlaced(server: string, port: number, isOwn: (prefix: string) => boolean): boolean {
  const [, prefix, address = '', itsPort] = /^(.+)_([^_]+):([0-9]+)$/.exec(server) ?? [];
  return prefix !== undefined && isIP(address) !== 0 && Number(itsPort) === port && isOwn(prefix.replace(/\.$/, ''));
}
