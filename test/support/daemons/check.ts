import assert from 'node:assert/strict';
import { type Problem, validate } from '../../../common/config/config.ts';
import { reasonOf } from '../../../common/daemon/log.ts';
import { thisHost } from '../../../common/host.ts';
import { type Check, type CheckDeps, type CheckTarget, ownCheckTypes } from '../../../nerve/check.ts';
import { patienceMs } from '../eventually.ts';

/** Checks in tests use this machine. */
export const checkDeps: CheckDeps = { host: thisHost };

/** A check as nerve makes it from a configuration. @throws when its options are not accepted */
export async function makeCheck(
  type: string,
  options: Readonly<Record<string, unknown>>,
  target: Partial<CheckTarget> = {},
): Promise<Check> {
  const plugin = await ownCheckTypes.load(type);
  const problems: Problem[] = [];
  const read = validate(plugin.schema, options, { path: 'check', problems });
  if (problems.length > 0) throw new Error(problems.map(({ path, message }) => `${path}: ${message}`).join('; '));
  return plugin.create(read, { service: 'api', host: '127.0.0.1', port: 1, ...target }, checkDeps);
}

/** Passes within half a minute, which no check here needs. */
export async function assertPasses(check: Check): Promise<void> {
  await check(AbortSignal.timeout(patienceMs));
}

/** Fails, with a reason in one line that matches; not by its deadline. */
export async function assertFails(check: Check, reason: RegExp): Promise<void> {
  const signal = AbortSignal.timeout(patienceMs);
  const found = await check(signal).then(() => 'it passed', reasonOf);
  assert.match(found, reason);
  assert.ok(!signal.aborted && !found.includes('\n'), found);
}

/** Gives up when its signal aborts, with the signal's reason. */
export async function assertGivesUp(check: Check): Promise<void> {
  await assert.rejects(check(AbortSignal.abort(new Error('over before it began'))), /over before it began/);
  for (const reason of ['no answer within 60 ms', 'the service went']) {
    const controller = new AbortController();
    // Not AbortSignal.timeout: its timer keeps no process alive.
    setTimeout(() => controller.abort(new Error(reason)), 60);
    await assert.rejects(check(controller.signal), { message: reason });
  }
}
