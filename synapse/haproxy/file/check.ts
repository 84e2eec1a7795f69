import { basename } from 'node:path';
import { ExecError, exec, shell } from '../../../common/exec.ts';
import { reasonOf } from '../../../common/log.ts';
import type { HaproxyConfig } from '../options/config.ts';
import { type Finding, findingsIn, wrongIn } from './findings.ts';

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
