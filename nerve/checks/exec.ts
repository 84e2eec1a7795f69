import { readFile } from 'node:fs/promises';
import { anyText, listOf, textLike } from '../../common/config/json-values.ts';
import { isSecretKey } from '../../common/config/secrets.ts';
import { oneLine } from '../../common/reason.ts';
import type { CheckDeps, CheckPlugin, CheckTarget } from '../check.ts';

/** The options of the check `exec`. */
export interface ExecCheckOptions {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | null;
  readonly user: string | null;
  readonly nagios: boolean;
}

/** `exec` */
export const check: CheckPlugin<ExecCheckOptions> = {
  description: 'Passes when a command exits with code 0. Otherwise its output is the reason.',
  schema: {
    command: {
      doc: 'program and arguments, a list; runs without a shell unless it names one: ["/bin/sh", "-c", "…"]',
      format: readCommand,
      json: listOf(anyText, { minItems: 1 }),
      type: 'list',
      names: 'file of a program',
      default: null,
    },
    env: {
      doc: "environment variables, added to nerve's own and to NERVE_SERVICE, NERVE_HOST and NERVE_PORT",
      format: 'labels',
      default: {},
      sensitive: true,
    },
    cwd: {
      doc: "working directory; by default nerve's",
      format: 'optional-non-empty-string',
      names: 'folder',
      default: null,
    },
    user: {
      doc: "user to run as, by name or number; requires nerve to run as root; by default nerve's user. Variables of nerve such as ETCD_PASSWORD are not passed on to another user",
      format: readUser,
      json: { anyOf: [{ type: 'number' }, textLike(String.raw`^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?$`)] },
      type: 'string',
      default: null,
      nullable: true,
    },
    nagios: {
      doc: 'read exit codes as Nagios does: 0 and 1 (warning) pass, 2 (critical), 3 (unknown) and others fail',
      format: 'boolean',
      default: false,
    },
  },
  create(options, target, deps) {
    return (signal) => probe(options, { target, deps }, signal);
  },
};

/** How much of the output is kept, bytes; a reason is shorter. */
const maxOutput = 4096;

const nagiosCodes = ['ok', 'warning', 'critical', 'unknown'];

interface ProbeContext {
  readonly target: CheckTarget;
  readonly deps: CheckDeps;
}

async function probe(options: ExecCheckOptions, { target, deps }: ProbeContext, signal: AbortSignal): Promise<void> {
  const { command, env, cwd, user, nagios } = options;
  signal.throwIfAborted();
  const account = user === null ? {} : await findUser(user);
  const { service, host, port } = target;
  const result = await deps.host
    .exec(
      command as [string, ...string[]],
      {
        env: { ...inherited(user), NERVE_SERVICE: service, NERVE_HOST: host, NERVE_PORT: String(port), ...env },
        ...(cwd !== null && { cwd }),
        ...account,
        // Children that a command leaves behind would pile up, some at each probe.
        endsGroup: true,
        maxOutput,
      },
      signal,
    )
    .catch((error) => {
      signal.throwIfAborted();
      throw error;
    });
  const { code } = result;
  if (code === 0 || (nagios && code === 1)) return;
  const output = oneLine(result.stdout) || oneLine(result.stderr);
  const word = nagios && code !== null ? nagiosCodes[code] : undefined;
  const ended = code === null ? `killed by ${result.signal}` : `exit code ${code}`;
  throw new Error(`${word ?? ended}${output === '' ? '' : `: ${output}`}`);
}

/** nerve's environment; for another user without what is secret by its name, such as `ETCD_PASSWORD`. */
function inherited(user: string | null): NodeJS.ProcessEnv {
  if (user === null) return process.env;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isSecretKey(name)));
}

/** Reads /etc/passwd at each probe, as the system does: accounts come and go. */
async function findUser(user: string): Promise<{ readonly uid: number; readonly gid: number }> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  const entry = lines.find(([name, , uid]) => name === user || uid === user);
  if (entry === undefined) throw new Error(`there is no user ${user}`);
  return { uid: Number(entry[2]), gid: Number(entry[3]) };
}

function readCommand(value: unknown): void {
  const fine = Array.isArray(value) && value.every((item) => typeof item === 'string' && !item.includes('\0'));
  if (!fine || !value[0]) {
    throw new Error('must be a list of strings, the program and its arguments, such as ["/bin/sh", "-c", "…"]');
  }
}

function readUser(value: unknown): string {
  const user = typeof value === 'number' ? String(value) : value;
  if (typeof user !== 'string' || !/^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?$/.test(user)) {
    throw new Error('must be the name or the number of a user');
  }
  return user;
}
