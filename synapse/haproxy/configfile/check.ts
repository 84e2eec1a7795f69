import { basename } from 'node:path';
import { ExecError } from '../../../common/daemon/exec.ts';
import type { Host } from '../../../common/host.ts';
import type { HaproxyConfig } from '../options/config.ts';

/** What a check said about a candidate file. */
export type CheckResult =
  | { readonly result: 'accepted' }
  /** Nothing checked it. */
  | { readonly result: 'unchecked'; readonly reason: string }
  | { readonly result: 'refused'; readonly message: string; readonly findings: readonly Finding[] };

/** What {@link checkCandidate} needs. */
export interface CheckDeps {
  readonly config: HaproxyConfig;
  readonly host: Pick<Host, 'exec'>;
}

/** Signals that end a check from outside, such as SIGKILL when memory runs out: they say nothing about the text. */
const foreignEnds: ReadonlySet<string> = new Set(['SIGKILL', 'SIGTERM', 'SIGINT']);

/**
 * Checks a candidate file with the user's command, or with HAProxy itself where it is installed.
 * @throws when `signal` aborts, and when the check comes to no result: it does not end in time, is killed, or cannot be run
 */
export async function checkCandidate(
  path: string,
  { config, host }: CheckDeps,
  signal: AbortSignal,
): Promise<CheckResult> {
  const { do_checks: wanted, check_command: command, check_timeout: timeoutMs, haproxy_path: haproxy } = config;
  if (wanted === false) return { result: 'unchecked', reason: 'do_checks is false' };
  try {
    // -V: a global section with `quiet` would keep HAProxy's errors, and with them the service that is the cause, from us.
    const own = [haproxy, '-c', '-V', '-f', path] as const;
    const program = command === null ? own : (['/bin/sh', '-c', command] as const);
    const { code, signal: ending, stdout, stderr } = await host.exec(program, { timeoutMs }, signal);
    if (code === 0) return { result: 'accepted' };
    if (code === null && foreignEnds.has(String(ending))) throw new Error(`${program[0]}: ended by ${ending}`);
    const output = `${stderr}\n${stdout}`;
    // The candidate will be gone when somebody reads this.
    const shown = output.replaceAll(path, basename(config.config_file_path ?? path));
    const message = errorsIn(shown) || (code === null ? `ended by ${ending}` : `exit code ${code}`);
    return { result: 'refused', message, findings: findingsIn(output, basename(path)) };
  } catch (error) {
    if (signal.aborted) throw error;
    if (isMissing(error) && wanted === null && command === null) {
      return { result: 'unchecked', reason: `${haproxy} is not installed here` };
    }
    // Nothing in the text may be blamed for it.
    throw new Error('the check came to no result', { cause: error });
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof ExecError && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}

/** One error that HAProxy reports. */
export interface Finding {
  /** Line of the file, counted from 1; undefined when HAProxy names none. */
  readonly line: number | undefined;
  readonly message: string;
}

/** Messages are cut to this many characters. */
const longestMessage = 2_000;

/** The errors in HAProxy's output without its warnings, in one line; the whole output when it has no errors. */
export function errorsIn(output: string): string {
  const lines = linesOf(output);
  const errors = lines.filter(isError);
  return (errors.length > 0 ? errors : lines).map(withoutPrefix).join('; ').slice(0, longestMessage);
}

/**
 * The errors in HAProxy's output, such as `[ALERT] (12) : config : parsing [/etc/haproxy/haproxy.cfg:7] : …`, with their
 * lines in the file called `name`. Addresses look like places in a file, so only places in this file count.
 */
export function findingsIn(output: string, name: string): readonly Finding[] {
  return linesOf(output)
    .filter(isError)
    .map((text): Finding => {
      const places = [...text.matchAll(/\[([^\]\s]*):([0-9]+)\]/g)];
      const line = places.find(([, path = '']) => path === name || path.endsWith(`/${name}`))?.[2];
      return {
        line: line === undefined ? undefined : Number(line),
        message: withoutPrefix(text).slice(0, longestMessage),
      };
    });
}

function linesOf(output: string): readonly string[] {
  return output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function isError(line: string): boolean {
  return /^\[(ALERT|EMERG|CRIT)\]/.test(line);
}

function withoutPrefix(line: string): string {
  return line.replace(/^\[[A-Z]+\]\s*(\S+\s+)?\([0-9]+\)\s*:\s*/, '');
}
