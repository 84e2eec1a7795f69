import { connect } from 'node:net';

/** Sends one command to HAProxy's runtime API on a connection of its own, as `socat` would. */
export function haproxyCommand(socketPath: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    let reply = '';
    socket.setTimeout(5_000, () => socket.destroy(new Error(`no reply to ${command} within 5 s`)));
    socket.once('error', reject);
    socket.on('data', (chunk) => {
      reply += chunk.toString();
    });
    socket.once('end', () => resolve(reply));
    socket.write(`${command}\n`);
  });
}

/** The process id of the worker that answers: it changes with every reload. */
export async function workerPid(socketPath: string): Promise<number> {
  return Number(/^Pid: (\d+)$/m.exec(await haproxyCommand(socketPath, 'show info'))?.[1]);
}

/** A server as HAProxy's runtime API shows it. */
export interface HaproxyServer {
  readonly backend: string;
  readonly name: string;
  readonly state: 'ready' | 'drain' | 'maintenance';
  readonly weight: number;
}

/** Administrative states of `show servers state` (management guide, section 9.3), which are bit masks. */
const maintenance = 0x01 | 0x02 | 0x20;
const drain = 0x08 | 0x10;

/** The servers of all backends. */
export async function readServers(socketPath: string): Promise<readonly HaproxyServer[]> {
  return parseServers(await haproxyCommand(socketPath, 'show servers state'));
}

/** The servers in the reply to `show servers state`. */
export function parseServers(reply: string): readonly HaproxyServer[] {
  const lines = reply.split('\n');
  const columns = (lines.find((line) => line.startsWith('#')) ?? '').slice(2).split(' ');
  const rows = lines.slice(2).filter((line) => line.trim() !== '');
  return rows.map((row) => {
    const cells = row.split(' ');
    const cell = (name: string): string => cells[columns.indexOf(name)] ?? '';
    const admin = Number(cell('srv_admin_state'));
    return {
      backend: cell('be_name'),
      name: cell('srv_name'),
      state: (admin & maintenance) !== 0 ? 'maintenance' : (admin & drain) !== 0 ? 'drain' : 'ready',
      weight: Number(cell('srv_uweight')),
    };
  });
}

/** The names of a backend's servers that take new connections, sorted. */
export async function readyServers(socketPath: string, backend: string): Promise<readonly string[]> {
  const servers = await readServers(socketPath);
  return servers
    .filter((server) => server.backend === backend && server.state === 'ready')
    .map(({ name }) => name)
    .sort();
}
