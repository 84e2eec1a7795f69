import { adminFlags, type SimulatedServer } from './server.ts';
import type { SimulatedBackend, SimulatedWorker } from './worker.ts';

const stateColumns =
  'be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change ' +
  'srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id ' +
  'srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port';

/** HAProxy's answers on the runtime API (management guide, section 9.3), for the commands that synapse sends. */
export function answer(worker: SimulatedWorker, version: string, line: string, now: number): string {
  const [verb = '', ...words] = line.trim().split(/\s+/);
  switch (verb) {
    case 'prompt':
    case 'enable':
      return verb === 'enable' ? enable(worker, words) : '';
    case 'set':
      return set(worker, words);
    case 'add':
      return addServer(worker, words);
    case 'del':
      return deleteServer(worker, words);
    case 'wait':
      return wait(worker, words);
    case 'show':
      return show(worker, version, words, now);
    default:
      return 'Unknown command. Please enter one of the following commands only:\n  help\n';
  }
}

function show(worker: SimulatedWorker, version: string, [what, ...words]: readonly string[], now: number): string {
  switch (what) {
    case 'info':
      return [
        'Name: HAProxy',
        `Version: ${version}`,
        `Pid: ${worker.pid}`,
        `Uptime_sec: ${Math.floor((now - worker.startedAt) / 1_000)}`,
        `Stopping: ${worker.stopping ? 1 : 0}`,
        '',
      ].join('\n');
    case 'env': {
      const [name = ''] = words;
      const value = worker.config.environment.get(name);
      return value === undefined ? 'Variable not found\n' : `${name}=${value}\n`;
    }
    case 'servers':
      return serversState(worker, words[1]);
    case 'stat':
      return statistics(worker, words);
    default:
      throw new Error(`the simulated HAProxy does not know 'show ${what}'`);
  }
}

function serversState(worker: SimulatedWorker, only: string | undefined): string {
  if (only !== undefined && !worker.backends.has(only)) return "Can't find backend.\n";
  const rows: string[] = ['1', `# ${stateColumns}`];
  for (const backend of worker.backends.values()) {
    if (only !== undefined && backend.name !== only) continue;
    for (const server of backend.servers.values()) rows.push(stateRow(backend, server));
  }
  return `${rows.join('\n')}\n`;
}

function stateRow(backend: SimulatedBackend, server: SimulatedServer): string {
  const colon = server.address.lastIndexOf(':');
  const [host, port] = [server.address.slice(0, colon), server.address.slice(colon + 1)];
  const { id, name, operation, admin, weight, initialWeight } = server;
  return (
    `${backend.id} ${backend.name} ${id} ${name} ${host} ${operation} ${admin} ${weight} ${initialWeight} 1 ` +
    `6 3 4 6 0 0 0 - ${port} - 0 0 - - 0`
  );
}

/** The types of rows that `show stat` can be asked for (management guide, section 9.3). */
const rowTypes = { frontends: 1, backends: 2, servers: 4 };

function statistics(worker: SimulatedWorker, [proxyId, type, serverId]: readonly string[]): string {
  const rows = ['# pxname,svname,qcur,scur,iid,sid,mode,'];
  const has = (kind: number): boolean => (Number(type) & kind) !== 0;
  for (const backend of worker.backends.values()) {
    if (Number(proxyId) !== -1 && Number(proxyId) !== backend.id) continue;
    const { name, id, servers } = backend;
    const clients = [...worker.clients].filter((client) => client.backend === name).length;
    if (has(rowTypes.frontends)) rows.push(`${name},FRONTEND,,${clients},${id - 1},0,http,`);
    const sessions = [...servers.values()].reduce((total, server) => total + server.sessions, 0);
    if (has(rowTypes.backends)) rows.push(`${name},BACKEND,0,${sessions},${id},0,http,`);
    if (!has(rowTypes.servers)) continue;
    for (const server of servers.values()) {
      if (Number(serverId) !== -1 && Number(serverId) !== server.id) continue;
      rows.push(`${name},${server.name},0,${server.sessions},${id},${server.id},http,`);
    }
  }
  return `${rows.join('\n')}\n`;
}

/** A worker that finishes refuses to change its servers; it still takes new ones. */
const disabled = 'Proxy is disabled.\n';

function find(worker: SimulatedWorker, target: string | undefined): SimulatedServer | string {
  const slash = target?.indexOf('/') ?? -1;
  const backend = worker.backends.get(target?.slice(0, slash) ?? '');
  if (backend === undefined) return 'No such backend.\n';
  return backend.servers.get(target?.slice(slash + 1) ?? '') ?? 'No such server.\n';
}

function set(worker: SimulatedWorker, words: readonly string[]): string {
  if (words[0] === 'timeout') return '';
  const [target, what, value] =
    words[0] === 'maxconn' ? [words[2], 'maxconn', words[3]] : [words[1], words[2], words[3]];
  if (worker.stopping) return disabled;
  const server = find(worker, target);
  if (typeof server === 'string') return server;
  if (what === 'state' && value === 'ready') {
    if (server.inMaintenance && server.checking) server.healthy = true;
    server.admin &= adminFlags.configuredMaintenance;
  } else if (what === 'state' && value === 'drain') {
    server.admin = (server.admin & adminFlags.configuredMaintenance) | adminFlags.forcedDrain;
  } else if (what === 'state' && value === 'maint') {
    server.admin = (server.admin & adminFlags.configuredMaintenance) | adminFlags.forcedMaintenance;
  } else if (what === 'weight') server.weight = weightOf(server, value ?? '');
  else if (what === 'health' && value === 'down') server.forceDown();
  else if (what !== 'maxconn') throw new Error(`the simulated HAProxy does not know 'set ${words.join(' ')}'`);
  return '';
}

/** A weight, or a share of the first one: `50%`. */
function weightOf({ initialWeight }: SimulatedServer, value: string): number {
  return value.endsWith('%') ? Math.round((initialWeight * Number.parseInt(value, 10)) / 100) : Number(value);
}

function enable(worker: SimulatedWorker, [what, target]: readonly string[]): string {
  if (worker.stopping) return disabled;
  const server = find(worker, target);
  if (typeof server === 'string') return server;
  if (what === 'health') server.checking = server.checked;
  return '';
}

function addServer(worker: SimulatedWorker, [, target = '', address = '', ...words]: readonly string[]): string {
  const slash = target.indexOf('/');
  const [backendName, name] = [target.slice(0, slash), target.slice(slash + 1)];
  const backend = worker.backends.get(backendName);
  if (backend === undefined) return 'No such backend.\n';
  if (!backend.dynamic) return 'Backend must use a dynamic load balancing to support dynamic servers.\n';
  if (backend.servers.has(name)) return 'Already exists a server with the same name in backend.\n';
  const at = words.indexOf('id');
  const id = at < 0 ? undefined : Number(words[at + 1]);
  if ([...backend.servers.values()].some((server) => server.id === id)) {
    return `'server' : custom id ${id} already used.\n`;
  }
  worker.add(backend, name, address, words, true);
  return 'New server registered.\n';
}

function deleteServer(worker: SimulatedWorker, [, target = '']: readonly string[]): string {
  const server = find(worker, target);
  if (typeof server === 'string') return server;
  if (!server.inMaintenance) return 'Only servers in maintenance mode can be deleted.\n';
  if (server.sessions > 0) return 'Server still has connections attached to it, cannot remove it.\n';
  worker.backends.get(target.slice(0, target.indexOf('/')))?.servers.delete(server.name);
  return 'Server deleted.\n';
}

function wait(worker: SimulatedWorker, words: readonly string[]): string {
  const server = find(worker, words[2]);
  if (typeof server === 'string') return server;
  return server.inMaintenance && server.sessions === 0 ? 'Done.\n' : 'Wait delay expired.\n';
}
