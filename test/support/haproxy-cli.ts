import { haproxyCommand } from '../../deploy/demo/haproxy.ts';

/** One server as HAProxy reports it (`show servers state`, management guide section 9.3). */
export interface ServerRow {
  readonly backend: string;
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** Bit mask of administrative states; 0 is ready. */
  readonly admin: number;
  readonly weight: number;
}

const maintenance = 0x01 | 0x02 | 0x20;
const drain = 0x08 | 0x10;

/** What an operator would call it. */
export function adminState(row: ServerRow): 'ready' | 'drain' | 'maintenance' {
  if ((row.admin & maintenance) !== 0) return 'maintenance';
  return (row.admin & drain) !== 0 ? 'drain' : 'ready';
}

/** All servers of all backends, or of one. */
export async function readServers(socketPath: string, backend?: string): Promise<readonly ServerRow[]> {
  const reply = await haproxyCommand(socketPath, 'show servers state');
  const lines = reply.split('\n');
  const columns = (lines.find((line) => line.startsWith('#')) ?? '').slice(2).split(' ');
  const rows = lines
    .slice(2)
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const cells = line.split(' ');
      const cell = (name: string): string => cells[columns.indexOf(name)] ?? '';
      return {
        backend: cell('be_name'),
        name: cell('srv_name'),
        address: cell('srv_addr'),
        port: Number(cell('srv_port')),
        admin: Number(cell('srv_admin_state')),
        weight: Number(cell('srv_uweight')),
      };
    });
  return backend === undefined ? rows : rows.filter((row) => row.backend === backend);
}

/** The names of a backend's servers that take new connections, sorted. */
export async function readyServers(socketPath: string, backend: string): Promise<readonly string[]> {
  const rows = await readServers(socketPath, backend);
  return rows
    .filter((row) => adminState(row) === 'ready')
    .map((row) => row.name)
    .sort();
}
