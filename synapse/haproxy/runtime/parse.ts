/** One row of `show servers state` (management guide, section 9.3). */
export interface ServerRow {
  readonly backend: string;
  /** The backend's number: a frontend may have its name. */
  readonly backendId: number;
  readonly name: string;
  readonly id: number;
  /** `host:port`; the host name where there is one. */
  readonly address: string;
  /** SRV_ADMF_FMAINT: put into maintenance by command, or `disabled` in the file. */
  readonly maintenance: boolean;
  /** SRV_ADMF_FDRAIN: drained by command. */
  readonly drained: boolean;
  /** Out of service (SRV_ST_STOPPED) although nobody wants it so: HAProxy's own check has failed. */
  readonly failing: boolean;
  /** The weight in force. */
  readonly weight: number;
  /** The weight it started with. */
  readonly initialWeight: number;
}

/** What `show info` says about the process behind a socket. */
export interface ProcessInfo {
  readonly version: string;
  readonly pid: number;
  /** It has been told to finish: another worker has taken over. */
  readonly stopping: boolean;
  /** Seconds since it started. */
  readonly uptime: number;
}

const forcedMaintenance = 0x01;
/** `disabled` in the file: the flag stays when the server is enabled. */
const configuredMaintenance = 0x04;
const forcedDrain = 0x08;

/**
 * Reads the reply of `show servers state`. Columns are found by their header, which differs between versions.
 * @throws when it is not such a reply
 */
export function parseServersState(reply: string): readonly ServerRow[] {
  const lines = reply.split('\n');
  const header = lines.findIndex((line) => line.startsWith('# '));
  if (header < 0) throw new Error(`show servers state answered ${JSON.stringify(reply.slice(0, 100))}`);
  const titles = (lines[header] as string).slice(2).trim().split(' ');
  const column = (title: string): number => {
    const index = titles.indexOf(title);
    if (index < 0) throw new Error(`show servers state has no column ${title}`);
    return index;
  };
  const [backend, backendId, id, name, host, operation, admin, weight, initialWeight, fqdn, port] = [
    'be_name',
    'be_id',
    'srv_id',
    'srv_name',
    'srv_addr',
    'srv_op_state',
    'srv_admin_state',
    'srv_uweight',
    'srv_iweight',
    'srv_fqdn',
    'srv_port',
  ].map(column) as [number, number, number, number, number, number, number, number, number, number, number];
  const rows: ServerRow[] = [];
  for (let index = header + 1; index < lines.length; index++) {
    const cells = (lines[index] as string).split(' ');
    if (cells.length < titles.length) continue;
    const flags = Number(cells[admin]);
    rows.push({
      backend: cells[backend] as string,
      backendId: Number(cells[backendId]),
      name: cells[name] as string,
      id: Number(cells[id]),
      address: `${cells[fqdn] === '-' ? cells[host] : cells[fqdn]}:${cells[port]}`,
      maintenance: (flags & forcedMaintenance) !== 0,
      drained: (flags & forcedDrain) !== 0,
      failing: cells[operation] === '0' && (flags & ~configuredMaintenance) === 0,
      weight: Number(cells[weight]),
      initialWeight: Number(cells[initialWeight]),
    });
  }
  return rows;
}

/**
 * Reads the reply of `show info`.
 * @throws when it names no pid or version
 */
export function parseInfo(reply: string): ProcessInfo {
  const value = (key: string): string | undefined => new RegExp(`^${key}: (.*)$`, 'm').exec(reply)?.[1]?.trim();
  const version = value('Version');
  const pid = Number(value('Pid'));
  if (version === undefined || !Number.isInteger(pid)) {
    throw new Error(`show info answered ${JSON.stringify(reply.slice(0, 100))}`);
  }
  return { version, pid, stopping: value('Stopping') === '1', uptime: Number(value('Uptime_sec') ?? 0) };
}

/**
 * Reads how many requests or connections a server has or has waiting, from the reply of `show stat BACKEND-ID 4 ID`;
 * undefined when it is not about this server. (`show servers conn` counts nothing in TCP mode before 3.4.)
 */
export function parseSessions(reply: string, name: string): number | undefined {
  const lines = reply.split('\n');
  const titles =
    lines
      .find((line) => line.startsWith('# '))
      ?.slice(2)
      .split(',') ?? [];
  const cells = lines.map((line) => line.split(',')).find((row) => row[titles.indexOf('svname')] === name);
  const [waiting, current] = [cells?.[titles.indexOf('qcur')], cells?.[titles.indexOf('scur')]];
  return current === undefined || current === '' ? undefined : Number(current) + Number(waiting ?? 0);
}

/** Reads the reply of `show env NAME`; undefined when the variable is not set. */
export function parseEnv(reply: string, name: string): string | undefined {
  return reply
    .split('\n')
    .find((line) => line.startsWith(`${name}=`))
    ?.slice(name.length + 1)
    .trim();
}
