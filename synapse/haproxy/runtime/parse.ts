import { ownText } from '../../../common/own-text.ts';

/** One server in `show servers state` (management guide, section 9.3). */
export interface ServerRow {
  readonly backend: string;
  /** HAProxy's number for the backend; a frontend may have the backend's name. */
  readonly backendId: number;
  readonly name: string;
  readonly id: number;
  /** `host:port`, with the host name if the server was given one. */
  readonly address: string;
  /** `host:port` with the IP address that HAProxy found for the host name. */
  readonly resolved?: string;
  /** Put into maintenance by command, or `disabled` in the file (SRV_ADMF_FMAINT). */
  readonly maintenance: boolean;
  /** Drained by command (SRV_ADMF_FDRAIN). */
  readonly drained: boolean;
  /** Out of service (SRV_ST_STOPPED) because HAProxy's own check has failed. */
  readonly failing: boolean;
  /** HAProxy sends it nothing, whatever the reason (SRV_ST_STOPPED). */
  readonly stopped: boolean;
  /** The file that the worker has loaded says `disabled`, whatever was commanded since (SRV_ADMF_CMAINT). */
  readonly disabled: boolean;
  /**
   * Gets no new traffic for a reason that is neither a command nor a failed check: its check asks for that (NOLB), its host name
   * has no address, or the server that it tracks is in maintenance.
   */
  readonly withheld: boolean;
  /** HAProxy checks it, or asks its agent. */
  readonly checked: boolean;
  /** The present weight. */
  readonly weight: number;
  /** The weight that the server started with. */
  readonly initialWeight: number;
}

/** What `show info` says about the worker behind a socket. */
export interface WorkerInfo {
  readonly version: string;
  readonly pid: number;
  /** The worker has been told to finish: another one has taken over. */
  readonly stopping: boolean;
  readonly uptimeSeconds: number;
  /** Seconds since 1970; undefined where this version does not say it. */
  readonly startedAt: number | undefined;
}

const forcedMaintenance = 0x01;
/** `disabled` in the file. The flag stays when the server is enabled. */
const configuredMaintenance = 0x04;
const forcedDrain = 0x08;
/** `srv_check_state` and `srv_agent_state`: the check runs (CHK_ST_ENABLED). */
const checkEnabled = 0x04;
/** `srv_op_state`: a check that is to drain the server, such as with `disable-on-404` (SRV_ST_STOPPING). */
const stopping = '3';

type Tuple13 = [
  ...[number, number, number, number, number, number],
  ...[number, number, number, number, number, number, number],
];

/**
 * Reads the reply of `show servers state`. Finds the columns by the header, which differs between versions.
 * @throws when the text is another reply
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
  const [backend, backendId, id, name, host, operation, admin, weight, initialWeight, fqdn, port, check, agent] = [
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
    'srv_check_state',
    'srv_agent_state',
  ].map(column) as Tuple13;
  const rows: ServerRow[] = [];
  let lastBackend = '';
  for (let index = header + 1; index < lines.length; index++) {
    const line = lines[index] as string;
    if (line.trim() === '') continue;
    const cells = line.split(' ');
    const number = (at: number): number => {
      if (!/^-?[0-9]{1,15}$/.test(cells[at] ?? '')) throw unusable(line);
      return Number(cells[at]);
    };
    // Half a row would be a server that is missing, and would be added again.
    if (cells.length < titles.length || cells[name] === '' || cells[backend] === '') throw unusable(line);
    const flags = number(admin);
    const isStopped = cells[operation] === '0';
    const others = flags & ~(configuredMaintenance | forcedMaintenance | forcedDrain);
    // The rows of a backend follow each other. Its name, and theirs, outlive the reply.
    if (lastBackend !== cells[backend]) lastBackend = ownText(cells[backend] as string);
    rows.push({
      backend: lastBackend,
      backendId: number(backendId),
      name: ownText(cells[name] as string),
      id: number(id),
      address: `${cells[fqdn] === '-' ? cells[host] : cells[fqdn]}:${cells[port]}`,
      // A server whose name was not found has the address `-`, which is shown as 0.0.0.0 by some versions.
      ...(cells[fqdn] !== '-' && !isNoAddress(cells[host]) && { resolved: `${cells[host]}:${cells[port]}` }),
      maintenance: (flags & forcedMaintenance) !== 0,
      drained: (flags & forcedDrain) !== 0,
      failing: isStopped && (flags & ~configuredMaintenance) === 0,
      stopped: isStopped,
      disabled: (flags & configuredMaintenance) !== 0,
      withheld: cells[operation] === stopping || (isStopped && others !== 0),
      checked: ((number(check) | number(agent)) & checkEnabled) !== 0,
      weight: number(weight),
      initialWeight: number(initialWeight),
    });
  }
  return rows;
}

function unusable(line: string): Error {
  return new Error(`show servers state answered ${JSON.stringify(line.slice(0, 100))}`);
}

function isNoAddress(host: string | undefined): boolean {
  return host === undefined || host === '-' || host === '0.0.0.0' || host === '::';
}

/**
 * Reads the reply of `show info`.
 * @throws when the text has no pid or no version, or a time that is no number
 */
export function parseInfo(reply: string): WorkerInfo {
  const value = (key: string): string | undefined => new RegExp(`^${key}: (.*)$`, 'm').exec(reply)?.[1]?.trim();
  const version = value('Version');
  const pid = Number(value('Pid'));
  if (version === undefined || !Number.isInteger(pid)) {
    throw new Error(`show info answered ${JSON.stringify(reply.slice(0, 100))}`);
  }
  const start = value('Start_time_sec');
  const [uptimeSeconds, startedAt] = [
    Number(value('Uptime_sec') ?? 0),
    start === undefined ? undefined : Number(start),
  ];
  if (!Number.isFinite(uptimeSeconds) || (startedAt !== undefined && !Number.isFinite(startedAt))) {
    throw new Error(`show info answered the times ${JSON.stringify([value('Uptime_sec'), start]).slice(0, 100)}`);
  }
  return {
    version,
    pid,
    stopping: value('Stopping') === '1',
    uptimeSeconds,
    startedAt,
  };
}

/** Reads the reply of `show env NAME`; undefined when the variable is not set. */
export function parseEnv(reply: string, name: string): string | undefined {
  return reply
    .split('\n')
    .find((line) => line.startsWith(`${name}=`))
    ?.slice(name.length + 1)
    .trim();
}
