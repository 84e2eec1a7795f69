import { basename } from 'node:path';
import { ExecError, exec, shell } from '../../../common/daemon/exec.ts';
import { reasonOf } from '../../../common/daemon/log.ts';
import type { HaproxyConfig } from '../options/config.ts';

/** What a check said about a candidate file. */
export type CheckResult =
  | { readonly result: 'accepted' }
  /** There is nothing to check with. */
  | { readonly result: 'unchecked'; readonly reason: string }
  | { readonly result: 'refused'; readonly message: string; readonly findings: readonly Finding[] };

/** Has a candidate checked: by the user's command, or by HAProxy itself where it is installed. Never rejects but for an abort. */
export async function checkCandidate(path: string, config: HaproxyConfig, signal: AbortSignal): Promise<CheckResult> {
  if (config.do_checks === false) return { result: 'unchecked', reason: 'do_checks is false' };
  const options = { timeout: config.check_timeout };
  const run =
    config.check_command === null
      ? exec([config.haproxy_path, '-c', '-f', path], options, signal)
      : shell(config.check_command, options, signal);
  try {
    const { code, signal: ending, stdout, stderr } = await run;
    if (code === 0) return { result: 'accepted' };
    const output = `${stderr}\n${stdout}`;
    const message = wrongIn(output) || (code === null ? `ended by ${ending}` : `exit code ${code}`);
    return { result: 'refused', message, findings: findingsIn(output, basename(path)) };
  } catch (error) {
    if (signal.aborted) throw error;
    if (isMissing(error) && config.do_checks === null && config.check_command === null) {
      return { result: 'unchecked', reason: `${config.haproxy_path} is not installed here` };
    }
    return { result: 'refused', message: reasonOf(error), findings: [] };
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof ExecError && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}

/** One thing that HAProxy found wrong, at a line of the file (counted from 1) where it names one. */
export interface Finding {
  readonly line: number | undefined;
  readonly message: string;
}

const longest = 2_000;

/** HAProxy's own words about what is wrong, without its warnings; all of the output when there are none. */
export function wrongIn(output: string): string {
  const lines = linesOf(output);
  const wrong = lines.filter(isWrong);
  return (wrong.length > 0 ? wrong : lines).map(words).join('; ').slice(0, longest);
}

/**
 * What is wrong with the file `name` one by one: `[ALERT] (12) : config : parsing [/etc/haproxy/haproxy.cfg:7] : …`.
 * Addresses have the same form, so the file's name counts.
 */
export function findingsIn(output: string, name: string): readonly Finding[] {
  return linesOf(output)
    .filter(isWrong)
    .map((text): Finding => {
      const places = [...text.matchAll(/\[([^\]\s]*):([0-9]+)\]/g)];
      const line = places.find(([, path = '']) => path === name || path.endsWith(`/${name}`))?.[2];
      return { line: line === undefined ? undefined : Number(line), message: words(text).slice(0, longest) };
    });
}

function linesOf(output: string): readonly string[] {
  return output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function isWrong(line: string): boolean {
  return /^\[(ALERT|EMERG|CRIT)\]/.test(line);
}

function words(line: string): string {
  return line.replace(/^\[[A-Z]+\]\s*(\S+\s+)?\([0-9]+\)\s*:\s*/, '');
}
