import { ExecError, exec, shell } from '../../common/exec.ts';
import { reasonOf } from '../../common/log.ts';
import type { HaproxyConfig } from './config.ts';

/** What a check said about a candidate file. */
export type CheckResult =
  | { readonly result: 'accepted' }
  /** There is nothing to check with. */
  | { readonly result: 'unchecked'; readonly reason: string }
  | { readonly result: 'refused'; readonly message: string };

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
    const said = alerts(`${stderr}\n${stdout}`);
    return { result: 'refused', message: said || (code === null ? `ended by ${ending}` : `exit code ${code}`) };
  } catch (error) {
    if (signal.aborted) throw error;
    if (isMissing(error) && config.do_checks === null && config.check_command === null) {
      return { result: 'unchecked', reason: `${config.haproxy_path} is not installed here` };
    }
    return { result: 'refused', message: reasonOf(error) };
  }
}

/** HAProxy's own words about what is wrong, without its warnings; all of the output when there are none. */
function alerts(output: string): string {
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const wrong = lines.filter((line) => /^\[(ALERT|EMERG|CRIT)\]/.test(line));
  return (wrong.length > 0 ? wrong : lines)
    .map((line) => line.replace(/^\[[A-Z]+\]\s*(\S+\s+)?\([0-9]+\)\s*:\s*/, ''))
    .join('; ')
    .slice(0, 2_000);
}

function isMissing(error: unknown): boolean {
  return error instanceof ExecError && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}
